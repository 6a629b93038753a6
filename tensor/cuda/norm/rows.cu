// float32 with one position a sample: a group's elements are neighbours, and a warp has them, or a
// block where they are many. It reads them again for each sum, from its cache, so that the mean is
// known before the squares are taken.
#include <ebb/tensor/cuda/common/block_reduce.h>
#include <ebb/tensor/cuda/launch.h>
#include <ebb/tensor/cuda/norm/norm_kernels.h>
#include <ebb/tensor/scalar_math.h>

namespace ebb::cuda {

namespace {

constexpr unsigned wide_threads = 512;

// The threads of a row.
template <bool wide>
struct Team {
  static constexpr int size = wide ? wide_threads : 32;

  __device__ static int row() {
    return static_cast<int>(wide ? blockIdx.x : (blockIdx.x * blockDim.x + threadIdx.x) / 32);
  }
  __device__ static int member() { return static_cast<int>(threadIdx.x) % size; }

  __device__ static float sum(float mine, float* shared) {
    if constexpr (wide)
      return block_reduce(mine, Add{}, shared);
    else
      return warp_reduce(mine, Add{});
  }
};

template <bool wide>
__global__ void forward_rows(int rows, int width, int groups, const Affine<float> affine,
                             double eps, bool silu, const float* x, float* y, float* means,
                             float* rstds) {
  __shared__ float shared[wide_threads / 32];
  using Row = Team<wide>;
  const int row = Row::row(), me = Row::member();
  if (row >= rows) return;
  const float* const from = x + row * width;
  const float size = static_cast<float>(width), shift = from[0];
  float sum = 0, squares = 0;
  for (int e = me; e < width; e += Row::size) sum += from[e] - shift;
  const float off = Row::sum(sum, shared) / size;
  for (int e = me; e < width; e += Row::size) {
    const float d = from[e] - shift - off;
    squares += d * d;
  }
  const double variance = double(Row::sum(squares, shared)) / width;
  const float rstd = float(1 / std::sqrt(variance + eps));
  if (me == 0) {
    means[row] = float(double(shift) + double(off));
    rstds[row] = rstd;
  }
  const int sample = row / groups, first = row % groups * width;
  for (int e = me; e < width; e += Row::size) {
    const float z = (from[e] - shift - off) * (rstd * affine.scale(sample, first + e)) +
                    affine.shift(sample, first + e);
    y[row * width + e] = silu ? z * detail::sigmoid(z) : z;
  }
}

// dx = rstd (g w - mean(g w) - n mean(g w n)); it may be grad.
template <bool wide>
__global__ void backward_rows(int rows, int width, int groups, const Affine<float> affine,
                              bool silu, const float* grad, const float* x, const float* means,
                              const float* rstds, float* dx) {
  __shared__ float shared[wide_threads / 32];
  using Row = Team<wide>;
  const int row = Row::row(), me = Row::member();
  if (row >= rows) return;
  const int sample = row / groups, first = row % groups * width;
  const float mean = means[row], rstd = rstds[row];
  struct Element {
    float n, gw;
  };
  const auto element = [&](int e) {
    const float n = (x[row * width + e] - mean) * rstd, w = affine.scale(sample, first + e);
    const float g = grad[row * width + e] * w;
    return Element{n,
                   silu ? g * detail::silu_derivative(n * w + affine.shift(sample, first + e)) : g};
  };
  float sum = 0, dot = 0;
  for (int e = me; e < width; e += Row::size) {
    const Element of = element(e);
    sum += of.gw;
    dot += of.gw * of.n;
  }
  const float size = static_cast<float>(width);
  sum = Row::sum(sum, shared) / size;
  dot = Row::sum(dot, shared) / size;
  for (int e = me; e < width; e += Row::size) {
    const Element of = element(e);
    dx[row * width + e] = rstd * (of.gw - sum - of.n * dot);
  }
}

template <class... Parameters, class... Arguments>
void launch_rows(const char* name, void (*narrow)(Parameters...), void (*wide)(Parameters...),
                 const Groups& groups, Arguments&&... arguments) {
  const int rows = static_cast<int>(groups.samples * groups.groups);
  const int width = static_cast<int>(groups.channels / groups.groups);
  constexpr int together = int{block_threads} / 32;
  if (width > 1024)
    launch(name, wide, static_cast<unsigned>(rows), wide_threads, 0, rows, width,
           static_cast<int>(groups.groups), arguments...);
  else
    launch(name, narrow, static_cast<unsigned>((rows + together - 1) / together), block_threads, 0,
           rows, width, static_cast<int>(groups.groups), arguments...);
}

}  // namespace

void norm_by_rows(const Tensor& x, const Groups& groups, const Tensor& weight, const Tensor& bias,
                  double eps, bool silu, Normalized& out) {
  launch_rows("group_norm", forward_rows<false>, forward_rows<true>, groups,
              affine_of<float>(groups, weight, bias), eps, silu, input<float>(x),
              output<float>(out.y), output<float>(out.mean), output<float>(out.rstd));
}

void norm_by_rows_backward(const Tensor& grad, const Tensor& x, const Groups& groups,
                           const Tensor& weight, const Tensor& bias, const Tensor& mean,
                           const Tensor& rstd, bool silu, Tensor& dx) {
  launch_rows("group_norm_backward", backward_rows<false>, backward_rows<true>, groups,
              affine_of<float>(groups, weight, bias), silu, input<float>(grad), input<float>(x),
              input<float>(mean), input<float>(rstd), output<float>(dx));
}

}  // namespace ebb::cuda
