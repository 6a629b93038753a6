// float32 by pieces: one block a group would leave most of the device idle, and its threads would
// read a few channels here and there. So a block takes some positions of one sample with up to 256
// neighbouring channels, and what the pieces found is put together in an order that the sizes
// alone decide.
//
//   forward    moments of each channel of a piece -> mean and rstd of each group -> y
//   backward   sums of g and g n, as above -> their means over a group, and the sums of each
//              parameter over all pieces -> dx
#include <ebb/tensor/cuda/launch.h>
#include <ebb/tensor/cuda/norm/norm_kernels.h>
#include <ebb/tensor/cuda/norm/over_rows.h>
#include <ebb/tensor/scalar_math.h>

#include <algorithm>

namespace ebb::cuda {

namespace {

// Rows of channels, `rows` times `outer` of them, in pieces; `width` channels and `height` rows of
// them are a block's threads.
struct Pieces {
  int outer, rows, channels;
  int tiles, width, height;
  int length, count;  // rows of a piece; pieces of `rows` rows

  Pieces(std::int64_t outer_, std::int64_t rows_, std::int64_t channels_)
      : outer(static_cast<int>(outer_)),
        rows(static_cast<int>(rows_)),
        channels(static_cast<int>(channels_)) {
    constexpr int threads = int{block_threads}, each = 16, most = 512;
    tiles = (channels + threads - 1) / threads;
    width = (channels + tiles - 1) / tiles;
    height = std::clamp(threads / width, 1, rows);
    length = std::max(each * height, (rows + most - 1) / most);
    count = (rows + length - 1) / length;
  }
  dim3 block() const { return dim3(static_cast<unsigned>(width), static_cast<unsigned>(height)); }
  unsigned blocks() const { return static_cast<unsigned>(outer * count * tiles); }
  // Two numbers of each channel of each piece.
  Shape parts() const { return {outer, count, 2, channels}; }
};

// This thread's channel, and its rows of its block's piece.
struct Place {
  int part, outer, channel, first, end;
  bool there;  // the last tile may be narrower than its block

  __device__ explicit Place(const Pieces& p)
      : part(static_cast<int>(blockIdx.x) / p.tiles),
        outer(part / p.count),
        channel(static_cast<int>(blockIdx.x) % p.tiles * p.width + static_cast<int>(threadIdx.x)),
        there(channel < p.channels) {
    const int begin = part % p.count * p.length, left = p.rows - begin;
    first = outer * p.rows + begin + static_cast<int>(threadIdx.y);
    end = outer * p.rows + begin + (left < p.length ? left : p.length);
  }
};

// Of `count` values: their mean, and the sum of squares of what they are off it.
struct Moments {
  float count, mean, squares;
};

// Chan, Golub & LeVeque 1983.
__device__ Moments merged(const Moments& a, const Moments& b) {
  if (b.count == 0) return a;
  const float count = a.count + b.count, off = b.mean - a.mean, share = b.count / count;
  return {count, a.mean + off * share, a.squares + b.squares + off * off * (a.count * share)};
}

// Of `count` values `step` apart, less `shift`. Of eight at a time the mean is known before the
// squares are taken.
__device__ Moments moments_of(const float* x, int count, int step, float shift) {
  constexpr int together = 8;
  Moments all{0, 0, 0};
  for (int i = 0; i < count; i += together) {
    const int n = count - i < together ? count - i : together;
    float d[together], sum = 0, squares = 0;
#pragma unroll
    for (int e = 0; e < together; ++e) d[e] = e < n ? x[(i + e) * step] - shift : 0;
#pragma unroll
    for (int e = 0; e < together; ++e) sum += d[e];
    const float mean = sum / static_cast<float>(n);
#pragma unroll
    for (int e = 0; e < together; ++e) {
      const float off = e < n ? d[e] - mean : 0;
      squares += off * off;
    }
    all = merged(all, {static_cast<float>(n), mean, squares});
  }
  return all;
}

// The first value of a group is near enough to its mean that differences to it lose no digits,
// wherever the mean is.
__device__ float shift_of(const Pieces& p, const float* x, int outer, int group, int width) {
  return x[outer * p.rows * p.channels + group * width];
}

__global__ void moments_kernel(const Pieces p, int width, const float* x, float* parts) {
  __shared__ Moments shared[block_threads];
  const Place at(p);
  Moments mine{0, 0, 0};
  if (at.there && at.first < at.end)
    mine = moments_of(x + at.first * p.channels + at.channel,
                      (at.end - at.first + p.height - 1) / p.height, p.height * p.channels,
                      shift_of(p, x, at.outer, at.channel / width, width));
  mine = over_rows(mine, shared, merged);
  if (!at.there || threadIdx.y > 0) return;
  parts[2 * at.part * p.channels + at.channel] = mine.mean;
  parts[(2 * at.part + 1) * p.channels + at.channel] = mine.squares;
}

// A block a group.
__global__ void statistics_kernel(const Pieces p, int width, double eps, const float* x,
                                  const float* parts, float* means, float* rstds, float* offs) {
  __shared__ Moments shared[block_threads];
  const int groups = p.channels / width, i = static_cast<int>(blockIdx.x);
  Moments mine{0, 0, 0};
  for (int e = static_cast<int>(threadIdx.y); e < p.count * width; e += blockDim.y) {
    const int piece = e / width, left = p.rows - piece * p.length;
    const float* part =
        parts + 2 * (i / groups * p.count + piece) * p.channels + i % groups * width + e % width;
    mine = merged(
        mine, {static_cast<float>(left < p.length ? left : p.length), part[0], part[p.channels]});
  }
  mine = over_rows(mine, shared, merged);
  if (threadIdx.y > 0) return;
  const double size = double(p.rows) * width;
  means[i] = float(double(shift_of(p, x, i / groups, i % groups, width)) + double(mine.mean));
  rstds[i] = float(1 / std::sqrt(double(mine.squares) / size + eps));
  offs[i] = mine.mean;
}

template <bool silu>
__global__ void normalize_kernel(const Pieces p, int width, const Affine<float> affine,
                                 const float* x, const float* rstds, const float* offs, float* y) {
  const Place at(p);
  if (!at.there) return;
  const int group = at.channel / width, i = at.outer * (p.channels / width) + group;
  const float shift = shift_of(p, x, at.outer, group, width), off = offs[i];
  const float scale = rstds[i] * affine.scale(at.outer, at.channel);
  const float bias = affine.shift(at.outer, at.channel);
#pragma unroll 8
  for (int row = at.first; row < at.end; row += p.height) {
    const int place = row * p.channels + at.channel;
    const float z = (x[place] - shift - off) * scale + bias;
    y[place] = silu ? z * detail::sigmoid(z) : z;
  }
}

// ---- Backward ----

struct Sums {
  float g, gn;
};
struct DoubleSums {
  double g, gn;
};

// One channel of one group: n = (x - mean) rstd, and the gradient g by n weight + bias.
struct Channel {
  float mean, rstd, weight, bias;

  __device__ Channel(const Affine<float>& affine, int sample, int channel, const float* means,
                     const float* rstds, int group)
      : mean(means[group]),
        rstd(rstds[group]),
        weight(affine.scale(sample, channel)),
        bias(affine.shift(sample, channel)) {}
  __device__ float n(float x) const { return (x - mean) * rstd; }
  template <bool silu>
  __device__ float g(float grad, float n) const {
    return silu ? grad * detail::silu_derivative(n * weight + bias) : grad;
  }
};

// `samples_are_rows`: positions are 1 and the pieces are of samples.
template <bool silu, bool samples_are_rows>
__global__ void sums_kernel(const Pieces p, int width, const Affine<float> affine,
                            const float* grad, const float* x, const float* means,
                            const float* rstds, float* parts) {
  __shared__ Sums shared[block_threads];
  const Place at(p);
  const int groups = p.channels / width, group = at.channel / width;
  Sums mine{0, 0};
  if (at.there && at.first < at.end) {
    Channel of(affine, at.outer, at.channel, means, rstds, at.outer * groups + group);
#pragma unroll 4
    for (int row = at.first; row < at.end; row += p.height) {
      if constexpr (samples_are_rows) {
        of.mean = means[row * groups + group];
        of.rstd = rstds[row * groups + group];
      }
      const int place = row * p.channels + at.channel;
      const float n = of.n(x[place]), g = of.g<silu>(grad[place], n);
      mine.g += g;
      mine.gn += g * n;
    }
  }
  mine = over_rows(mine, shared, [](const Sums& a, const Sums& b) {
    return Sums{a.g + b.g, a.gn + b.gn};
  });
  if (!at.there || threadIdx.y > 0) return;
  parts[2 * at.part * p.channels + at.channel] = mine.g;
  parts[(2 * at.part + 1) * p.channels + at.channel] = mine.gn;
}

// The sum of get(e), e < count, over the rows of the block.
template <class Get>
__device__ DoubleSums sum_parts(int count, DoubleSums* shared, const Get& get) {
  DoubleSums mine{0, 0};
  for (int e = static_cast<int>(threadIdx.y); e < count; e += blockDim.y) {
    const DoubleSums one = get(e);
    mine = {mine.g + one.g, mine.gn + one.gn};
  }
  return over_rows(mine, shared, [](const DoubleSums& a, const DoubleSums& b) {
    return DoubleSums{a.g + b.g, a.gn + b.gn};
  });
}

// A block a group: the means of g w and g w n.
__global__ void group_means_kernel(const Pieces p, int width, const Affine<float> affine,
                                   const float* parts, float* group_means) {
  __shared__ DoubleSums shared[block_threads];
  const int groups = p.channels / width, i = static_cast<int>(blockIdx.x), sample = i / groups;
  const DoubleSums all = sum_parts(p.count * width, shared, [&](int e) {
    const int channel = i % groups * width + e % width;
    const float* part = parts + 2 * (sample * p.count + e / width) * p.channels + channel;
    const double w = double(affine.scale(sample, channel));
    return DoubleSums{w * double(part[0]), w * double(part[p.channels])};
  });
  if (threadIdx.y > 0) return;
  const double size = double(p.rows) * width;
  group_means[2 * i] = float(all.g / size);
  group_means[2 * i + 1] = float(all.gn / size);
}

// A column of a block's threads has a parameter: channel `i % channels`, over `pieces` pieces.
__global__ void parameters_kernel(int count, int channels, int pieces, const float* parts,
                                  float* dw, float* db) {
  __shared__ DoubleSums shared[block_threads];
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  const DoubleSums all = sum_parts(i < count ? pieces : 0, shared, [&](int e) {
    const float* part = parts + 2 * (i / channels * pieces + e) * channels + i % channels;
    return DoubleSums{double(part[0]), double(part[channels])};
  });
  if (threadIdx.y > 0 || i >= count) return;
  dw[i] = float(all.gn);
  db[i] = float(all.g);
}

// dx may be grad.
template <bool silu>
__global__ void data_kernel(const Pieces p, int width, const Affine<float> affine,
                            const float* grad, const float* x, const float* means,
                            const float* rstds, const float* group_means, float* dx) {
  const Place at(p);
  if (!at.there) return;
  const int i = at.outer * (p.channels / width) + at.channel / width;
  const Channel of(affine, at.outer, at.channel, means, rstds, i);
  const float mean_g = group_means[2 * i], mean_gn = group_means[2 * i + 1];
#pragma unroll 4
  for (int row = at.first; row < at.end; row += p.height) {
    const int place = row * p.channels + at.channel;
    const float n = of.n(x[place]), g = of.g<silu>(grad[place], n);
    dx[place] = of.rstd * (g * of.weight - mean_g - n * mean_gn);
  }
}

// ---- On the host ----

int group_width(const Groups& groups) { return static_cast<int>(groups.channels / groups.groups); }

// For each group: as many threads as have something to put together.
template <class... Parameters, class... Arguments>
void launch_groups(const char* name, void (*kernel)(Parameters...), const Pieces& p, int width,
                   Arguments&&... arguments) {
  const int threads = std::min((p.count * width + 31) / 32 * 32, int{block_threads});
  launch(name, kernel, static_cast<unsigned>(p.outer * (p.channels / width)),
         dim3(1, static_cast<unsigned>(threads)), 0, p, width,
         std::forward<Arguments>(arguments)...);
}

}  // namespace

void norm_by_pieces(const Tensor& x, const Groups& groups, const Tensor& weight, const Tensor& bias,
                    double eps, bool silu, Normalized& out) {
  const Pieces p(groups.samples, groups.positions, groups.channels);
  const int width = group_width(groups);
  Tensor parts = Tensor::empty(p.parts(), DType::float32, x.device());
  Tensor offs = Tensor::empty({groups.samples, groups.groups}, DType::float32, x.device());
  launch("group_norm", moments_kernel, p.blocks(), p.block(), 0, p, width, input<float>(x),
         output<float>(parts));
  launch_groups("group_norm", statistics_kernel, p, width, eps, input<float>(x),
                input<float>(parts), output<float>(out.mean), output<float>(out.rstd),
                output<float>(offs));
  launch("group_norm", silu ? normalize_kernel<true> : normalize_kernel<false>, p.blocks(),
         p.block(), 0, p, width, affine_of<float>(groups, weight, bias), input<float>(x),
         input<float>(out.rstd), input<float>(offs), output<float>(out.y));
}

void norm_by_pieces_backward(const Tensor& grad, const Tensor& x, const Groups& groups,
                             const Tensor& weight, const Tensor& bias, const Tensor& mean,
                             const Tensor& rstd, bool silu, NormGradients& out) {
  constexpr const char* name = "group_norm_backward";
  const Affine<float> affine = affine_of<float>(groups, weight, bias);
  const bool each_sample = affine.weight_step > 0, by_rows = groups.positions == 1 && !each_sample;
  const int width = group_width(groups);
  const Pieces p = by_rows ? Pieces(1, groups.samples, groups.channels)
                           : Pieces(groups.samples, groups.positions, groups.channels);
  Tensor parts = Tensor::empty(p.parts(), DType::float32, x.device());
  const auto sum = [&](auto* kernel) {
    launch(name, kernel, p.blocks(), p.block(), 0, p, width, affine, input<float>(grad),
           input<float>(x), input<float>(mean), input<float>(rstd), output<float>(parts));
  };
  if (by_rows && out.weight.defined())
    sum(silu ? sums_kernel<true, true> : sums_kernel<false, true>);
  if (!by_rows) sum(silu ? sums_kernel<true, false> : sums_kernel<false, false>);
  if (out.weight.defined()) {
    const int count = static_cast<int>(out.weight.numel());
    launch(name, parameters_kernel, static_cast<unsigned>((count + 31) / 32), dim3(32, 8), 0, count,
           p.channels, each_sample ? p.count : p.outer * p.count, input<float>(parts),
           output<float>(out.weight), output<float>(out.bias));
  }
  if (groups.positions == 1)
    return norm_by_rows_backward(grad, x, groups, weight, bias, mean, rstd, silu, out.x);
  Tensor means = Tensor::empty({groups.samples, groups.groups, 2}, DType::float32, x.device());
  launch_groups(name, group_means_kernel, p, width, affine, input<float>(parts),
                output<float>(means));
  launch(name, silu ? data_kernel<true> : data_kernel<false>, p.blocks(), p.block(), 0, p, width,
         affine, input<float>(grad), input<float>(x), input<float>(mean), input<float>(rstd),
         input<float>(means), output<float>(out.x));
}

}  // namespace ebb::cuda
