// Sums and their kin. `dims` lists the dimensions to reduce (negative counts from the end, no
// repeats); an empty list means all of them. Sums are taken in blocks of fixed size, so the bits
// do not depend on the number of threads; float32 sums are accumulated so that their error stays
// near that of one rounding.
#pragma once

#include <ebb/tensor/tensor.h>

namespace ebb {

enum class Reduction : std::uint8_t { sum, amax, amin };
using Dims = std::vector<std::int64_t>;

// The shape after reducing `dims`, which are kept as 1 or removed. An Error names `operation`
// where a dimension is out of range or named twice.
Shape reduced_shape(std::string_view operation, const Shape& shape, const Dims& dims, bool keepdim);

Tensor sum(const Tensor& x, const Dims& dims = {}, bool keepdim = false);
Tensor mean(const Tensor& x, const Dims& dims = {}, bool keepdim = false);
// Sum of squared deviations over n - 1 (unbiased) or n.
Tensor var(const Tensor& x, const Dims& dims = {}, bool unbiased = true, bool keepdim = false);
Tensor std(const Tensor& x, const Dims& dims = {}, bool unbiased = true, bool keepdim = false);
// Largest, smallest; zero elements to choose from is an Error.
Tensor amax(const Tensor& x, const Dims& dims = {}, bool keepdim = false);
Tensor amin(const Tensor& x, const Dims& dims = {}, bool keepdim = false);
// int64 index of the first largest element along `dim`.
Tensor argmax(const Tensor& x, std::int64_t dim);
// The inverse of broadcasting: sums `x` over whatever broadcasting to x.shape() from `shape`
// repeated. `shape` must broadcast to x.shape().
Tensor sum_to(const Tensor& x, const Shape& shape);

// y_i = x_0 + ... + x_i, y_i = x_0 ... x_i along `dim`.
Tensor cumsum(const Tensor& x, std::int64_t dim);
Tensor cumprod(const Tensor& x, std::int64_t dim);
Tensor cumprod_backward(const Tensor& grad, const Tensor& x, const Tensor& y, std::int64_t dim);

// e^x / sum e^x along `dim`, shifted by the maximum; and its logarithm.
Tensor softmax(const Tensor& x, std::int64_t dim);
Tensor log_softmax(const Tensor& x, std::int64_t dim);
// dx = y (g - sum(g y)); dx = g - e^y sum(g).
Tensor softmax_backward(const Tensor& grad, const Tensor& y, std::int64_t dim);
Tensor log_softmax_backward(const Tensor& grad, const Tensor& y, std::int64_t dim);

// AxisView `dim`: ascending values; the q-quantile by linear interpolation (as NumPy and PyTorch),
// q in [0, 1].
Tensor sort(const Tensor& x, std::int64_t dim);
// int64: the places of sort's values; equal ones stay in order.
Tensor argsort(const Tensor& x, std::int64_t dim);
Tensor quantile(const Tensor& x, double q, std::int64_t dim, bool keepdim = false);

}  // namespace ebb
