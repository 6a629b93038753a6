// How kernels see their operands: what a dimension, a group, a head or a window is in memory.
#pragma once

#include <ebb/tensor/ops/conv.h>
#include <ebb/tensor/tensor.h>

#include <array>
#include <cstddef>
#include <vector>

namespace ebb {

// What a pointwise kernel reads: a tensor, or one number for all elements.
struct Operand {
  // NOLINTBEGIN(google-explicit-constructor): either is an operand
  Operand(const Tensor& x) : tensor(&x) {}
  Operand(double x) : number(x) {}
  // NOLINTEND(google-explicit-constructor)

  const Tensor* tensor = nullptr;  // null: the number, which the operation's dtype can hold
  double number = 0;
};

// A tensor seen as (outer, n, inner); n is the dimension worked along.
struct AxisView {
  std::int64_t outer, n, inner;
};

// Where element i of a walk over some shape is: at offset + sum_d i[d] strides[d].
struct View {
  std::int64_t offset = 0;
  std::array<std::int64_t, Shape::max_rank> strides{};

  // Of element `i` in row-major order of a walk over `shape`.
  std::int64_t at(std::int64_t i, const Shape& shape) const;
};
// A contiguous tensor of `shape` read as if broadcast to `out`.
View broadcast_view(const Shape& shape, const Shape& out);

// The elements of an operand of an operation on `out`, and their view. Not to be copied: a number
// is kept here.
struct OperandElements {
  OperandElements(const Operand& operand, const Tensor& out);
  OperandElements(const OperandElements&) = delete;
  OperandElements& operator=(const OperandElements&) = delete;

  // Of element `i` of the operation's shape.
  template <class T>
  T at(std::int64_t i, const Shape& shape) const {
    return static_cast<const T*>(data)[view.at(i, shape)];
  }

  View view;
  const void* data;

 private:
  alignas(8) std::byte number_[8];
};

enum class Scan : std::uint8_t { sum, product };

// x (samples, positions, channels); statistics over the positions and the channels / groups
// neighbouring channels of a group.
struct Groups {
  std::int64_t samples, positions, channels, groups;

  // How far one sample's weights are from the next one's: 0 where all share them.
  std::int64_t parameter_stride(const Tensor& parameter) const {
    return parameter.defined() && parameter.numel() > channels ? channels : 0;
  }
};

// Along one side of an image: output i is sum_k weight[k] x[source[k]], k from first[i] up to
// first[i + 1].
struct ResizeWeights {
  std::vector<std::int64_t> first{0}, source;
  std::vector<double> weight;
};

// Attention's heads in their tensors: row i of head h of item n begins at the element
// first + n item + h head + i row.
struct HeadRows {
  std::int64_t first, item, head, row;
};
// q has rows of `depth` for each query, k for each key, v of `width` for each key, y for each
// query.
struct Heads {
  std::int64_t items, heads, queries, keys, depth, width;
  double scale;
  HeadRows q, k, v, y;

  std::int64_t count() const { return items * heads; }
  // Where head `index`, counted over all items, begins.
  std::int64_t begin(const HeadRows& rows, std::int64_t index) const {
    return rows.first + index / heads * rows.item + index % heads * rows.head;
  }
};

// Sizes of a convolution from x (n,h,w,ci) to y (n,ho,wo,co).
struct ConvGeometry {
  std::int64_t n, h, w, ci, ho, wo, co;
  Pair kernel, stride, padding, dilation;
  std::int64_t groups;

  constexpr std::int64_t group_in() const { return ci / groups; }
  constexpr std::int64_t group_out() const { return co / groups; }
};
ConvGeometry conv_geometry(const Tensor& x, const Tensor& weight, const Tensor& y,
                           const Conv2dOptions& options);

}  // namespace ebb
