// Strided copies. The plain kernel is a thread an element of the walk. Most copies are less than
// they seem: dimensions of size 1 go, neighbours that both sides walk together become one, and what
// remains may be walked in any order, of which the best writes to neighbours in memory. Where the
// other side has its neighbours along another dimension, tiles go through shared memory.
#include <ebb/tensor/cuda/common/walk.h>
#include <ebb/tensor/cuda/launch.h>
#include <ebb/tensor/cuda/pointwise/layout.h>
#include <ebb/tensor/cuda/table.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

namespace ebb::cuda {

namespace {

// ---- Plain ----

template <class T>
__global__ void copy_view_kernel(std::int64_t n, Walk walk, Strides from, Strides to, const T* x,
                                 T* out) {
  for (std::int64_t i = thread_index(); i < n; i += thread_count())
    out[place(to, walk, i)] = x[place(from, walk, i)];
}

void copy_plain(const Tensor& x, const View& from, Tensor& out, const View& to, const Shape& walk) {
  dispatch_all(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch("copy_view", copy_view_kernel<T>, blocks_for(walk.numel()), block_threads, 0,
           walk.numel(), walk_over(walk), strides_of(from), strides_of(to), input<T>(x),
           output<T>(out));
  });
}

// ---- Fast: by bytes, with indices of 32 bits ----

struct Step {
  std::int64_t size, from, to;  // in elements
};

// The walk's dimensions, those that both sides take together as one; the one along which `to` has
// its neighbours is the last.
std::vector<Step> steps_of(const View& from, const View& to, const Shape& walk) {
  std::vector<Step> dimensions;
  for (std::size_t d = 0; d < static_cast<std::size_t>(walk.rank()); ++d)
    if (walk.begin()[d] != 1)
      dimensions.push_back({walk.begin()[d], from.strides[d], to.strides[d]});
  std::stable_sort(dimensions.begin(), dimensions.end(),
                   [](const Step& a, const Step& b) { return std::abs(a.to) > std::abs(b.to); });
  std::vector<Step> steps;
  for (const Step& next : dimensions)
    if (!steps.empty() && steps.back().from == next.from * next.size &&
        steps.back().to == next.to * next.size)
      steps.back() = {steps.back().size * next.size, next.from, next.to};
    else
      steps.push_back(next);
  if (steps.empty()) steps.push_back({1, 1, 1});
  return steps;
}

// Whether no place is 2^31 or more away from the first.
bool reaches_32_bits(const std::vector<Step>& steps) {
  std::int64_t n = 1, from = 0, to = 0;
  for (const Step& step : steps) {
    n *= step.size;
    from += (step.size - 1) * std::abs(step.from);
    to += (step.size - 1) * std::abs(step.to);
  }
  return std::max({n, from, to}) <= INT32_MAX;
}

constexpr int most_steps = 5;

struct SmallSteps {
  int rank = 0;
  std::uint32_t size[most_steps] = {};
  std::int32_t from[most_steps] = {}, to[most_steps] = {};
};
SmallSteps small(const std::vector<Step>& steps) {
  SmallSteps result;
  for (const Step& step : steps) {
    const int d = result.rank++;
    result.size[d] = static_cast<std::uint32_t>(step.size);
    result.from[d] = static_cast<std::int32_t>(step.from);
    result.to[d] = static_cast<std::int32_t>(step.to);
  }
  return result;
}

struct Places {
  std::int32_t from = 0, to = 0;
};
// Its loop is of known length, so that the steps are read where they came, as parameters.
__device__ Places places(const SmallSteps& steps, std::uint32_t i) {
  Places result;
  for (int d = most_steps - 1; d >= 0; --d)
    if (d < steps.rank) {
      const auto at = static_cast<std::int32_t>(d == 0 ? i : i % steps.size[d]);
      result.from += at * steps.from[d];
      result.to += at * steps.to[d];
      i /= steps.size[d];
    }
  return result;
}

template <class Unit>
__global__ void merged_copy_kernel(std::uint32_t n, SmallSteps steps, const Unit* x, Unit* out) {
  for (std::uint32_t i = thread_index(); i < n; i += thread_count()) {
    const Places at = places(steps, i);
    out[at.to] = x[at.from];
  }
}

constexpr std::uint32_t side = 32, lines = 8;  // of a tile; that a block moves at once

// Of a copy whose sides have their neighbours along `a` (from) and `b` (to).
struct Tiles {
  SmallSteps rest;
  std::uint32_t count, across, down;  // tiles in all; along a and b
  std::uint32_t a, b;                 // sizes
  std::int32_t a_from, a_to, b_from, b_to;
};

template <class Unit>
__global__ void tiled_copy_kernel(Tiles tiles, const Unit* x, Unit* out) {
  __shared__ Unit tile[side][side + 1];
  for (std::uint32_t t = blockIdx.x; t < tiles.count; t += gridDim.x) {
    const std::uint32_t a0 = t % tiles.across * side, b0 = t / tiles.across % tiles.down * side;
    const Places at = places(tiles.rest, t / tiles.across / tiles.down);
    for (std::uint32_t line = threadIdx.y; line < side; line += lines) {
      const std::uint32_t a = a0 + threadIdx.x, b = b0 + line;
      if (a < tiles.a && b < tiles.b)
        tile[line][threadIdx.x] =
            x[at.from + std::int32_t(a) * tiles.a_from + std::int32_t(b) * tiles.b_from];
    }
    __syncthreads();
    for (std::uint32_t line = threadIdx.y; line < side; line += lines) {
      const std::uint32_t a = a0 + line, b = b0 + threadIdx.x;
      if (a < tiles.a && b < tiles.b)
        out[at.to + std::int32_t(a) * tiles.a_to + std::int32_t(b) * tiles.b_to] =
            tile[threadIdx.x][line];
    }
    __syncthreads();
  }
}

// Below so many elements most of a tile's lanes would have nothing to do.
constexpr std::int64_t worth_a_tile = 8;

// The step along which `from` has its neighbours, where that is another one than to's and both are
// long enough; else the last one.
std::size_t other_side(const std::vector<Step>& steps) {
  const Step& last = steps.back();
  if (last.to == 1 && std::abs(last.from) > 1 && last.size >= worth_a_tile)
    for (std::size_t d = 0; d + 1 < steps.size(); ++d)
      if (std::abs(steps[d].from) == 1 && steps[d].size >= worth_a_tile) return d;
  return steps.size() - 1;
}

template <class Unit>
void copy_tiled(std::vector<Step> steps, std::size_t other, const void* x, void* out) {
  const Step b = steps.back(), a = steps[other];
  steps.pop_back();
  steps.erase(steps.begin() + static_cast<std::ptrdiff_t>(other));
  std::int64_t count = 1;
  for (const Step& step : steps) count *= step.size;
  Tiles tiles{};
  tiles.rest = small(steps);
  tiles.across = static_cast<std::uint32_t>((a.size + side - 1) / side);
  tiles.down = static_cast<std::uint32_t>((b.size + side - 1) / side);
  tiles.count = static_cast<std::uint32_t>(count) * tiles.across * tiles.down;
  tiles.a = static_cast<std::uint32_t>(a.size);
  tiles.b = static_cast<std::uint32_t>(b.size);
  tiles.a_from = static_cast<std::int32_t>(a.from);
  tiles.a_to = static_cast<std::int32_t>(a.to);
  tiles.b_from = static_cast<std::int32_t>(b.from);
  tiles.b_to = static_cast<std::int32_t>(b.to);
  const auto at_once = static_cast<std::uint32_t>(8 * multiprocessors());
  launch("copy_view", tiled_copy_kernel<Unit>, std::min(tiles.count, at_once), dim3(side, lines), 0,
         tiles, static_cast<const Unit*>(x), static_cast<Unit*>(out));
}

// Makes two elements one; false where that cannot be.
bool pair_up(std::vector<Step>& steps, const void* x, const void* out, std::size_t bytes) {
  const auto aligned = [&](const void* p) {
    return reinterpret_cast<std::uintptr_t>(p) % (2 * bytes) == 0;
  };
  const auto even = [](const Step& step) { return step.from % 2 == 0 && step.to % 2 == 0; };
  const Step last = steps.back();
  if (last.from != 1 || last.to != 1 || last.size % 2 != 0 || !aligned(x) || !aligned(out) ||
      !std::all_of(steps.begin(), steps.end() - 1, even))
    return false;
  for (Step& step : steps) step = {step.size, step.from / 2, step.to / 2};
  steps.back() = {last.size / 2, 1, 1};
  return true;
}

template <class Unit>
void copy_merged(const std::vector<Step>& steps, const void* x, void* out) {
  std::int64_t n = 1;
  for (const Step& step : steps) n *= step.size;
  launch("copy_view", merged_copy_kernel<Unit>, blocks_for(n), block_threads, 0,
         static_cast<std::uint32_t>(n), small(steps), static_cast<const Unit*>(x),
         static_cast<Unit*>(out));
}

void copy_view(const Tensor& x, const View& from, Tensor& out, const View& to, const Shape& walk) {
  std::vector<Step> steps = steps_of(from, to, walk);
  if (steps.size() > most_steps || !reaches_32_bits(steps))
    return copy_plain(x, from, out, to, walk);
  std::size_t bytes = size_of(x.dtype());
  const auto* const source = static_cast<const std::byte*>(x.raw()) + from.offset * bytes;
  auto* const target = static_cast<std::byte*>(out.raw()) + to.offset * bytes;
  if (const std::size_t other = other_side(steps); other + 1 < steps.size())
    return bytes == 4 ? copy_tiled<std::uint32_t>(steps, other, source, target)
                      : copy_tiled<std::uint64_t>(steps, other, source, target);
  while (bytes < 16 && pair_up(steps, source, target, bytes)) bytes *= 2;
  if (bytes == 4) return copy_merged<std::uint32_t>(steps, source, target);
  if (bytes == 8) return copy_merged<std::uint64_t>(steps, source, target);
  copy_merged<uint4>(steps, source, target);
}

}  // namespace

void add_layout_kernels(Kernels& table) {
  table.copy_view = copy_view;
  add_gather_kernels(table);
}

}  // namespace ebb::cuda
