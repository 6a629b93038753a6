// Sorting rows of neighbours by merging: at first every element is a sorted run, and each pass
// makes one of two neighbouring runs, until one is left. A thread an element.
#include <ebb/tensor/cuda/launch.h>
#include <ebb/tensor/cuda/table.h>

#include <utility>

namespace ebb::cuda {

namespace {

// A NaN comes behind everything.
template <class T>
__device__ bool comes_before(T a, T b) {
  return a < b || (a == a && b != b);
}

// In rows of n, runs of `run` elements, a power of two. An element goes as far on as there are
// elements of the other run before it; of equal ones those of the first run come first. Its place
// in the row at the start goes with it: `places`, or its index where that is null; none where
// `to_places` is.
template <class T>
__global__ void merge_runs(std::int64_t count, std::int64_t n, std::int64_t run, const T* x,
                           const std::int64_t* places, T* to, std::int64_t* to_places) {
  for (std::int64_t i = thread_index(); i < count; i += thread_count()) {
    const std::int64_t p = i % n;
    const T* row = x + (i - p);
    const T value = row[p];
    const std::int64_t first = p & -(2 * run);
    const std::int64_t second = first + run < n ? first + run : n;
    const std::int64_t end = second + run < n ? second + run : n;
    const bool in_second = p >= second;
    std::int64_t low = in_second ? first : second, high = in_second ? second : end;
    while (low < high) {
      const std::int64_t middle = (low + high) / 2;
      const T other = row[middle];
      if (in_second ? !comes_before(value, other) : comes_before(other, value))
        low = middle + 1;
      else
        high = middle;
    }
    // Of the first run p - first + (low - second) from `first` on, of the second p - second +
    // (low - first).
    const std::int64_t target = i + low - second;
    to[target] = value;
    if (to_places != nullptr) to_places[target] = places != nullptr ? places[i] : p;
  }
}

// Values and, unless it is null, places in order; each pass reads what the one before it wrote.
// `values` and `other_values` take turns such that the last pass writes `values`; so do places.
template <class T>
void sort_rows(const char* name, std::int64_t count, std::int64_t n, const T* x, T* values,
               T* other_values, std::int64_t* places, std::int64_t* other_places) {
  int passes = 1;
  while (std::int64_t{1} << passes < n) ++passes;
  if (passes % 2 == 0) {
    std::swap(values, other_values);
    std::swap(places, other_places);
  }
  const T* from = x;
  const std::int64_t* from_places = nullptr;
  for (int pass = 0; pass < passes; ++pass) {
    launch(name, merge_runs<T>, blocks_for(count), block_threads, 0, count, n,
           std::int64_t{1} << pass, from, from_places, values, places);
    from = values;
    from_places = places;
    std::swap(values, other_values);
    std::swap(places, other_places);
  }
}

void sort(const Tensor& x, const AxisView& along, Tensor& out) {
  if (x.numel() == 0) return;
  Tensor other = Tensor::empty(x.shape(), x.dtype(), x.device());
  dispatch_all(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    sort_rows<T>("sort", x.numel(), along.n, input<T>(x), output<T>(out), output<T>(other), nullptr,
                 nullptr);
  });
}

void argsort(const Tensor& x, const AxisView& along, Tensor& out) {
  if (x.numel() == 0) return;
  Tensor values = Tensor::empty(x.shape(), x.dtype(), x.device());
  Tensor other = Tensor::empty(x.shape(), x.dtype(), x.device());
  Tensor places = Tensor::empty(x.shape(), DType::int64, x.device());
  dispatch_all(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    sort_rows<T>("argsort", x.numel(), along.n, input<T>(x), output<T>(values), output<T>(other),
                 output<std::int64_t>(out), output<std::int64_t>(places));
  });
}

}  // namespace

void add_sort_kernels(Kernels& table) {
  table.sort = sort;
  table.argsort = argsort;
}

}  // namespace ebb::cuda
