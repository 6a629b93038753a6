// Functions that move elements and compute nothing. All copy, except Tensor::reshape.
#pragma once

#include <ebb/tensor/ops/reduce.h>
#include <ebb/tensor/tensor.h>

namespace ebb {

// y[i_dims[0], i_dims[1], ...] = x[i_0, i_1, ...]; `dims` is a permutation of 0..rank-1
// (negative counts from the end).
Tensor permute(const Tensor& x, const Dims& dims);
Tensor transpose(const Tensor& x, std::int64_t a, std::int64_t b);
// Between PyTorch's images and ours: (N,C,H,W) <-> (N,H,W,C).
Tensor nchw_to_nhwc(const Tensor& x);
Tensor nhwc_to_nchw(const Tensor& x);

// Repeats dimensions of size 1 (and new leading ones) up to `shape`.
Tensor broadcast_to(const Tensor& x, const Shape& shape);
Tensor repeat_interleave(const Tensor& x, std::int64_t repeats, std::int64_t dim);

Tensor cat(const std::vector<Tensor>& xs, std::int64_t dim);
Tensor stack(const std::vector<Tensor>& xs, std::int64_t dim);  // along a new dimension
// Of a list in braces: there is the same for Variables.
inline Tensor cat(std::initializer_list<Tensor> xs, std::int64_t dim) {
  return cat(std::vector<Tensor>(xs), dim);
}
inline Tensor stack(std::initializer_list<Tensor> xs, std::int64_t dim) {
  return stack(std::vector<Tensor>(xs), dim);
}
// Elements start, start + step, ... below stop along `dim`; negative start and stop count from
// the end; out-of-range ones are clamped, as in Python. step >= 1.
Tensor slice(const Tensor& x, std::int64_t dim, std::int64_t start, std::int64_t stop,
             std::int64_t step = 1);
// A zero tensor of `shape` with `x` at those elements: the adjoint of slice.
Tensor slice_backward(const Tensor& grad, const Shape& shape, std::int64_t dim, std::int64_t start,
                      std::int64_t stop, std::int64_t step = 1);
// Pieces of `size` along `dim` (the last may be smaller) of a Tensor or a Variable, as PyTorch's
// split.
template <class X>
std::vector<X> split(const X& x, std::int64_t size, std::int64_t dim) {
  check(size > 0, "split: size {} of a piece must be positive", size);
  const std::int64_t n = x.size(dim);
  std::vector<X> pieces;
  for (std::int64_t start = 0, stop; start < n; start = stop) {
    stop = n - start > size ? start + size : n;
    pieces.push_back(slice(x, dim, start, stop));
  }
  return pieces;
}
// One index along `dim`, which disappears.
Tensor select(const Tensor& x, std::int64_t dim, std::int64_t index);
// A dimension of size 1 less at `dim` (another size stays, as in PyTorch), or one more before it
// (rank: behind the last). The same memory.
Tensor squeeze(const Tensor& x, std::int64_t dim);
Tensor unsqueeze(const Tensor& x, std::int64_t dim);
Tensor flip(const Tensor& x, const Dims& dims);

// PyTorch's order: (last dim before, after, last but one before, after, ...). Negative crops.
Tensor pad(const Tensor& x, const std::vector<std::int64_t>& widths, double value = 0);

// An Error that names `operation` unless every element of `index` is an int64 in [0, n).
void check_index(std::string_view operation, const Tensor& index, std::int64_t n);
// index: int64, same rank as x. gather: y[i][j] = x[i][index[i][j]] for dim = 1.
Tensor gather(const Tensor& x, std::int64_t dim, const Tensor& index);
// zeros(shape) with grad added at the gathered places.
Tensor gather_backward(const Tensor& grad, const Shape& shape, std::int64_t dim,
                       const Tensor& index);
// index: int64 (k): the k chosen slices of x along `dim`. Out of range is an Error.
Tensor index_select(const Tensor& x, std::int64_t dim, const Tensor& index);
Tensor index_select_backward(const Tensor& grad, const Shape& shape, std::int64_t dim,
                             const Tensor& index);
// int64 labels (...) to (..., classes) of 0 and 1.
Tensor one_hot(const Tensor& labels, std::int64_t classes, DType dtype = DType::float32);

}  // namespace ebb
