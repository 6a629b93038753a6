// Products of matrices. Plainly, a thread an element: this one is float64's. float32's are made by
// tiles, of operands as they are or rounded, or by cuBLASLt.
#include <ebb/tensor/cuda/gemm/cublaslt.h>
#include <ebb/tensor/cuda/launch.h>
#include <ebb/tensor/cuda/table.h>

namespace ebb::cuda {

namespace {

template <class T>
__global__ void plain_product(const Product<T> p) {
  for (std::int64_t e = thread_index(); e < p.count * p.m * p.n; e += thread_count()) {
    const std::int64_t s = e / p.n / p.m, i = e / p.n % p.m, j = e % p.n;
    const T* a = p.a.data + s * p.a.batch + i * p.a.row;
    const T* b = p.b.data + s * p.b.batch + j * p.b.column;
    double sum = p.bias == nullptr ? 0 : double(p.bias[j]);
    for (std::int64_t l = 0; l < p.k; ++l)
      sum += double(a[l * p.a.column]) * double(b[l * p.b.row]);
    p.out[e] = T(sum);
  }
}

template <class T>
void run(const Product<T>& p) {
  if constexpr (std::is_same_v<T, double>) {
    launch("product", plain_product<T>, blocks_for(p.count * p.m * p.n), block_threads, 0, p);
  } else if (!library_products() || !library_product(p)) {
    const Precision operands = precision();
    operands == Precision::float32 ? tiled_product(p) : rounded_product(p, operands);
  }
}

// (rows, columns), in memory transposed or not.
template <class T>
Matrices<T> read(const Tensor& x, std::int64_t rows, std::int64_t columns, bool transposed) {
  const T* data = input<T>(x);
  return transposed ? Matrices<T>{data, rows * columns, 1, rows}
                    : Matrices<T>{data, rows * columns, columns, 1};
}

void bmm(const Tensor& a, const Tensor& b, bool trans_a, bool trans_b, Tensor& out) {
  const std::int64_t count = out.size(0), m = out.size(1), n = out.size(2);
  const std::int64_t k = a.size(trans_a ? 1 : 2);
  dispatch_floating("bmm", out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    run<T>({count, m, n, k, read<T>(a, m, k, trans_a), read<T>(b, k, n, trans_b), nullptr,
            output<T>(out), out.device()});
  });
}

void linear(const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor& out) {
  const std::int64_t m = out.size(0), n = out.size(1), k = x.size(1);
  dispatch_floating("linear", out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    run<T>({1, m, n, k, read<T>(x, m, k, false), read<T>(weight, k, n, true),
            bias.defined() ? input<T>(bias) : nullptr, output<T>(out), out.device()});
  });
}

}  // namespace

void add_matmul_kernels(Kernels& table) {
  table.bmm = bmm;
  table.linear = linear;
}

}  // namespace ebb::cuda
