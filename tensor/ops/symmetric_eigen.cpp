#include <ebb/tensor/backend/backend.h>
#include <ebb/tensor/ops/layout.h>
#include <ebb/tensor/ops/symmetric_eigen.h>

namespace ebb {

Eigen symmetric_eigen(const Tensor& a) {
  const std::string_view name = "symmetric_eigen";
  check(a.rank() == 2 && a.size(0) == a.size(1) && a.dtype() == DType::float64,
        "{}: {} of {}; a square matrix of float64 is needed", name, a.shape(), a.dtype());
  check(all_finite(a), "{}: the matrix has elements that are not finite", name);
  Tensor rows = a.clone();
  Tensor values = Tensor::empty({a.size(0)}, DType::float64, a.device());
  use(name, a.device(), kernels(a.device()).symmetric_eigen)(rows, values);
  return {values, transpose(rows, 0, 1)};
}

}  // namespace ebb
