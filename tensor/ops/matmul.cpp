#include <ebb/tensor/ops/layout.h>
#include <ebb/tensor/ops/matmul.h>
#include <ebb/tensor/ops/operands.h>

#include <cmath>

namespace ebb {

namespace {

// All but the last two dimensions.
Shape batch_of(const Shape& shape) {
  return Shape(std::vector<std::int64_t>(shape.begin(), shape.end() - 2));
}

Shape matrices(Shape batch, std::int64_t rows, std::int64_t columns) {
  return batch.with(batch.rank(), rows).with(batch.rank() + 1, columns);
}

// x with its leading dimensions merged to one.
Tensor stacked(const Tensor& x) {
  return x.reshape(Shape{batch_of(x.shape()).numel(), x.size(-2), x.size(-1)});
}

}  // namespace

Tensor bmm(const Tensor& a, const Tensor& b, bool trans_a, bool trans_b) {
  const auto [device, dtype] = common_operands("bmm", {&a, &b});
  check_floating("bmm", a);
  check(a.rank() >= 2 && b.rank() >= 2, "bmm: shapes {} and {}; both need two dimensions or more",
        a.shape(), b.shape());
  const Shape batch = batch_of(a.shape());
  check(batch == batch_of(b.shape()), "bmm: shapes {} and {} differ before the last two dimensions",
        a.shape(), b.shape());
  const std::int64_t m = a.size(trans_a ? -1 : -2), k = a.size(trans_a ? -2 : -1);
  const std::int64_t n = b.size(trans_b ? -2 : -1);
  check(k == b.size(trans_b ? -1 : -2),
        "bmm: shapes {}{} and {}{}: the inner sizes {} and {} differ", a.shape(),
        trans_a ? " transposed" : "", b.shape(), trans_b ? " transposed" : "", k,
        b.size(trans_b ? -1 : -2));
  const std::int64_t count = batch.numel();
  Tensor out = Tensor::empty({count, m, n}, dtype, device);
  use("bmm", device, kernels(device).bmm)(stacked(a), stacked(b), trans_a, trans_b, out);
  return out.reshape(matrices(batch, m, n));
}

Tensor matmul(const Tensor& a, const Tensor& b) {
  common_operands("matmul", {&a, &b});
  check_floating("matmul", a);
  check(a.rank() >= 1 && b.rank() >= 1, "matmul: shapes {} and {}; both need one dimension or more",
        a.shape(), b.shape());
  if (a.rank() == 1) {
    const Tensor y = matmul(a.reshape(a.shape().with(0, 1)), b);
    return y.reshape(y.shape().without(b.rank() == 1 ? 0 : -2));
  }
  if (b.rank() == 1) {
    const Tensor y = matmul(a, b.reshape(b.shape().with(1, 1)));
    return y.reshape(y.shape().without(-1));
  }
  const std::int64_t m = a.size(-2), k = a.size(-1), n = b.size(-1);
  check(k == b.size(-2), "matmul: shapes {} and {}: the inner sizes {} and {} differ", a.shape(),
        b.shape(), k, b.size(-2));
  const Shape batch_a = batch_of(a.shape()), batch_b = batch_of(b.shape());
  const Shape batch = broadcast_shapes("matmul", batch_a, batch_b);
  // One matrix for all rows of a: the rows are one tall matrix.
  if (batch_b.numel() == 1 && batch == batch_a)
    return bmm(a.reshape(Shape{batch.numel() * m, k}), b.reshape(Shape{k, n}))
        .reshape(matrices(batch, m, n));
  return bmm(broadcast_to(a, matrices(batch, m, k)), broadcast_to(b, matrices(batch, k, n)));
}

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  const auto [device, dtype] = common_operands("linear", {&x, &weight});
  check_floating("linear", x);
  check(weight.rank() == 2 && x.rank() >= 1 && x.size(-1) == weight.size(1),
        "linear: input {} and weight {}; the input's last size must be the weight's second",
        x.shape(), weight.shape());
  const std::int64_t inputs = weight.size(1), outputs = weight.size(0);
  if (bias.defined()) {
    common_operands("linear", {&weight, &bias});
    check(bias.shape() == Shape{outputs}, "linear: bias {} for weight {}; it must have shape {}",
          bias.shape(), weight.shape(), Shape{outputs});
  }
  Shape shape = x.shape();
  shape.set(-1, outputs);
  const std::int64_t rows = x.shape().without(-1).numel();
  Tensor out = Tensor::empty({rows, outputs}, dtype, device);
  use("linear", device, kernels(device).linear)(x.reshape(Shape{rows, inputs}), weight, bias, out);
  return out.reshape(shape);
}

namespace {

double usual_scale(std::int64_t depth) {
  return 1 / std::sqrt(static_cast<double>(std::max<std::int64_t>(depth, 1)));
}

// All heads of stacks (..., rows, columns), one after the other.
Heads stacked_heads(const Tensor& q, const Tensor& k, const Tensor& v, double scale) {
  const std::int64_t queries = q.size(-2), keys = k.size(-2), depth = q.size(-1);
  const auto rows = [](const Tensor& x, std::int64_t columns) {
    return HeadRows{0, x.size(-2) * columns, 0, columns};
  };
  return {batch_of(q.shape()).numel(),
          1,
          queries,
          keys,
          depth,
          v.size(-1),
          scale != 0 ? scale : usual_scale(depth),
          rows(q, depth),
          rows(k, depth),
          rows(v, v.size(-1)),
          rows(q, v.size(-1))};
}

// From image to image, head to head and row to row of heads side by side.
HeadRows heads_of_rows(std::int64_t first, std::int64_t length, std::int64_t depth,
                       std::int64_t row) {
  return {first, length * row, depth, row};
}

Heads side_by_side(const Tensor& qkv, std::int64_t heads) {
  check_floating("self_attention", qkv);
  check(heads > 0 && qkv.rank() == 3 && qkv.size(2) % (3 * heads) == 0,
        "self_attention: qkv {} with {} heads; it must be (N, L, 3 heads d)", qkv.shape(), heads);
  const std::int64_t length = qkv.size(1), width = qkv.size(2) / 3, depth = width / heads;
  return {qkv.size(0),
          heads,
          length,
          length,
          depth,
          depth,
          usual_scale(depth),
          heads_of_rows(0, length, depth, 3 * width),
          heads_of_rows(width, length, depth, 3 * width),
          heads_of_rows(2 * width, length, depth, 3 * width),
          heads_of_rows(0, length, depth, width)};
}

Heads side_by_side(const Tensor& q, const Tensor& k, const Tensor& v, std::int64_t heads) {
  common_operands("cross_attention", {&q, &k, &v});
  check_floating("cross_attention", q);
  check(heads > 0 && q.rank() == 3 && k.rank() == 3 && v.shape() == k.shape() &&
            k.size(0) == q.size(0) && k.size(2) == q.size(2) && q.size(2) % heads == 0,
        "cross_attention: query {}, key {} and value {} with {} heads; they must be "
        "(N, L, heads d), (N, S, heads d), (N, S, heads d)",
        q.shape(), k.shape(), v.shape(), heads);
  const std::int64_t queries = q.size(1), keys = k.size(1), width = q.size(2),
                     depth = width / heads;
  const HeadRows of_queries = heads_of_rows(0, queries, depth, width),
                 of_keys = heads_of_rows(0, keys, depth, width);
  return {q.size(0),          heads,      queries, keys,    depth,     depth,
          usual_scale(depth), of_queries, of_keys, of_keys, of_queries};
}

void check_attention(const Tensor& q, const Tensor& k, const Tensor& v) {
  constexpr std::string_view name = "scaled_dot_product_attention";
  common_operands(name, {&q, &k, &v});
  check_floating(name, q);
  bool fits = q.rank() >= 2 && q.rank() == k.rank() && q.rank() == v.rank();
  for (std::int64_t d = 0; fits && d < q.rank() - 2; ++d)
    fits = q.size(d) == k.size(d) && q.size(d) == v.size(d);
  check(fits && q.size(-1) == k.size(-1) && k.size(-2) == v.size(-2),
        "{}: query {}, key {} and value {}; they must be (..., L, d), (..., S, d), (..., S, e)",
        name, q.shape(), k.shape(), v.shape());
}

}  // namespace

Attended scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v,
                                      double scale) {
  check_attention(q, k, v);
  const Shape shape = matrices(batch_of(q.shape()), q.size(-2), v.size(-1));
  Attended out{Tensor::empty(shape, q.dtype(), q.device()),
               Tensor::empty(shape.without(-1), q.dtype(), q.device()),
               Tensor::empty(shape.without(-1), q.dtype(), q.device())};
  use("scaled_dot_product_attention", q.device(), kernels(q.device()).attention)(
      stacked_heads(q, k, v, scale), q, k, v, out);
  return out;
}

AttentionGradients scaled_dot_product_attention_backward(const Tensor& grad, const Tensor& q,
                                                         const Tensor& k, const Tensor& v,
                                                         const Attended& value, double scale) {
  check_attention(q, k, v);
  common_operands("scaled_dot_product_attention_backward",
                  {&grad, &q, &value.largest, &value.totals});
  const Shape expected = matrices(batch_of(q.shape()), q.size(-2), v.size(-1));
  check(grad.shape() == expected,
        "scaled_dot_product_attention_backward: gradient {}; it must have the output's shape {}",
        grad.shape(), expected);
  const Shape kept = expected.without(-1);
  check(value.largest.shape() == kept && value.totals.shape() == kept,
        "scaled_dot_product_attention_backward: largest {} and totals {}; they must have the shape "
        "{} of the output's rows",
        value.largest.shape(), value.totals.shape(), kept);
  AttentionGradients out{empty_like(q), empty_like(k), empty_like(v)};
  use("scaled_dot_product_attention_backward", q.device(), kernels(q.device()).attention_backward)(
      stacked_heads(q, k, v, scale), grad, q, k, v, value, out);
  return out;
}

Attended self_attention(const Tensor& qkv, std::int64_t heads) {
  const Heads sizes = side_by_side(qkv, heads);
  const Shape kept{qkv.size(0), heads, qkv.size(1)};
  Attended out{
      Tensor::empty({qkv.size(0), qkv.size(1), qkv.size(2) / 3}, qkv.dtype(), qkv.device()),
      Tensor::empty(kept, qkv.dtype(), qkv.device()),
      Tensor::empty(kept, qkv.dtype(), qkv.device())};
  use("self_attention", qkv.device(), kernels(qkv.device()).attention)(sizes, qkv, qkv, qkv, out);
  return out;
}

Tensor self_attention_backward(const Tensor& grad, const Tensor& qkv, std::int64_t heads,
                               const Attended& value) {
  const Heads sizes = side_by_side(qkv, heads);
  common_operands("self_attention_backward", {&grad, &qkv, &value.largest, &value.totals});
  const Shape expected{qkv.size(0), qkv.size(1), qkv.size(2) / 3};
  const Shape kept{qkv.size(0), heads, qkv.size(1)};
  check(grad.shape() == expected && value.largest.shape() == kept && value.totals.shape() == kept,
        "self_attention_backward: gradient {}, largest {} and totals {} for qkv {} and {} heads; "
        "they must have the output's shapes",
        grad.shape(), value.largest.shape(), value.totals.shape(), qkv.shape(), heads);
  const Tensor dx = empty_like(qkv);
  AttentionGradients out{dx, dx, dx};
  use("self_attention_backward", qkv.device(), kernels(qkv.device()).attention_backward)(
      sizes, grad, qkv, qkv, qkv, value, out);
  return dx;
}

Attended cross_attention(const Tensor& q, const Tensor& k, const Tensor& v, std::int64_t heads) {
  const Heads sizes = side_by_side(q, k, v, heads);
  const Shape kept{q.size(0), heads, q.size(1)};
  Attended out{empty_like(q), Tensor::empty(kept, q.dtype(), q.device()),
               Tensor::empty(kept, q.dtype(), q.device())};
  use("cross_attention", q.device(), kernels(q.device()).attention)(sizes, q, k, v, out);
  return out;
}

AttentionGradients cross_attention_backward(const Tensor& grad, const Tensor& q, const Tensor& k,
                                            const Tensor& v, std::int64_t heads,
                                            const Attended& value) {
  const Heads sizes = side_by_side(q, k, v, heads);
  common_operands("cross_attention_backward", {&grad, &q, &value.largest, &value.totals});
  const Shape kept{q.size(0), heads, q.size(1)};
  check(grad.shape() == q.shape() && value.largest.shape() == kept && value.totals.shape() == kept,
        "cross_attention_backward: gradient {}, largest {} and totals {} for query {} and {} "
        "heads; they must have the output's shapes",
        grad.shape(), value.largest.shape(), value.totals.shape(), q.shape(), heads);
  AttentionGradients out{empty_like(q), empty_like(k), empty_like(v)};
  use("cross_attention_backward", q.device(), kernels(q.device()).attention_backward)(
      sizes, grad, q, k, v, value, out);
  return out;
}

}  // namespace ebb
