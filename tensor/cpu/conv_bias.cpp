#include <ebb/tensor/cpu/conv_bias.h>
#include <ebb/tensor/cpu/scratch.h>
#include <ebb/tensor/cpu/threads.h>

#include <algorithm>

namespace ebb::cpu {

namespace {
constexpr std::int64_t block_pixels = 2048, run_pixels = 32;
struct Partial;
struct Run;
}  // namespace

template <class T>
void sum_pixels(std::int64_t pixels, std::int64_t channels, const T* dy, T* sums) {
  const std::int64_t blocks = (pixels + block_pixels - 1) / block_pixels;
  double* partial = scratch<Partial, double>(blocks * channels);
  std::fill_n(partial, blocks * channels, 0.0);
  parallel_for(pixels, block_pixels, [&](std::int64_t begin, std::int64_t end) {
    T* run = scratch<Run, T>(channels);
    double* total = partial + begin / block_pixels * channels;
    for (std::int64_t p = begin; p < end; p += run_pixels) {
      std::fill_n(run, channels, T(0));
      for (std::int64_t q = p; q < std::min(end, p + run_pixels); ++q)
        for (std::int64_t c = 0; c < channels; ++c) run[c] += dy[q * channels + c];
      for (std::int64_t c = 0; c < channels; ++c) total[c] += static_cast<double>(run[c]);
    }
  });
  for (std::int64_t c = 0; c < channels; ++c) {
    double total = 0;
    for (std::int64_t b = 0; b < blocks; ++b) total += partial[b * channels + c];
    sums[c] = static_cast<T>(total);
  }
}

template void sum_pixels(std::int64_t, std::int64_t, const float*, float*);
template void sum_pixels(std::int64_t, std::int64_t, const double*, double*);

}  // namespace ebb::cpu
