// The gradients by pieces. With n = (x - mean) rstd and g the gradient by n weight + bias, those of
// bias and weight are the sums of g and g n, and dx = rstd (g w - mean(g w) - n mean(g w n)).
#include <ebb/tensor/cuda/norm/pieces.h>

namespace ebb::cuda {

namespace {

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

}  // namespace

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
