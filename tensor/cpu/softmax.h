// Softmax and its gradient over rows that lie side by side, for the instruction set that runs.
#pragma once

#include <cstdint>

namespace ebb::cpu {

template <class T>
struct SoftmaxLoops {
  // y = softmax(x) along each of `rows` rows of n, or its logarithm; y may be x.
  void (*forward)(bool logarithm, const T* x, std::int64_t rows, std::int64_t n, T* y);
  // dx from y and the gradient by it; dx may be grad.
  void (*backward)(bool logarithm, const T* grad, const T* y, std::int64_t rows, std::int64_t n,
                   T* dx);
};
template <class T>
SoftmaxLoops<T> softmax_loops();

}  // namespace ebb::cpu
