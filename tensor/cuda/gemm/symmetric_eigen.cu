// Jacobi's rotations (Golub & Van Loan, 8.5), many at a time: n players of a tournament meet in
// n / 2 pairs a round, each two once in n - 1 rounds, and the rotations of one round touch rows and
// columns of their own. One block does it all.
#include <ebb/tensor/cuda/launch.h>
#include <ebb/tensor/cuda/table.h>

namespace ebb::cuda {

namespace {

constexpr int jacobi_threads = 512;

struct Rotation {
  double c, s, t;  // cosine, sine and tangent
};

// n is even: an odd matrix has a row and a column of zeros behind it, which no rotation changes.
struct Jacobi {
  int n;
  double *m, *v;  // (n, n); row i of v becomes eigenvector i
  Rotation* rotations;

  __device__ double* at(int row) const { return m + std::int64_t{row} * n; }
};

// Pair i of round r: player n - 1 stays, the others go round.
__device__ void pair_of(int n, int r, int i, int& p, int& q) {
  p = r + i < n - 1 ? r + i : r + i - (n - 1);
  q = i == 0 ? n - 1 : r >= i ? r - i : r - i + n - 1;
}

// The smaller of the two rotations that make m[p, q] zero.
__device__ Rotation rotation_of(double pp, double pq, double qq) {
  if (pq == 0) return {1, 0, 0};
  const double theta = (qq - pp) / (2 * pq);
  const double t = copysign(1.0, theta) / (fabs(theta) + hypot(theta, 1.0));
  const double c = 1 / hypot(t, 1.0);
  return {c, t * c, t};
}

__device__ void rotate(const Rotation& r, double& x, double& y) {
  const double old = x;
  x = r.c * x - r.s * y;
  y = r.s * old + r.c * y;
}

// The block's sum of what its threads bring, in a fixed order, for each of them.
__device__ double jacobi_total(double mine) {
  __shared__ double sums[jacobi_threads];
  sums[threadIdx.x] = mine;
  for (unsigned half = jacobi_threads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
  }
  __syncthreads();
  const double total = sums[0];
  __syncthreads();
  return total;
}

// Whether all but the diagonal is nothing beside the whole.
__device__ bool diagonal(const Jacobi& j) {
  double off = 0, all = 0;
  for (std::int64_t i = threadIdx.x; i < std::int64_t{j.n} * j.n; i += blockDim.x) {
    const double square = j.m[i] * j.m[i];
    all += square;
    if (i / j.n != i % j.n) off += square;
  }
  const double total_off = jacobi_total(off);
  return total_off <= 1e-32 * jacobi_total(all);
}

// All rotations of round r, on both sides of m: a thread takes the four elements where the rows of
// one pair cross the columns of another.
__device__ void rotate_pairs(const Jacobi& j, int r) {
  const int pairs = j.n / 2, lane = static_cast<int>(threadIdx.x % 32);
  for (int i = static_cast<int>(threadIdx.x); i < pairs; i += jacobi_threads) {
    int p, q;
    pair_of(j.n, r, i, p, q);
    j.rotations[i] = rotation_of(j.at(p)[p], j.at(p)[q], j.at(q)[q]);
  }
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x / 32); i < pairs; i += jacobi_threads / 32) {
    int p, q, left, right;
    pair_of(j.n, r, i, p, q);
    const Rotation of_rows = j.rotations[i];
    for (int l = lane; l < pairs; l += 32) {
      pair_of(j.n, r, l, left, right);
      double &a = j.at(p)[left], &b = j.at(p)[right], &c = j.at(q)[left], &d = j.at(q)[right];
      if (i == l) {
        a -= of_rows.t * b;
        d += of_rows.t * b;
        b = c = 0;
        continue;
      }
      const Rotation of_columns = j.rotations[l];
      rotate(of_columns, a, b);
      rotate(of_columns, c, d);
      rotate(of_rows, a, c);
      rotate(of_rows, b, d);
    }
    double *x = j.v + std::int64_t{p} * j.n, *y = j.v + std::int64_t{q} * j.n;
    for (int l = lane; l < j.n; l += 32) rotate(of_rows, x[l], y[l]);
  }
  __syncthreads();
}

// a (n, n), of which the lower triangle is read.
__global__ void __launch_bounds__(jacobi_threads)
    eigen_kernel(std::int64_t n, Jacobi j, double* a, double* values) {
  for (std::int64_t i = threadIdx.x; i < std::int64_t{j.n} * j.n; i += blockDim.x) {
    const std::int64_t row = i / j.n, column = i % j.n;
    const std::int64_t low = row < column ? row : column, high = row + column - low;
    j.m[i] = high < n ? a[high * n + low] : 0;
    j.v[i] = row == column ? 1 : 0;
  }
  __syncthreads();
  for (int sweep = 0; sweep < 60 && !diagonal(j); ++sweep)
    for (int r = 0; r < j.n - 1; ++r) rotate_pairs(j, r);

  // A value's place is the number of those that come before it.
  const auto value = [&](std::int64_t i) { return j.m[i * (j.n + 1)]; };
  for (std::int64_t i = threadIdx.x; i < n; i += blockDim.x) {
    std::int64_t place = 0;
    for (std::int64_t l = 0; l < n; ++l)
      if (value(l) < value(i) || (value(l) == value(i) && l < i)) ++place;
    values[place] = value(i);
    for (std::int64_t l = 0; l < n; ++l) a[place * n + l] = j.v[i * j.n + l];
  }
}

void symmetric_eigen(Tensor& a, Tensor& values) {
  const std::int64_t n = a.size(0), even = n + n % 2;
  if (n == 0) return;
  const auto workspace = [&](std::int64_t size) {
    return Tensor::empty({size}, DType::float64, a.device());
  };
  Tensor m = workspace(even * even), v = workspace(even * even),
         rotations = workspace(even / 2 * 3);
  const Jacobi jacobi{static_cast<int>(even), output<double>(m), output<double>(v),
                      static_cast<Rotation*>(rotations.raw())};
  launch("symmetric_eigen", eigen_kernel, 1, jacobi_threads, 0, n, jacobi, output<double>(a),
         output<double>(values));
}

}  // namespace

void add_symmetric_eigen_kernels(Kernels& table) { table.symmetric_eigen = symmetric_eigen; }

}  // namespace ebb::cuda
