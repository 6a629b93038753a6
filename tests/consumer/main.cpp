#include <ebb/ebb.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>

// d/dx sum(x^2) = 2 x, an Error caught, products, and how fast they are.
int main() {
  using Clock = std::chrono::steady_clock;
  if (std::getenv("OPENBLAS_CORETYPE") != nullptr) return 5;  // nobody sets it here
  ebb::set_thread_count(1);
  ebb::Variable x(ebb::Tensor::from<float>({1, 2, 3}), true);
  ebb::sum(ebb::mul(x, x)).backward();
  const double last = x.grad().to_vector<double>()[2];
  std::printf("gradient %g\n", last);
  if (std::abs(last - 6) > 1e-6) return 1;
  try {
    ebb::matmul(x, ebb::Tensor::ones({2, 2}));
    return 2;
  } catch (const ebb::Error& error) {
    std::printf("refused: %s\n", error.what());
  }
  const ebb::Tensor a = ebb::Tensor::ones({512, 512}), d = a.to(ebb::DType::float64);
  ebb::matmul(a, a);
  double best = 1e9;
  for (int i = 0; i < 5; ++i) {
    const Clock::time_point start = Clock::now();
    if (ebb::matmul(a, a).to_vector<double>()[0] != 512) return 3;
    best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
  }
  std::printf("%.1f GFLOP/s\n", 2 * std::pow(512, 3) / best / 1e9);
  return ebb::matmul(d, d).to_vector<double>()[7] == 512 ? 0 : 4;
}
