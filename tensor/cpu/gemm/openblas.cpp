#include <cblas.h>
#include <ebb/tensor/cpu/gemm/openblas.h>
#include <ebb/tensor/error.h>
#include <omp.h>

#include <algorithm>
#include <limits>
#include <vector>

extern "C" void dsyevd_(const char* jobz, const char* uplo, const blasint* n, double* a,
                        const blasint* lda, double* w, double* work, const blasint* lwork,
                        blasint* iwork, const blasint* liwork, blasint* info);

namespace ebb::cpu {

namespace {

blasint size(std::int64_t value) {
  check(value <= std::numeric_limits<blasint>::max(),
        "OpenBLAS: a matrix of size or stride {}; it counts to {}", value,
        std::numeric_limits<blasint>::max());
  return static_cast<blasint>(value);
}

// OpenBLAS starts as many threads as OpenMP would for the calling thread.
class OneThread {
 public:
  OneThread() { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(before_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  const int before_ = omp_get_max_threads();
};

CBLAS_TRANSPOSE order(const Matrix<double>& matrix) {
  return matrix.column_stride == 1 ? CblasNoTrans : CblasTrans;
}

// Rows (or, transposed, columns) apart; at least the length of one, which is not looked at where
// there is only one.
blasint pitch(const Matrix<double>& matrix, std::int64_t rows, std::int64_t columns) {
  return matrix.column_stride == 1 ? size(std::max({matrix.row_stride, columns, std::int64_t{1}}))
                                   : size(std::max({matrix.column_stride, rows, std::int64_t{1}}));
}

}  // namespace

void openblas_gemm(std::int64_t m, std::int64_t n, std::int64_t k, const Matrix<double>& a,
                   const Matrix<double>& b, double* c, std::int64_t ldc, bool accumulate) {
  const OneThread one;
  cblas_dgemm(CblasRowMajor, order(a), order(b), size(m), size(n), size(k), 1, a.data,
              pitch(a, m, k), b.data, pitch(b, k, n), accumulate ? 1 : 0, c, size(ldc));
}

void openblas_gemm(std::int64_t m, std::int64_t n, std::int64_t k, const float* a, const float* b,
                   float* c) {
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, size(m), size(n), size(k), 1, a, size(k),
              b, size(n), 0, c, size(n));
}

void openblas_symmetric_eigen(std::int64_t n, double* a, double* values) {
  if (n == 0) return;
  const OneThread one;
  // Column-major, what is our lower triangle is LAPACK's upper one.
  const char vectors = 'V', triangle = 'U';
  const blasint order = size(n), ask = -1;
  double work_size = 0;
  blasint integer_size = 0, info = 0;
  dsyevd_(&vectors, &triangle, &order, a, &order, values, &work_size, &ask, &integer_size, &ask,
          &info);
  const blasint work_count = size(static_cast<std::int64_t>(work_size));
  std::vector<double> work(static_cast<std::size_t>(work_count));
  std::vector<blasint> integers(static_cast<std::size_t>(integer_size));
  dsyevd_(&vectors, &triangle, &order, a, &order, values, work.data(), &work_count, integers.data(),
          &integer_size, &info);
  check(info == 0, "symmetric_eigen: LAPACK's dsyevd ended with {} on a matrix of size {}", info,
        n);
}

std::string openblas_core() { return openblas_get_corename(); }

}  // namespace ebb::cpu
