#include <ebb/autograd/ops.h>
#include <ebb/diffusion/schedule.h>
#include <ebb/nn/layers.h>

#include <cmath>
#include <cstdio>

// d/dx sum(x^2) = 2 x, through the library as installed.
int main() {
  ebb::Variable x(ebb::Tensor::from<float>({1, 2, 3}), true);
  ebb::sum(ebb::mul(x, x)).backward();
  const double last = x.grad().to_vector<double>()[2];
  std::printf("gradient %g\n", last);
  return std::abs(last - 6) < 1e-6 ? 0 : 1;
}
