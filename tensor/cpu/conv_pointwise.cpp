// 1x1 convolutions: one product of matrices, whose rows are the pixels.
#include <ebb/tensor/cpu/conv.h>
#include <ebb/tensor/cpu/conv_bias.h>
#include <ebb/tensor/cpu/gemm.h>

namespace ebb::cpu::pointwise {

bool fits(const ConvGeometry& g) {
  return g.kernel == Pair{1, 1} && g.stride == Pair{1, 1} && g.padding == Pair{0, 0} &&
         g.groups == 1;
}

template <class T>
void forward(const ConvGeometry& g, const T* x, const T* weight, const T* bias,
             Activation activation, T* y) {
  gemm(g.n * g.h * g.w, g.co, g.ci, {x, g.ci, 1}, {weight, 1, g.ci}, y, g.co,
       {false, bias, activation});
}

template <class T>
void backward_data(const ConvGeometry& g, const T* dy, const T* weight, const T* bias,
                   Activation activation, T* dx) {
  gemm(g.n * g.h * g.w, g.ci, g.co, {dy, g.co, 1}, {weight, g.ci, 1}, dx, g.ci,
       {false, bias, activation});
}

template <class T>
void backward_weights(const ConvGeometry& g, const T* dy, const T* x, T* dw, T* db) {
  const std::int64_t pixels = g.n * g.h * g.w;
  gemm(g.co, g.ci, pixels, {dy, 1, g.co}, {x, g.ci, 1}, dw, g.ci);
  if (db) sum_pixels(pixels, g.co, dy, db);
}

#define EBB_INSTANTIATE(T)                                                                        \
  template void forward(const ConvGeometry&, const T*, const T*, const T*, Activation, T*);       \
  template void backward_data(const ConvGeometry&, const T*, const T*, const T*, Activation, T*); \
  template void backward_weights(const ConvGeometry&, const T*, const T*, T*, T*);
EBB_INSTANTIATE(float)
EBB_INSTANTIATE(double)
#undef EBB_INSTANTIATE

}  // namespace ebb::cpu::pointwise
