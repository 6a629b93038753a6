// The pictures that more than one command draws.
#pragma once

#include <ebb/apps/runs/run_folder.h>

namespace ebb::apps {

// loss.png in the folder of the run: loss, gradient norm and learning rate by step. Without any
// metrics yet, nothing.
void write_loss_plot(const RunFolder& run);

// alpha_bar and beta of every named schedule.
void write_schedule_plot(const std::string& path, std::int64_t timesteps);

}  // namespace ebb::apps
