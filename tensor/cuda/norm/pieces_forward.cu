// Forward by pieces: a channel's moments in a piece, a group's statistics, the values.
#include <ebb/tensor/cuda/norm/pieces.h>

namespace ebb::cuda {

namespace {

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

}  // namespace ebb::cuda
