// One checkpoint of a run: a folder with three safetensors files and what proves them whole.
//
//   raw.safetensors    the weights
//   ema.safetensors    their average
//   state.safetensors  the optimizer's
//   manifest.json      the step, and a checksum (XXH3) of every tensor of each file
//
// Weights are stored under the network's own names. The metadata of each file says what it holds
// ("ebb.kind"), so an average is never mistaken for the weights it was taken of.
#pragma once

#include <ebb/nn/training/trainer.h>

#include <string>

namespace ebb::apps {

enum class Weights { ema, raw };

// Of the training so far: seconds it took, and its configuration, for whoever opens a file.
struct CheckpointNotes {
  double seconds = 0;
  std::string config;
};

// Writes the folder `path`, which appears as a whole or not at all and outlives a power cut. With
// `for_good` a file "kept" in it says that it is not to be removed. An Error, with nothing written,
// if a weight or its average is not finite.
void write_checkpoint(const std::string& path, const Trainer& trainer, const CheckpointNotes& notes,
                      bool for_good);

// Everything of it into `trainer`; returns its seconds. Here and below: an Error if it is not as it
// was written, in a part (checksums), as a whole (files of different steps) or in a file.
double read_checkpoint(const std::string& path, std::int64_t step, Trainer& trainer);
// The weights; an Error also if one is not finite.
std::vector<NamedTensor> read_weights(const std::string& path, std::int64_t step, Weights weights);
double checkpoint_seconds(const std::string& path);

}  // namespace ebb::apps
