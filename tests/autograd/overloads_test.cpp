// Every function and operator that Tensors and Variables share: of Tensors it gives what may be
// used as a Tensor, of Variables, or of both mixed, a Variable. What is wrong here does not
// compile.
#include <doctest/doctest.h>
#include <ebb/autograd/ops.h>

#include <type_traits>

using namespace ebb;

namespace {

// The value, and an Error unless all are alike: a Tensor from Tensors (or what converts to one, but
// not to a Variable), Variables from anything else.
template <class OfTensors, class... Others>
void alike(const OfTensors& tensor, const Others&... others) {
  static_assert(std::is_convertible_v<OfTensors, Tensor> && !std::is_same_v<OfTensors, Variable>);
  static_assert((std::is_same_v<Others, Variable> && ...));
  const Tensor& value = tensor;
  CHECK(((others.value().template to_vector<double>() == value.to_vector<double>()) && ...));
}

}  // namespace

TEST_CASE("overloads: Tensors give Tensors, Variables give Variables") {
  Tensor t = Tensor::full({2, 4}, 0.5, DType::float64), u = Tensor::full({2, 4}, 2, DType::float64);
  const Variable v(t), w(u);

// clang-format off
#define BOTH(...) \
  {               \
    const auto f = [&](const auto& x) { return __VA_ARGS__; }; \
    alike(f(t), f(v)); \
  }
#define MIXED(...) \
  {                \
    const auto f = [&](const auto& x, const auto& y) { return __VA_ARGS__; }; \
    alike(f(t, u), f(v, w), f(t, w), f(v, u)); \
  }
  // Pointwise, with numbers of any type on either side.
  BOTH(neg(x)) BOTH(exp(x)) BOTH(log(x)) BOTH(log1p(x)) BOTH(sqrt(x)) BOTH(rsqrt(x)) BOTH(reciprocal(x))
  BOTH(square(x)) BOTH(abs(x)) BOTH(sin(x)) BOTH(cos(x)) BOTH(tanh(x)) BOTH(sigmoid(x))
  BOTH(relu(x)) BOTH(silu(x)) BOTH(gelu(x)) BOTH(gelu_tanh(x)) BOTH(softplus(x)) BOTH(erf(x))
  BOTH(leaky_relu(x)) BOTH(leaky_relu(x, 0.1)) BOTH(pow(x, 2)) BOTH(pow(x, 0.5))
  BOTH(clamp(x, 0, 1)) BOTH(unary(Unary::exp, x)) BOTH(add(x, 1)) BOTH(mul(x, 2.0f))
  BOTH(-x) BOTH(x + 1) BOTH(x - 1.0) BOTH(x * 2L) BOTH(x / 2) BOTH(1 + x) BOTH(1.0f - x)
  BOTH(2 * x) BOTH(1.0 / x) BOTH(1 / x)
  MIXED(add(x, y)) MIXED(sub(x, y)) MIXED(mul(x, y)) MIXED(div(x, y)) MIXED(maximum(x, y))
  MIXED(minimum(x, y)) MIXED(where(t, x, y)) MIXED(x + y) MIXED(x - y) MIXED(x * y) MIXED(x / y)
  MIXED(1.0 / x + y * 2 - 3) MIXED(-x * (y + 1))

  // Reductions.
  BOTH(sum(x)) BOTH(sum(x, {0})) BOTH(sum(x, {0, -1}, true)) BOTH(mean(x)) BOTH(mean(x, {1}, true))
  BOTH(var(x)) BOTH(var(x, {1}, false, true)) BOTH(ebb::std(x)) BOTH(amax(x)) BOTH(amin(x, {1}))
  BOTH(cumsum(x, 0)) BOTH(cumprod(x, -1)) BOTH(softmax(x, 1)) BOTH(log_softmax(x, 0))
  BOTH(logsumexp(x, 1)) BOTH(logsumexp(x, -2, true))

  // Layout, with lists in braces.
  BOTH(reshape(x, {4, 2})) BOTH(reshape(x, {-1})) BOTH(permute(x, {1, 0})) BOTH(transpose(x, 0, 1))
  BOTH(select(x, 1, -1)) BOTH(unsqueeze(x, -1)) BOTH(squeeze(unsqueeze(x, 0), 0))
  BOTH(x.select(0, 1)) BOTH(x.slice(1, 1, 3)) BOTH(x.unsqueeze(1).squeeze(1))
  BOTH(broadcast_to(x, {3, 2, 4})) BOTH(slice(x, 1, 0, 3)) BOTH(slice(x, 1, 0, 4, 2))
  BOTH(split(x, 3, 1)[1]) BOTH(flip(x, {0})) BOTH(pad(x, {1, 1})) BOTH(pad(x, {1, 0}, 2))
  BOTH(cat({x, x}, 1)) BOTH(stack({x, x, x}, 0)) BOTH(cat({x}, 0))
  BOTH(cat(std::vector{x, x}, 0)) BOTH(stack(std::vector{x, x}, -1))
  MIXED(cat({x, y}, 1)) MIXED(stack({x, y, x}, 0))
  const Tensor index = Tensor::from<std::int64_t>({1, 0});
  BOTH(index_select(x, 0, index)) BOTH(gather(x, 0, index.reshape({1, 2})))
  BOTH(embedding(x, index))

  // Products.
  MIXED(matmul(x, transpose(y, 0, 1))) MIXED(linear(x, y))
  MIXED(linear(x, y, Tensor::zeros({2}, DType::float64))) MIXED(linear(x, y, {}))
  MIXED(scaled_dot_product_attention(x, y, y)) MIXED(scaled_dot_product_attention(x, x, y, 2))
  MIXED(scaled_dot_product_attention(x, y, y, {.causal = true}))
  MIXED(scaled_dot_product_attention(x, x, y, {.mask = Tensor::from<std::int64_t>({1, 0})}, 2))
  BOTH(self_attention(reshape(pad(x, {1, 1}), {1, 1, 12}), 2))
  BOTH(cross_attention(reshape(pad(x, {1, 1}), {1, 2, 6}), reshape(pad(x, {1, 1}), {1, 2, 6}),
                       reshape(pad(x, {1, 1}), {1, 2, 6}), 2))

  // Images.
  Tensor image = Tensor::full({1, 4, 4, 2}, 0.25, DType::float64);
  Tensor kernel = Tensor::full({2, 2, 3, 3}, 0.5, DType::float64);
  Tensor weight = Tensor::ones({2}, DType::float64), bias = Tensor::zeros({2}, DType::float64);
  t = image, u = kernel;
  {
    const Variable v(t), w(u);
    MIXED(conv2d(x, y)) MIXED(conv2d(x, y, {})) MIXED(conv2d(x, y, bias, {.padding = {1, 1}}))
    MIXED(conv2d(x, y, {}, {}, Activation::relu)) MIXED(conv_transpose2d(x, y))
    MIXED(conv_transpose2d(x, y, {}, {.stride = {2, 2}}))
    BOTH(max_pool2d(x)) BOTH(avg_pool2d(x)) BOTH(avg_pool2d(x, {{2, 2}, {1, 1}, {0, 0}}))
    BOTH(interpolate(x, 2, 3, Interpolation::bilinear)) BOTH(pixel_unshuffle(x, 2))
    BOTH(pixel_shuffle(cat({x, x}, 3), 2)) BOTH(group_norm(x, 2)) BOTH(group_norm(x, 1, weight))
    BOTH(group_norm(x, 1, weight, bias, 1e-5, true)) BOTH(relu(group_norm(x, 2)))
    BOTH(group_norm(x, 2) + x) BOTH(layer_norm(x, {2})) BOTH(layer_norm(x, {2}, weight, bias))
    BOTH(batch_norm(x)) BOTH(batch_norm(x, weight, bias, 1e-3))
    BOTH(dropout(x, Tensor::ones({1, 4, 4, 2}, DType::float64), 0.5))
  }

  // Losses.
  t = Tensor::full({2, 4}, 0.5, DType::float64), u = Tensor::full({2, 4}, 2, DType::float64);
  MIXED(mse_loss(x, y)) MIXED(l1_loss(x, y)) MIXED(huber_loss(x, y)) MIXED(huber_loss(x, y, 0.5))
  MIXED(binary_cross_entropy_with_logits(x, y)) BOTH(cross_entropy(x, index))
#undef BOTH
#undef MIXED
}
