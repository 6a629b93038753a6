// Normalisation over groups of channels in two passes: sums of every channel over blocks of rows,
// from which a group's statistics follow, then one multiplication and addition for each element.
#include <ebb/tensor/cpu/norm/group_norm.h>
#include <ebb/tensor/cpu/runtime/parallel.h>
#include <ebb/tensor/cpu/runtime/scratch.h>
#include <ebb/tensor/cpu/table.h>
#include <ebb/tensor/reference/reference.h>

#include <algorithm>
#include <cmath>

namespace ebb::cpu {

namespace {

constexpr std::int64_t task_elements = 1 << 14;

// What a sample is worked out in: float64 sums of each block, (2, channels); values by channel.
template <class T>
struct Workspace {
  double* sums;
  T* channel;
};

// How samples are cut into blocks of rows. It depends on the shape alone, and blocks' sums are
// added in order, so that one thread or many give the same bits.
struct Blocks {
  std::int64_t samples, positions, channels, rows, count, samples_per_task;

  explicit Blocks(const Groups& groups)
      : samples(groups.samples), positions(groups.positions), channels(groups.channels) {
    rows = std::max<std::int64_t>(16, task_elements / std::max<std::int64_t>(1, channels));
    count = (positions + rows - 1) / rows;
    samples_per_task =
        std::max<std::int64_t>(1, task_elements / std::max<std::int64_t>(1, positions * channels));
  }

  std::int64_t height(std::int64_t block) const { return std::min(rows, positions - block * rows); }
  std::int64_t offset(std::int64_t sample, std::int64_t block) const {
    return (sample * positions + block * rows) * channels;
  }

  // For every sample: first(s, b, w) for its blocks, between(s, w), then second(s, b, w). `kinds`
  // arrays of channels are in w. A few large samples share the threads block by block; others are
  // whole tasks, which stay in cache.
  template <class T, class First, class Between, class Second>
  void run(std::int64_t kinds, const First& first, const Between& between,
           const Second& second) const {
    const std::int64_t sums_size = count * 2 * channels, channel_size = kinds * channels;
    if (count > 1 && samples < 2 * thread_count()) {
      std::vector<double> sums(static_cast<std::size_t>(samples * sums_size));
      std::vector<T> channel(static_cast<std::size_t>(samples * channel_size));
      const auto space = [&](std::int64_t s) {
        return Workspace<T>{sums.data() + s * sums_size, channel.data() + s * channel_size};
      };
      const auto each = [&](const auto& body) {
        parallel_for(samples * count, 1, [&](std::int64_t i, std::int64_t) {
          body(i / count, i % count, space(i / count));
        });
      };
      each(first);
      for (std::int64_t s = 0; s < samples; ++s) between(s, space(s));
      each(second);
      return;
    }
    parallel_for(samples, samples_per_task, [&](std::int64_t begin, std::int64_t end) {
      struct Sums;
      struct Channel;
      const Workspace<T> space{scratch<Sums, double>(sums_size), scratch<Channel, T>(channel_size)};
      for (std::int64_t s = begin; s < end; ++s) {
        std::fill(space.sums, space.sums + sums_size, 0.0);
        for (std::int64_t b = 0; b < count; ++b) first(s, b, space);
        between(s, space);
        for (std::int64_t b = 0; b < count; ++b) second(s, b, space);
      }
    });
  }
};

double total(const double* values, std::int64_t count) {
  double lanes[4] = {};
  for (std::int64_t i = 0; i < count; ++i) lanes[i % 4] += values[i];
  return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
}

// Adds the other blocks' sums to the first block's.
void add_blocks(double* sums, std::int64_t blocks, std::int64_t size) {
  for (std::int64_t b = 1; b < blocks; ++b)
    for (std::int64_t i = 0; i < size; ++i) sums[i] += sums[b * size + i];
}

// Weight and bias, which samples share (stride 0) or not.
template <class T>
struct Affine {
  const T *weight, *bias;
  std::int64_t stride;

  Affine of(std::int64_t sample) const {
    const std::int64_t at = sample * stride;
    return {weight ? weight + at : nullptr, bias ? bias + at : nullptr, stride};
  }
};

// Mean, scale and bias of every channel of a sample.
template <class T>
void fill_affine(const Groups& groups, const T* means, const T* rstds, const Affine<T>& affine,
                 T* channel) {
  const std::int64_t channels = groups.channels, width = channels / groups.groups;
  for (std::int64_t c = 0; c < channels; ++c) {
    channel[c] = means[c / width];
    channel[channels + c] = rstds[c / width] * (affine.weight ? affine.weight[c] : T(1));
    channel[2 * channels + c] = affine.bias ? affine.bias[c] : T(0);
  }
}

template <class T>
void forward(const T* x, const Groups& groups, const Affine<T>& all, double eps, bool silu, T* y,
             T* means, T* rstds) {
  const NormLoops<T> loops = norm_loops<T>();
  const Blocks blocks(groups);
  const std::int64_t channels = groups.channels, width = channels / groups.groups;
  const double size = static_cast<double>(groups.positions * width);
  // The first value of a group is near enough to its mean that differences to it and their squares
  // lose no digits, wherever the mean is.
  const auto shift_of = [&](std::int64_t s, std::int64_t c) {
    return x[s * groups.positions * channels + c / width * width];
  };
  using Space = Workspace<T>;
  blocks.run<T>(
      3,
      [&](std::int64_t s, std::int64_t b, const Space& space) {
        struct Shift;
        T* shift = scratch<Shift, T>(channels);
        for (std::int64_t c = 0; c < channels; ++c) shift[c] = shift_of(s, c);
        loops.sum(x + blocks.offset(s, b), blocks.height(b), channels, shift,
                  space.sums + b * 2 * channels);
      },
      [&](std::int64_t s, const Space& space) {
        add_blocks(space.sums, blocks.count, 2 * channels);
        const auto [weight, bias, stride] = all.of(s);
        T *mean = means + s * groups.groups, *rstd = rstds + s * groups.groups;
        for (std::int64_t g = 0; g < groups.groups; ++g) {
          const std::int64_t first = g * width;
          const double deviation = total(space.sums + first, width) / size;
          const double squares = total(space.sums + channels + first, width) / size;
          const double variance = squares - deviation * deviation;
          const double factor = 1 / std::sqrt((variance < 0 ? 0 : variance) + eps);
          const T shift = shift_of(s, first);
          mean[g] = static_cast<T>(static_cast<double>(shift) + deviation);
          rstd[g] = static_cast<T>(factor);
          for (std::int64_t c = first; c < first + width; ++c) {
            const double scale = factor * (weight ? static_cast<double>(weight[c]) : 1);
            space.channel[c] = shift;
            space.channel[channels + c] = static_cast<T>(scale);
            space.channel[2 * channels + c] =
                static_cast<T>((bias ? static_cast<double>(bias[c]) : 0) - deviation * scale);
          }
        }
      },
      [&](std::int64_t s, std::int64_t b, const Space& space) {
        const std::int64_t at = blocks.offset(s, b);
        loops.apply(x + at, blocks.height(b), channels, space.channel, space.channel + channels,
                    space.channel + 2 * channels, silu, y + at);
      });
}

// With n = (x - mean) rstd and g the gradient by n weight + bias, dx = rstd (g w - mean(g w) -
// n mean(g w n)), which is g scale - q - (x - mean) r for q and r of the group.
template <class T>
void backward(const T* grad, const T* x, const Groups& groups, const Affine<T>& all, const T* means,
              const T* rstds, bool silu, T* dx, T* dweight, T* dbias) {
  const NormLoops<T> loops = norm_loops<T>();
  const Blocks blocks(groups);
  const std::int64_t channels = groups.channels, width = channels / groups.groups;
  const double size = static_cast<double>(groups.positions * width);
  // The parameters' gradients, summed over the samples of a task; or each sample's own.
  const std::int64_t samples_per_sum = all.stride > 0 ? 1 : blocks.samples_per_task;
  const std::int64_t tasks = (blocks.samples + samples_per_sum - 1) / samples_per_sum;
  std::vector<double> gradients(static_cast<std::size_t>(tasks * 2 * channels));
  using Space = Workspace<T>;
  blocks.run<T>(
      5,
      [&](std::int64_t s, std::int64_t b, const Space& space) {
        const std::int64_t at = blocks.offset(s, b);
        struct OfChannels;
        T* affine = scratch<OfChannels, T>(3 * channels);
        fill_affine(groups, means + s * groups.groups, rstds + s * groups.groups, all.of(s),
                    affine);
        loops.gradient(grad + at, x + at, blocks.height(b), channels, affine, affine + channels,
                       affine + 2 * channels, silu, dx + at, space.sums + b * 2 * channels);
      },
      [&](std::int64_t s, const Space& space) {
        add_blocks(space.sums, blocks.count, 2 * channels);
        const T *mean = means + s * groups.groups, *rstd = rstds + s * groups.groups;
        const T* weight = all.of(s).weight;
        fill_affine(groups, mean, rstd, all.of(s), space.channel);
        T *q = space.channel + 3 * channels, *r = q + channels;
        double* task = gradients.data() + s / samples_per_sum * 2 * channels;
        for (std::int64_t g = 0; g < groups.groups; ++g) {
          const double factor = static_cast<double>(rstd[g]);
          double sum = 0, dot = 0;
          for (std::int64_t c = g * width; c < (g + 1) * width; ++c) {
            const double db = space.sums[c], dw = space.sums[channels + c] * factor;
            const double w = weight ? static_cast<double>(weight[c]) : 1;
            sum += w * db;
            dot += w * dw;
            task[c] += db;
            task[channels + c] += dw;
          }
          std::fill_n(q + g * width, width, static_cast<T>(factor * sum / size));
          std::fill_n(r + g * width, width, static_cast<T>(factor * factor * dot / size));
        }
      },
      [&](std::int64_t s, std::int64_t b, const Space& space) {
        const std::int64_t at = blocks.offset(s, b);
        const T* mean = space.channel;
        loops.combine((silu ? dx : grad) + at, x + at, blocks.height(b), channels, mean,
                      mean + channels, mean + 3 * channels, mean + 4 * channels, dx + at);
      });
  if (dweight == nullptr) return;
  if (all.stride == 0) add_blocks(gradients.data(), tasks, 2 * channels);
  const std::int64_t rows = all.stride == 0 ? 1 : blocks.samples;
  for (std::int64_t s = 0; s < rows; ++s) {
    const double* from = gradients.data() + s * 2 * channels;
    std::transform(from, from + channels, dbias + s * channels,
                   [](double d) { return static_cast<T>(d); });
    std::transform(from + channels, from + 2 * channels, dweight + s * channels,
                   [](double d) { return static_cast<T>(d); });
  }
}

bool is_rows(const Groups& groups, const Tensor& weight, const Tensor& bias, bool silu) {
  return groups.positions == 1 && groups.groups == 1 && !silu &&
         groups.parameter_stride(weight) == 0 && groups.parameter_stride(bias) == 0;
}

template <class T>
Affine<T> affine_of(const Groups& groups, const Tensor& weight, const Tensor& bias) {
  return {input<T>(weight), input<T>(bias),
          groups.parameter_stride(weight.defined() ? weight : bias)};
}

}  // namespace

void group_norm(const Tensor& x, const Groups& groups, const Tensor& weight, const Tensor& bias,
                double eps, bool silu, Normalized& out) {
  if (x.numel() == 0) return reference::group_norm(x, groups, weight, bias, eps, silu, out);
  dispatch_floating("group_norm", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if (is_rows(groups, weight, bias, silu))
      return layer_norm(input<T>(x), groups.samples, groups.channels, input<T>(weight),
                        input<T>(bias), eps, output<T>(out.y), output<T>(out.mean),
                        output<T>(out.rstd));
    forward(input<T>(x), groups, affine_of<T>(groups, weight, bias), eps, silu, output<T>(out.y),
            output<T>(out.mean), output<T>(out.rstd));
  });
}

void group_norm_backward(const Tensor& grad, const Tensor& x, const Groups& groups,
                         const Tensor& weight, const Tensor& bias, const Tensor& mean,
                         const Tensor& rstd, bool silu, NormGradients& out) {
  if (x.numel() == 0)
    return reference::group_norm_backward(grad, x, groups, weight, bias, mean, rstd, silu, out);
  dispatch_floating("group_norm_backward", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if (is_rows(groups, weight, bias, silu))
      return layer_norm_backward(input<T>(grad), input<T>(x), groups.samples, groups.channels,
                                 input<T>(weight), input<T>(mean), input<T>(rstd), output<T>(out.x),
                                 output<T>(out.weight), output<T>(out.bias));
    backward(input<T>(grad), input<T>(x), groups, affine_of<T>(groups, weight, bias),
             input<T>(mean), input<T>(rstd), silu, output<T>(out.x), output<T>(out.weight),
             output<T>(out.bias));
  });
}

void add_norm_kernels(Kernels& table) {
  table.group_norm = group_norm;
  table.group_norm_backward = group_norm_backward;
}

}  // namespace ebb::cpu
