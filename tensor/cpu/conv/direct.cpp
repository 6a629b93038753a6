#include <ebb/tensor/cpu/conv/direct.h>

#include <algorithm>
#include <type_traits>

namespace ebb::cpu::direct {

Axis forward_axis(const ConvGeometry& g, int axis) {
  Axis result{axis == 0 ? g.ho : g.wo, 0, 1, g.stride[axis], axis == 0 ? g.h : g.w, {}};
  for (std::int64_t i = 0; i < g.kernel[axis]; ++i)
    result.taps.push_back({i, i * g.dilation[axis] - g.padding[axis]});
  return result;
}

// x pixel h meets tap i in y pixel (h + padding - i dilation) / stride, if that is whole.
std::vector<Axis> backward_axes(const ConvGeometry& g, int axis) {
  const std::int64_t stride = g.stride[axis], size = axis == 0 ? g.h : g.w;
  std::vector<Axis> phases;
  for (std::int64_t first = 0; first < std::min(stride, size); ++first) {
    Axis phase{(size - first + stride - 1) / stride, first, stride, 1, axis == 0 ? g.ho : g.wo, {}};
    for (std::int64_t i = 0; i < g.kernel[axis]; ++i) {
      const std::int64_t distance = first + g.padding[axis] - i * g.dilation[axis];
      if (distance % stride == 0) phase.taps.push_back({i, distance / stride});
    }
    phases.push_back(phase);
  }
  return phases;
}

namespace {

template <class T>
void choose_and_run(const std::vector<Pass<T>>& passes) {
  if constexpr (std::is_same_v<T, float>) {
    if (passes.size() == 1 && has_few_outputs(passes[0])) return run_few_outputs(passes[0]);
    if (std::all_of(passes.begin(), passes.end(), has_few_inputs)) {
      for (const Pass<T>& pass : passes) run_few_inputs(pass);
      return;
    }
  }
  run(passes);
}

}  // namespace

template <class T>
void forward(const ConvGeometry& g, const T* x, const T* weight, const T* bias,
             Activation activation, T* y) {
  const std::int64_t in = g.group_in(), out = g.group_out(), area = g.kernel[0] * g.kernel[1];
  const Axis rows = forward_axis(g, 0), columns = forward_axis(g, 1);
  for (std::int64_t group = 0; group < g.groups; ++group)
    choose_and_run<T>({{g.n, rows, columns, x + group * in, in, g.ci, y + group * out, out, g.co,
                        g.ho, g.wo, weight + group * out * in * area, g.kernel[1], area, area,
                        in * area, bias ? bias + group * out : nullptr, activation}});
}

template <class T>
void backward_data(const ConvGeometry& g, const T* dy, const T* weight, const T* bias,
                   Activation activation, T* dx) {
  const std::int64_t in = g.group_in(), out = g.group_out(), area = g.kernel[0] * g.kernel[1];
  const std::vector<Axis> all_rows = backward_axes(g, 0), all_columns = backward_axes(g, 1);
  for (std::int64_t group = 0; group < g.groups; ++group) {
    std::vector<Pass<T>> passes;
    for (const Axis& rows : all_rows)
      for (const Axis& columns : all_columns)
        passes.push_back({g.n, rows, columns, dy + group * out, out, g.co, dx + group * in, in,
                          g.ci, g.h, g.w, weight + group * out * in * area, g.kernel[1], area,
                          in * area, area, bias ? bias + group * in : nullptr, activation});
    choose_and_run(passes);
  }
}

#define EBB_INSTANTIATE(T)                                                                  \
  template void forward(const ConvGeometry&, const T*, const T*, const T*, Activation, T*); \
  template void backward_data(const ConvGeometry&, const T*, const T*, const T*, Activation, T*);
EBB_INSTANTIATE(float)
EBB_INSTANTIATE(double)
#undef EBB_INSTANTIATE

}  // namespace ebb::cpu::direct
