// How well a model would compress images: the variational bound on -log2 p(x_0), per dimension
// (losses/variational_bound.h), summed over the steps of a table.
#pragma once

#include <ebb/diffusion/guidance/denoiser.h>
#include <ebb/nn/training/trainer.h>

namespace ebb {

// A network asked about a batch whose samples are at times of their own: t (N) float32.
using TimedPredictor =
    std::function<Tensor(const Tensor& x, const Tensor& t, const Conditioning& given)>;

struct BitsPerDimension {
  double prior = 0;    // at T: what is left of x_0 in pure noise
  double steps = 0;    // t = 1..T-1
  double decoder = 0;  // t = 0: the 8-bit values
  double total() const { return prior + steps + decoder; }
};

// The mean over a batch of images in [-1, 1] whose values are 8-bit (multiples of 1 / 127.5 from
// -1 on), each told what the batch says of it. Of the steps 1..T-1 every image sees one in each of
// `evaluations` equal parts, drawn by draws.address(Purpose::timestep): an unbiased estimate of
// their sum. T >= 2 and 1 <= evaluations <= T - 1; else Error.
BitsPerDimension bits_per_dimension(const TimedPredictor& model, const Path& path,
                                    Prediction prediction, const Batch& batch,
                                    std::int64_t evaluations, const StepDraws& draws);

}  // namespace ebb
