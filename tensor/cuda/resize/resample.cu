// out[n, h, w, c] = sum over the taps of row h and of column w of by_h by_w x[n, from_h, from_w,
// c]. A thread an element, channels in neighbouring threads. Sums are T's: of a row's taps, then of
// the rows, as the CPU has them.
#include <ebb/tensor/cuda/common/index.h>
#include <ebb/tensor/cuda/launch.h>
#include <ebb/tensor/cuda/runtime/constants.h>
#include <ebb/tensor/cuda/table.h>

#include <algorithm>
#include <bit>

namespace ebb::cuda {

namespace {

// ResizeWeights in device memory.
struct Taps {
  const std::int64_t *first, *source;
  const double* weight;
};

// Of both sides, as one table.
std::array<Taps, 2> on_device(const ResizeWeights& rows, const ResizeWeights& columns) {
  std::vector<std::int64_t> words;
  for (const ResizeWeights* side : {&rows, &columns}) {
    words.insert(words.end(), side->first.begin(), side->first.end());
    words.insert(words.end(), side->source.begin(), side->source.end());
    for (const double weight : side->weight) words.push_back(std::bit_cast<std::int64_t>(weight));
  }
  const std::int64_t* at = constants(words);
  std::array<Taps, 2> result;
  for (int i = 0; i < 2; ++i) {
    const ResizeWeights& side = i == 0 ? rows : columns;
    const std::int64_t* const source = at + side.first.size();
    const std::int64_t* const weight = source + side.source.size();
    result[i] = {at, source, reinterpret_cast<const double*>(weight)};
    at = weight + side.weight.size();
  }
  return result;
}

template <class T, class Index>
__global__ void resample_kernel(Index n, Index height, Index width, Index channels, Taps rows,
                                Taps columns, Index x_height, Index x_width, const T* x, T* out) {
  for (Index at = thread_index(); at < n; at += thread_count()) {
    const Index c = at % channels, pixel = at / channels;
    const Index w = pixel % width, row = pixel / width;
    const Index h = row % height, image = row / height;
    const T* const from = x + image * x_height * x_width * channels + c;
    const Index left = columns.first[w], right = columns.first[w + 1];
    T sum = 0;
    for (Index i = rows.first[h]; i < Index(rows.first[h + 1]); ++i) {
      const T* const line = from + Index(rows.source[i]) * x_width * channels;
      T across = 0;
      for (Index j = left; j < right; ++j)
        across += T(columns.weight[j]) * line[Index(columns.source[j]) * channels];
      sum += T(rows.weight[i]) * across;
    }
    out[at] = sum;
  }
}

void resample(const Tensor& x, const ResizeWeights& rows, const ResizeWeights& columns,
              Tensor& out) {
  const auto [down, across] = on_device(rows, columns);
  const std::int64_t bound = std::max({x.numel(), out.numel(), std::int64_t(rows.weight.size()),
                                       std::int64_t(columns.weight.size())});
  dispatch_floating("resample", x.dtype(), [&, down = down, across = across](auto zero) {
    with_index(bound, [&](auto index) {
      using T = decltype(zero);
      using Index = decltype(index);
      launch("resample", resample_kernel<T, Index>, blocks_for(out.numel()), block_threads, 0,
             Index(out.numel()), Index(out.size(1)), Index(out.size(2)), Index(out.size(3)), down,
             across, Index(x.size(1)), Index(x.size(2)), input<T>(x), output<T>(out));
    });
  });
}

}  // namespace

void add_resample_kernels(Kernels& table) { table.resample = resample; }

}  // namespace ebb::cuda
