// Sinusoidal embedding of real-valued times (Vaswani et al. 2017, sec. 3.5; Ho et al. 2020,
// appendix B).
//
// With h = dim / 2 and f_i = 10000^(-i / (h - freq_shift)), i < h, the row of t is
//   [sin(scale t f_0), ..., sin(scale t f_(h-1)), cos(scale t f_0), ..., cos(scale t f_(h-1))],
// the halves exchanged by flip_sin_to_cos, and a last zero if dim is odd.
#pragma once

#include <ebb/tensor/tensor.h>

namespace ebb {

struct TimestepEmbeddingOptions {
  bool flip_sin_to_cos = true;
  double freq_shift = 0;
  double scale = 1;
};

// t (N) float32; (N, dim) float32, dim >= 2 and dim / 2 > freq_shift. All arithmetic is float32,
// as in the networks whose weights are exchanged: at t = 1000 a rounded frequency shows in the
// fifth digit.
Tensor timestep_embedding(const Tensor& t, std::int64_t dim,
                          const TimestepEmbeddingOptions& options = {});

}  // namespace ebb
