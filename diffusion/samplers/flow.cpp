#include <ebb/diffusion/samplers/samplers.h>
#include <ebb/tensor/ops/pointwise.h>

namespace ebb {
namespace {

// x at `to`, from x at `from` along the velocity u.
Tensor straight(const Tensor& x, const Level& from, const Level& to, const Tensor& u) {
  const double before = from.alpha + from.sigma, after = to.alpha + to.sigma;
  return axpby(after / before, x, to.sigma - after * from.sigma / before, u);
}

}  // namespace

Tensor flow_euler(const Sampling& s, Tensor x) {
  for (std::int64_t i = 0; i < s.steps(); ++i) {
    const Estimate e = s.denoiser(x, s.grid[i]);
    x = straight(x, s.grid[i], s.grid[i + 1], e.eps - e.x0);
    s.observe(i, x, e.x0);
  }
  return x;
}

Tensor flow_heun(const Sampling& s, Tensor x) {
  for (std::int64_t i = 0; i < s.steps(); ++i) {
    const Level &from = s.grid[i], &to = s.grid[i + 1];
    Estimate e = s.denoiser(x, from);
    const Tensor u = e.eps - e.x0;
    Tensor next = straight(x, from, to, u);
    if (to.sigma > 0) {
      e = s.denoiser(next, to);
      next = straight(x, from, to, axpby(0.5, u, 0.5, e.eps - e.x0));
    }
    x = next;
    s.observe(i, x, e.x0);
  }
  return x;
}

}  // namespace ebb
