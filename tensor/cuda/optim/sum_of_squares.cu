// Each block adds the squares of one piece of one tensor; one block adds what they have found. The
// order depends on the tensors' sizes alone.
#include <ebb/tensor/cuda/optim/slots.h>
#include <ebb/tensor/cuda/table.h>

namespace ebb::cuda {

namespace {

template <class T>
struct Squared {
  const T* x;
  std::int64_t count;
};

// The sum of what the block's threads bring, by halves, in thread 0.
__device__ double block_total(double mine) {
  __shared__ double sums[block_threads];
  sums[threadIdx.x] = mine;
  for (unsigned half = block_threads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
  }
  return threadIdx.x == 0 ? sums[0] : 0;
}

template <class T>
__global__ void squares_of_pieces(const SlotTable<Squared<T>> table, double* sums) {
  std::int64_t begin, end;
  const T* x = table.slot[table.of_block(begin, end)].x;
  double sum = 0;
  for (std::int64_t i = begin + threadIdx.x; i < end; i += blockDim.x)
    sum += double(x[i]) * double(x[i]);
  const double total = block_total(sum);
  if (threadIdx.x == 0) sums[blockIdx.x] = total;
}

__global__ void add_pieces(std::int64_t n, const double* sums, double* out) {
  double sum = 0;
  for (std::int64_t i = threadIdx.x; i < n; i += blockDim.x) sum += sums[i];
  const double total = block_total(sum);
  if (threadIdx.x == 0) *out = total;
}

// Writes the pieces' sums of all tensors of T from `to` on; how many they are.
template <class T>
std::int64_t square_tensors(const std::vector<Tensor>& tensors, DType dtype, double* to) {
  std::vector<Squared<T>> slots;
  for (const Tensor& t : tensors)
    if (t.dtype() == dtype && t.numel() > 0) slots.push_back({input<T>(t), t.numel()});
  std::int64_t written = 0;
  for_tables(slots, [&](const auto& table) {
    launch("sum_of_squares", squares_of_pieces<T>, table.blocks(), block_threads, 0, table,
           to + written);
    written += table.blocks();
  });
  return written;
}

void sum_of_squares(const std::vector<Tensor>& tensors, Tensor& out) {
  std::int64_t pieces = 0;
  for (const Tensor& t : tensors) pieces += (t.numel() + piece - 1) / piece;
  Tensor sums = Tensor::empty({pieces}, DType::float64, out.device());
  double* const first = output<double>(sums);
  const std::int64_t written = square_tensors<float>(tensors, DType::float32, first);
  square_tensors<double>(tensors, DType::float64, first + written);
  launch("sum_of_squares", add_pieces, 1, block_threads, 0, pieces, input<double>(sums),
         output<double>(out));
}

}  // namespace

void add_sum_of_squares(Kernels& table) { table.sum_of_squares = sum_of_squares; }

}  // namespace ebb::cuda
