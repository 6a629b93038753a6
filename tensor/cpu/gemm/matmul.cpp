// Stacks of matrix products.
#include <ebb/tensor/cpu/common/strided_iterator.h>
#include <ebb/tensor/cpu/gemm/gemm.h>
#include <ebb/tensor/cpu/gemm/openblas.h>
#include <ebb/tensor/cpu/runtime/parallel.h>
#include <ebb/tensor/cpu/table.h>

namespace ebb::cpu {

namespace {

template <class T>
Matrix<T> read(const T* data, std::int64_t columns, bool transposed) {
  return transposed ? Matrix<T>{data, 1, columns} : Matrix<T>{data, columns, 1};
}

// A single product shares its rows among the threads, several are shared whole.
void bmm(const Tensor& a, const Tensor& b, bool trans_a, bool trans_b, Tensor& out) {
  const std::int64_t count = out.size(0), m = out.size(1), n = out.size(2);
  const std::int64_t k = a.size(trans_a ? 1 : 2);
  dispatch_floating("bmm", out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T *as = input<T>(a), *bs = input<T>(b);
    T* to = output<T>(out);
    const auto product = [&](std::int64_t i) {
      gemm(m, n, k, read(as + i * m * k, a.size(2), trans_a),
           read(bs + i * k * n, b.size(2), trans_b), to + i * m * n, n);
    };
    if (count == 1) return product(0);
    const std::int64_t work = std::max<std::int64_t>(1, m * n * k);
    parallel_for(count, std::max<std::int64_t>(1, (1 << 16) / work),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t i = begin; i < end; ++i) product(i);
                 });
  });
}

void linear(const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor& out) {
  const std::int64_t m = out.size(0), n = out.size(1), k = x.size(1);
  dispatch_floating("linear", out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    Epilogue<T> epilogue;
    epilogue.bias = input<T>(bias);
    gemm(m, n, k, read(input<T>(x), k, false), read(input<T>(weight), k, true), output<T>(out), n,
         epilogue);
  });
}

void symmetric_eigen(Tensor& a, Tensor& values) {
  openblas_symmetric_eigen(a.size(0), output<double>(a), output<double>(values));
}

}  // namespace

void add_matmul_kernels(Kernels& table) {
  table.bmm = bmm;
  table.linear = linear;
  table.symmetric_eigen = symmetric_eigen;
}

}  // namespace ebb::cpu
