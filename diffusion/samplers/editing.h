// What samplers are used for beside drawing from noise.
#pragma once

#include <ebb/diffusion/samplers/sampler.h>

namespace ebb {

// The point at u in [0, 1] of the great circle from a to b, each sample for itself: sin((1-u) w) /
// sin w a + sin(u w) / sin w b, w the angle between them (Shoemake 1985). Noise stays as long as
// noise is, which a straight line between two latents does not. Parallel ones are mixed linearly.
Tensor slerp(const Tensor& a, const Tensor& b, double u);

// The part of a grid that image-to-image runs: its last round(strength * steps) steps (at least
// one). strength in (0, 1] (Meng et al. 2022, SDEdit).
TimeGrid tail_of(const TimeGrid& grid, double strength);
// Data at a level: alpha x_0 + sigma z.
Tensor noised_to(const Level& level, const Tensor& x0, const Tensor& z);

// RePaint (Lugmayr et al. 2022, alg. 1): x_0 where `mask` is 1 is known to be `known`, the rest is
// drawn to fit. Each block of `jump` steps of DDPM is made `resample` times, going back up with
// fresh noise in between, so that the two parts agree. mask broadcasts to x; two draws a step and
// one a way back.
struct RepaintOptions {
  std::int64_t resample = 10, jump = 1;
};
Tensor repaint(const Sampling& s, Tensor x, const Tensor& known, const Tensor& mask,
               const RepaintOptions& options = {});

// Keeps x_t and the predicted x_0 after each step; `then` is called too.
struct Trajectory {
  std::vector<Tensor> x, x0;
  std::vector<Level> levels;

  // The observer that fills this, which must outlive it.
  Observer recorder(Observer then = {});
};

// The grid for ddim_inversion: `grid` upwards, from clean data.
TimeGrid inverted(const TimeGrid& grid);

}  // namespace ebb
