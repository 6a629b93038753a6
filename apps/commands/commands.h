// The subcommands of `ebb`, one file each. A subcommand is a function that adds itself to the
// program: its options, and a callback that does the work and throws when it cannot.
//
// A new one: write apps/NAME.cpp, declare it here, call it in main.cpp.
#pragma once

#include <CLI/CLI.hpp>

namespace ebb::apps {

void add_bench_command(CLI::App& app);
void add_evaluate_command(CLI::App& app);
void add_export_command(CLI::App& app);
void add_import_command(CLI::App& app);
void add_info_command(CLI::App& app);
void add_inspect_command(CLI::App& app);
void add_plot_command(CLI::App& app);
void add_sample_command(CLI::App& app);
void add_train_command(CLI::App& app);
void add_tutorial_command(CLI::App& app);

}  // namespace ebb::apps
