// Rows chosen by an index. It is checked by check_index, whose word comes only with the next
// download: what a bad index asks for is left out until then.
#include <ebb/tensor/cuda/common/index.h>
#include <ebb/tensor/cuda/launch.h>
#include <ebb/tensor/cuda/pointwise/layout.h>
#include <ebb/tensor/cuda/runtime/runtime.h>

#include <algorithm>

namespace ebb::cuda {

namespace {

// The sizes (outer, n, inner) and (outer, k, inner), and where an index is.
template <class Index>
struct Chosen {
  Index outer, n, k, inner;
  const std::int64_t* index;
  Index outer_step, step, inner_step;
};
template <class Index>
Chosen<Index> chosen(const AxisView& along, const Tensor& index, const View& at,
                     std::int64_t numel) {
  const std::int64_t k = numel == 0 ? 0 : numel / (along.outer * along.inner);
  return {Index(along.outer),
          Index(along.n),
          Index(k),
          Index(along.inner),
          input<std::int64_t>(index) + at.offset,
          Index(at.strides[0]),
          Index(at.strides[1]),
          Index(at.strides[2])};
}

// ---- The index's check ----

constexpr unsigned check_threads = 1024;

// One block: the first bad index is told, unless an earlier call has told one.
__global__ void check_index_kernel(std::int64_t count, const std::int64_t* index, std::int64_t n,
                                   int operation, Fault* fault) {
  using Place = unsigned long long;  // as atomicMin has it
  __shared__ Place first;
  if (threadIdx.x == 0) first = static_cast<Place>(count);
  __syncthreads();
  std::int64_t mine = count;
  for (std::int64_t i = threadIdx.x; i < count; i += check_threads)
    if ((index[i] < 0 || index[i] >= n) && i < mine) mine = i;
  if (mine < count) atomicMin(&first, static_cast<Place>(mine));
  __syncthreads();
  if (threadIdx.x == 0 && first < static_cast<Place>(count) && fault->operation == 0)
    *fault = {operation, index[first], n};
}

void check_index(std::string_view operation, const Tensor& index, std::int64_t n) {
  if (index.numel() == 0) return;
  launch("check_index", check_index_kernel, 1, check_threads, 0, index.numel(),
         input<std::int64_t>(index), n, fault_name(operation), fault_of_current_device());
}

// ---- gather ----

// A thread an element of out.
template <class T, class Index>
__global__ void gather_kernel(Index numel, Chosen<Index> c, const T* x, T* out) {
  for (Index at = thread_index(); at < numel; at += thread_count()) {
    const Index i = at % c.inner, line = at / c.inner, j = line % c.k, o = line / c.k;
    const std::int64_t row = c.index[o * c.outer_step + j * c.step + i * c.inner_step];
    if (row >= 0 && row < c.n) out[at] = x[(o * c.n + Index(row)) * c.inner + i];
  }
}

template <class T>
void gather_by(const Tensor& x, const AxisView& along, const Tensor& index, const View& at,
               std::int64_t numel, Tensor& out) {
  const std::int64_t bound = std::max({numel, index.numel(), along.outer * along.n * along.inner});
  with_index(bound, [&](auto zero) {
    using Index = decltype(zero);
    launch("gather", gather_kernel<T, Index>, blocks_for(numel), block_threads, 0, Index(numel),
           chosen<Index>(along, index, at, numel), input<T>(x), output<T>(out));
  });
}

void gather(const Tensor& x, const AxisView& along, const Tensor& index, const View& at,
            Tensor& out) {
  // Whole rows may move 16 bytes at a time.
  const std::int64_t together = 16 / static_cast<std::int64_t>(size_of(x.dtype()));
  if (at.strides[2] == 0 && along.inner % together == 0)
    return gather_by<uint4>(x, {along.outer, along.n, along.inner / together}, index, at,
                            out.numel() / together, out);
  if (together == 4) return gather_by<std::uint32_t>(x, along, index, at, out.numel(), out);
  gather_by<std::uint64_t>(x, along, index, at, out.numel(), out);
}

// ---- Its adjoint: what is added to one place is added in order of j ----

// Plain: a thread a column (o, i). No other one adds to it.
template <class T, class Index>
__global__ void scatter_columns_kernel(Chosen<Index> c, const T* grad, T* x) {
  for (Index column = thread_index(); column < c.outer * c.inner; column += thread_count()) {
    const Index i = column % c.inner, o = column / c.inner;
    for (Index j = 0; j < c.k; ++j) {
      const std::int64_t row = c.index[o * c.outer_step + j * c.step + i * c.inner_step];
      if (row >= 0 && row < c.n)
        x[(o * c.n + Index(row)) * c.inner + i] += grad[(o * c.k + j) * c.inner + i];
    }
  }
}

// Fast, for few columns of which whole rows are chosen, as of an embedding: a block for each place
// j, which has work if j is the first one with its index. It then takes all that have the same, 256
// places at a time, as bits.
constexpr unsigned place_threads = 256;

template <class T, class Index>
__global__ void scatter_rows_kernel(Chosen<Index> c, Index pieces, const T* grad, T* x) {
  __shared__ unsigned same[place_threads / 32];
  for (Index task = blockIdx.x; task < c.outer * c.k * pieces; task += gridDim.x) {
    const Index piece = task % pieces, o = task / pieces / c.k, mine = task / pieces % c.k;
    const std::int64_t* const index = c.index + o * c.outer_step;
    const std::int64_t row = index[mine * c.step];
    bool first = row >= 0 && row < c.n;
    for (Index end = mine; first && end > 0; end = end < place_threads ? 0 : end - place_threads)
      first =
          !__syncthreads_or(threadIdx.x < end && index[(end - 1 - threadIdx.x) * c.step] == row);
    if (!first) continue;
    const Index i = piece * place_threads + threadIdx.x;
    T* const to = x + (o * c.n + Index(row)) * c.inner + i;
    T sum = i < c.inner ? *to : T(0);
    for (Index begin = mine; begin < c.k; begin += place_threads) {
      const Index j = begin + threadIdx.x;
      const unsigned bits = __ballot_sync(~0u, j < c.k && index[j * c.step] == row);
      if (threadIdx.x % 32 == 0) same[threadIdx.x / 32] = bits;
      __syncthreads();
      for (unsigned warp = 0; warp < place_threads / 32; ++warp)
        for (unsigned left = same[warp]; left != 0; left &= left - 1) {
          const Index from = begin + warp * 32 + __ffs(static_cast<int>(left)) - 1;
          if (i < c.inner) sum += grad[(o * c.k + from) * c.inner + i];
        }
      __syncthreads();
    }
    if (i < c.inner) *to = sum;
  }
}

void scatter_add(const Tensor& grad, const AxisView& along, const Tensor& index, const View& at,
                 Tensor& x) {
  if (grad.numel() == 0) return;
  const std::int64_t columns = along.outer * along.inner, k = grad.numel() / columns;
  const std::int64_t pieces = (along.inner + place_threads - 1) / place_threads;
  const std::int64_t tasks = along.outer * k * pieces;
  const bool whole_rows = at.strides[2] == 0 || along.inner == 1;
  // Columns by themselves keep the device busy if there are many, and are short if k is small.
  const bool by_rows = whole_rows && columns < 128 * 256 && k >= 32;
  const std::int64_t bound = std::max({grad.numel(), index.numel(), x.numel(), tasks});
  dispatch_all(grad.dtype(), [&](auto zero) {
    with_index(bound, [&](auto index_zero) {
      using T = decltype(zero);
      using Index = decltype(index_zero);
      const Chosen<Index> c = chosen<Index>(along, index, at, grad.numel());
      if (by_rows)
        launch("scatter_add", scatter_rows_kernel<T, Index>,
               static_cast<unsigned>(std::min<std::int64_t>(tasks, 1 << 30)), place_threads, 0, c,
               Index(pieces), input<T>(grad), output<T>(x));
      else
        launch("scatter_add", scatter_columns_kernel<T, Index>, blocks_for(columns), block_threads,
               0, c, input<T>(grad), output<T>(x));
    });
  });
}

}  // namespace

void add_gather_kernels(Kernels& table) {
  table.check_index = check_index;
  table.gather = gather;
  table.scatter_add = scatter_add;
}

}  // namespace ebb::cuda
