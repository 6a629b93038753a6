// The plain kernels: a block a group, a thread a parameter's gradient, all sums in double.
#include <ebb/tensor/cuda/common/block_reduce.h>
#include <ebb/tensor/cuda/launch.h>
#include <ebb/tensor/cuda/norm/norm_kernels.h>
#include <ebb/tensor/scalar_math.h>

#include <algorithm>

namespace ebb::cuda {

namespace {

// Group i: its sample, and its elements, which this block's threads share out.
struct Group {
  std::int64_t sample, first, width, size, channels;

  __device__ Group(const Groups& g, std::int64_t i)
      : sample(i / g.groups),
        first(i % g.groups * (g.channels / g.groups)),
        width(g.channels / g.groups),
        size(g.positions * width),
        channels(g.channels) {}
  __device__ std::int64_t channel(std::int64_t e) const { return first + e % width; }
  __device__ std::int64_t at(std::int64_t e) const {
    return (sample * (size / width) + e / width) * channels + channel(e);
  }
  // The sum of value(e) over the group's elements.
  template <class Value>
  __device__ double sum(double* shared, const Value& value) const {
    double total = 0;
    for (std::int64_t e = threadIdx.x; e < size; e += blockDim.x) total += value(e);
    return block_reduce(total, Add{}, shared);
  }
};

template <class T>
__global__ void plain_forward_kernel(const Groups groups, const T* x, const Affine<T> affine,
                                     double eps, bool silu, T* y, T* means, T* rstds) {
  __shared__ double shared[block_threads / 32];
  for (std::int64_t i = blockIdx.x; i < groups.samples * groups.groups; i += gridDim.x) {
    const Group group(groups, i);
    const double size = double(group.size);
    const double mean =
        group.sum(shared, [&](std::int64_t e) { return double(x[group.at(e)]); }) / size;
    const double squares = group.sum(shared, [&](std::int64_t e) {
      const double d = double(x[group.at(e)]) - mean;
      return d * d;
    });
    const double rstd = 1 / std::sqrt(squares / size + eps);
    if (threadIdx.x == 0) {
      means[i] = T(mean);
      rstds[i] = T(rstd);
    }
    for (std::int64_t e = threadIdx.x; e < group.size; e += blockDim.x) {
      const std::int64_t c = group.channel(e);
      const double z =
          (double(x[group.at(e)]) - mean) * rstd * double(affine.scale(group.sample, c)) +
          double(affine.shift(group.sample, c));
      y[group.at(e)] = T(silu ? z * detail::sigmoid(z) : z);
    }
  }
}

// What backward needs of an element: n = (x - mean) rstd, and the gradient g by n weight + bias.
template <class T>
struct Saved {
  const T *grad, *x, *mean, *rstd;
  Affine<T> affine;
  bool silu;

  struct Element {
    double n, g, weight;
  };
  __device__ Element at(std::int64_t place, std::int64_t group, std::int64_t sample,
                        std::int64_t channel) const {
    const double n = (double(x[place]) - double(mean[group])) * double(rstd[group]);
    const double w = double(affine.scale(sample, channel));
    const double b = double(affine.shift(sample, channel));
    const double outer = silu ? detail::silu_derivative(n * w + b) : 1;
    return {n, double(grad[place]) * outer, w};
  }
};

// dx = rstd (g w - mean(g w) - n mean(g w n)).
template <class T>
__global__ void plain_data_kernel(const Groups groups, const Saved<T> saved, T* dx) {
  __shared__ double shared[block_threads / 32];
  for (std::int64_t i = blockIdx.x; i < groups.samples * groups.groups; i += gridDim.x) {
    const Group group(groups, i);
    const auto element = [&](std::int64_t e) {
      return saved.at(group.at(e), i, group.sample, group.channel(e));
    };
    const double sum = group.sum(shared, [&](std::int64_t e) {
      const auto of = element(e);
      return of.g * of.weight;
    });
    const double dot = group.sum(shared, [&](std::int64_t e) {
      const auto of = element(e);
      return of.g * of.weight * of.n;
    });
    for (std::int64_t e = threadIdx.x; e < group.size; e += blockDim.x) {
      const auto of = element(e);
      dx[group.at(e)] =
          T(double(saved.rstd[i]) * (of.g * of.weight - (sum + of.n * dot) / double(group.size)));
    }
  }
}

// The sums of g and g n over the positions of all samples, or of one where each has its own.
template <class T>
__global__ void plain_parameters_kernel(const Groups groups, const Saved<T> saved, T* dw, T* db) {
  const bool each_sample = saved.affine.weight_step > 0;
  const std::int64_t count = (each_sample ? groups.samples : 1) * groups.channels;
  for (std::int64_t i = thread_index(); i < count; i += thread_count()) {
    const std::int64_t c = i % groups.channels, group = c / (groups.channels / groups.groups);
    const std::int64_t first = each_sample ? i / groups.channels : 0;
    const std::int64_t end = each_sample ? first + 1 : groups.samples;
    double by_weight = 0, by_bias = 0;
    for (std::int64_t s = first; s < end; ++s)
      for (std::int64_t p = 0; p < groups.positions; ++p) {
        const auto of = saved.at((s * groups.positions + p) * groups.channels + c,
                                 s * groups.groups + group, s, c);
        by_weight += of.g * of.n;
        by_bias += of.g;
      }
    dw[i] = T(by_weight);
    db[i] = T(by_bias);
  }
}

unsigned blocks_of(const Groups& groups) {
  return static_cast<unsigned>(std::min<std::int64_t>(groups.samples * groups.groups, 0x7fffffff));
}

}  // namespace

void plain_norm(const Tensor& x, const Groups& groups, const Tensor& weight, const Tensor& bias,
                double eps, bool silu, Normalized& out) {
  dispatch_floating("group_norm", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch("group_norm", plain_forward_kernel<T>, blocks_of(groups), block_threads, 0, groups,
           input<T>(x), affine_of<T>(groups, weight, bias), eps, silu, output<T>(out.y),
           output<T>(out.mean), output<T>(out.rstd));
  });
}

void plain_norm_backward(const Tensor& grad, const Tensor& x, const Groups& groups,
                         const Tensor& weight, const Tensor& bias, const Tensor& mean,
                         const Tensor& rstd, bool silu, NormGradients& out) {
  dispatch_floating("group_norm_backward", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const Saved<T> saved{input<T>(grad),
                         input<T>(x),
                         input<T>(mean),
                         input<T>(rstd),
                         affine_of<T>(groups, weight, bias),
                         silu};
    // Before dx, which may be written over grad.
    if (out.weight.defined())
      launch("group_norm_backward", plain_parameters_kernel<T>, blocks_for(out.weight.numel()),
             block_threads, 0, groups, saved, output<T>(out.weight), output<T>(out.bias));
    launch("group_norm_backward", plain_data_kernel<T>, blocks_of(groups), block_threads, 0, groups,
           saved, output<T>(out.x));
  });
}

}  // namespace ebb::cuda
