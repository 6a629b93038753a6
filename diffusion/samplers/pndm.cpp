#include <ebb/diffusion/samplers/samplers.h>
#include <ebb/tensor/ops/pointwise.h>

namespace ebb {
namespace {

Tensor weighted(const std::vector<Tensor>& tensors, const std::vector<double>& weights) {
  Tensor result = tensors[0] * weights[0];
  for (std::size_t i = 1; i < weights.size(); ++i) add_(result, tensors[i], weights[i]);
  return result;
}

// Adams-Bashforth of the order that the history, latest first, allows.
Tensor adams_bashforth(const std::vector<Tensor>& history) {
  switch (history.size()) {
    case 1:
      return history[0];
    case 2:
      return weighted(history, {3.0 / 2, -1.0 / 2});
    case 3:
      return weighted(history, {23.0 / 12, -16.0 / 12, 5.0 / 12});
    default:
      return weighted(history, {55.0 / 24, -59.0 / 24, 37.0 / 24, -9.0 / 24});
  }
}

}  // namespace

Tensor pndm(const Sampling& s, Tensor x, PndmStart start, const Transfer& custom) {
  const Transfer transfer = custom ? custom : Transfer(move);
  // The weights suit slopes that change evenly from step to step. A first step from s in the
  // thousands to ten, as at the cosine schedule's end, would multiply their error by s.
  const std::int64_t first = leave_pure_noise(s, x, 10);
  const std::int64_t warm_up = start == PndmStart::runge_kutta ? 3 : 1;
  std::vector<Tensor> history;
  for (std::int64_t i = first; i < s.steps(); ++i) {
    const Level &from = s.grid[i], &to = s.grid[i + 1];
    const Estimate e = s.denoiser(x, from);
    history.insert(history.begin(), e.eps);
    if (history.size() > 4) history.pop_back();

    Tensor slope;
    if (i - first >= warm_up || to.sigma == 0) {
      slope = adams_bashforth(history);
    } else if (start == PndmStart::improved_euler) {
      const Tensor there = s.denoiser(transfer(x, from, to, e.eps), to).eps;
      slope = weighted({e.eps, there}, {1.0 / 2, 1.0 / 2});
    } else {
      const Level half = s.path.at((from.t + to.t) / 2);
      const Tensor e2 = s.denoiser(transfer(x, from, half, e.eps), half).eps;
      const Tensor e3 = s.denoiser(transfer(x, from, half, e2), half).eps;
      const Tensor e4 = s.denoiser(transfer(x, from, to, e3), to).eps;
      slope = weighted({e.eps, e2, e3, e4}, {1.0 / 6, 1.0 / 3, 1.0 / 3, 1.0 / 6});
    }
    x = transfer(x, from, to, slope);
    s.observe(i, x, e.x0);
  }
  return x;
}

}  // namespace ebb
