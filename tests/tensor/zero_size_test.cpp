// Every operation with a size of 0 (or 1, where a spread over it has no meaning): refused, or the
// shape, value and gradients that PyTorch 2.x has, all inputs being ones
// (tests/interop/zero_sizes.py).
#include <doctest/doctest.h>
#include <ebb/autograd/ops.h>

#include <cmath>
#include <functional>
#include <optional>

using namespace ebb;

namespace {

using Inputs = std::vector<Variable>;
constexpr double nan = NAN;
constexpr std::nullopt_t none = std::nullopt;  // a tensor without elements

struct Result {
  Shape shape;
  std::optional<double> value = {};
  // By each input, all elements alike; the length may be shorter.
  std::vector<std::optional<double>> gradients = {};
};

struct Row {
  std::string name;
  std::vector<Shape> inputs;
  std::function<Variable(const Inputs&)> function;
  std::optional<Result> result = {};  // none: refused
};

bool same(const Tensor& x, const std::optional<double>& want) {
  if (!want) return x.numel() == 0;
  for (const double value : x.to_vector<double>())
    if (!(std::isnan(*want) ? std::isnan(value) : std::abs(value - *want) < 1e-6)) return false;
  return x.numel() > 0;
}

Conv2dOptions padded(std::int64_t padding, std::int64_t stride = 1) {
  return {.stride = {stride, stride}, .padding = {padding, padding}};
}
auto convolution(const Conv2dOptions& options) {
  return [=](const Inputs& in) { return conv2d(in[0], in[1], in[2], options); };
}
auto transposed(const Conv2dOptions& options) {
  return [=](const Inputs& in) { return conv_transpose2d(in[0], in[1], in[2], options); };
}
Variable max_pool(const Inputs& in) { return max_pool2d(in[0]); }
Variable avg_pool(const Inputs& in) { return avg_pool2d(in[0]); }
const Pool2dOptions pool_padded{{2, 2}, {2, 2}, {1, 1}};
Variable max_pool_padded(const Inputs& in) { return max_pool2d(in[0], pool_padded); }
Variable avg_pool_padded(const Inputs& in) { return avg_pool2d(in[0], pool_padded); }
auto norm_of_groups(std::int64_t groups) {
  return [=](const Inputs& in) { return group_norm(in[0], groups); };
}
Variable norm_of_batch(const Inputs& in) { return batch_norm(in[0]); }
Variable product(const Inputs& in) { return matmul(in[0], in[1]); }
Variable layer(const Inputs& in) { return linear(in[0], in[1], in[2]); }
Variable attention(const Inputs& in) { return scaled_dot_product_attention(in[0], in[1], in[2]); }
Variable resized(const Inputs& in) { return interpolate(in[0], 2, 2, Interpolation::bilinear); }
Variable same_kind(const Inputs& in) { return cat({in[0], in[1]}, 0); }
const Tensor no_labels = Tensor::zeros({0}, DType::int64);
const Tensor two_labels = Tensor::zeros({2}, DType::int64);

#define ALONG(expression)        \
  [](const Inputs& in) {         \
    const Variable& x = in[0];   \
    return Variable(expression); \
  }

std::vector<Row> rows() {
  return {
      {"conv: no samples",
       {{0, 4, 4, 2}, {3, 2, 3, 3}, {3}},
       convolution(padded(1)),
       Result{{0, 4, 4, 3}, none, {none, 0, 0}}},
      {"conv: no input channels",
       {{1, 4, 4, 0}, {3, 0, 3, 3}, {3}},
       convolution(padded(1)),
       Result{{1, 4, 4, 3}, 1, {none, none, 16}}},
      {"conv: no output channels", {{1, 4, 4, 2}, {0, 2, 3, 3}, {0}}, convolution(padded(1))},
      {"conv: no height", {{1, 0, 4, 2}, {3, 2, 3, 3}, {3}}, convolution(padded(1))},
      {"conv: no height, padded", {{1, 0, 4, 2}, {3, 2, 3, 3}, {3}}, convolution(padded(2))},
      {"conv: no width, 1x1", {{1, 4, 0, 2}, {3, 2, 1, 1}, {3}}, convolution(padded(0))},
      {"conv: no kernel", {{1, 4, 4, 2}, {3, 2, 0, 3}, {3}}, convolution(padded(0))},
      {"transposed: no samples",
       {{0, 4, 4, 2}, {2, 3, 3, 3}, {3}},
       transposed(padded(0)),
       Result{{0, 6, 6, 3}, none, {none, 0, 0}}},
      {"transposed: no output height", {{1, 1, 4, 2}, {2, 3, 2, 3}, {3}}, transposed(padded(1))},
      {"transposed: less than none", {{1, 1, 4, 2}, {2, 3, 2, 3}, {3}}, transposed(padded(2))},
      {"transposed: no height", {{1, 0, 4, 2}, {2, 3, 3, 3}, {3}}, transposed(padded(0))},
      {"transposed: no height, strided",
       {{1, 0, 4, 2}, {2, 3, 3, 3}, {3}},
       transposed(padded(0, 2))},
      {"transposed: no input channels", {{1, 4, 4, 0}, {0, 3, 3, 3}, {3}}, transposed(padded(0))},
      {"transposed: no output channels", {{1, 4, 4, 2}, {2, 0, 3, 3}, {0}}, transposed(padded(0))},
      {"max pool: no samples", {{0, 4, 4, 2}}, max_pool, Result{{0, 2, 2, 2}, none, {none}}},
      {"max pool: no channels", {{1, 4, 4, 0}}, max_pool},
      {"max pool: no height", {{1, 0, 4, 2}}, max_pool_padded},
      {"max pool: no samples, no height", {{0, 0, 4, 2}}, max_pool_padded},
      {"max pool: larger than the image", {{1, 1, 4, 2}}, max_pool},
      {"avg pool: no samples", {{0, 4, 4, 2}}, avg_pool, Result{{0, 2, 2, 2}, none, {none}}},
      {"avg pool: no channels", {{1, 4, 4, 0}}, avg_pool},
      {"avg pool: no width", {{1, 4, 0, 2}}, avg_pool_padded},
      {"avg pool: larger than the image", {{1, 4, 1, 2}}, avg_pool},
      {"layer norm: over no dimension", {{2, 3}}, ALONG(layer_norm(x, Shape{}))},
      {"layer norm: over no element",
       {{2, 0}},
       ALONG(layer_norm(x, {0})),
       Result{{2, 0}, none, {none}}},
      {"layer norm: no rows", {{0, 3}}, ALONG(layer_norm(x, {3})), Result{{0, 3}, none, {none}}},
      {"group norm: one value a group", {{1, 2}}, norm_of_groups(2)},
      {"group norm: one pixel, one value a group", {{1, 1, 1, 4}}, norm_of_groups(4)},
      {"group norm: one value a group, samples",
       {{3, 2}},
       norm_of_groups(2),
       Result{{3, 2}, 0, {0}}},
      {"group norm: no samples", {{0, 3, 4}}, norm_of_groups(2), Result{{0, 3, 4}, none, {none}}},
      {"group norm: no channels", {{2, 3, 0}}, norm_of_groups(1)},
      {"group norm: no positions", {{2, 0, 4}}, norm_of_groups(2)},
      {"batch norm: one value a channel", {{1, 3}}, norm_of_batch},
      {"batch norm: no samples", {{0, 2, 3}}, norm_of_batch, Result{{0, 2, 3}, none, {none}}},
      {"batch norm: no channels", {{2, 2, 0}}, norm_of_batch, Result{{2, 2, 0}, none, {none}}},
      {"batch norm: no positions", {{2, 0, 3}}, norm_of_batch, Result{{2, 0, 3}, none, {none}}},
      {"matmul: no inner size", {{2, 0}, {0, 3}}, product, Result{{2, 3}, 0, {none, none}}},
      {"matmul: a stack without inner size",
       {{2, 3, 0}, {0, 4}},
       product,
       Result{{2, 3, 4}, 0, {none, none}}},
      {"matmul: no rows", {{0, 2}, {2, 3}}, product, Result{{0, 3}, none, {none, 0}}},
      {"matmul: empty vectors", {{0}, {0}}, product, Result{{}, 0, {none, none}}},
      {"matmul: no batch", {{0, 2, 3}, {0, 3, 4}}, product, Result{{0, 2, 4}, none, {none, none}}},
      {"linear: no inputs", {{2, 0}, {3, 0}, {3}}, layer, Result{{2, 3}, 1, {none, none, 2}}},
      {"linear: no outputs", {{2, 4}, {0, 4}, {0}}, layer, Result{{2, 0}, none, {0, none, none}}},
      {"attention: no queries",
       {{1, 0, 4}, {1, 3, 4}, {1, 3, 4}},
       attention,
       Result{{1, 0, 4}, none, {none, 0, 0}}},
      {"attention: no keys",
       {{1, 2, 4}, {1, 0, 4}, {1, 0, 4}},
       attention,
       Result{{1, 2, 4}, 0, {0, none, none}}},
      {"attention: no depth",
       {{1, 2, 0}, {1, 3, 0}, {1, 3, 4}},
       attention,
       Result{{1, 2, 4}, 1, {none, none, 2.0 / 3}}},
      {"attention: no width",
       {{1, 2, 4}, {1, 3, 4}, {1, 3, 0}},
       attention,
       Result{{1, 2, 0}, none, {0, 0, none}}},
      {"attention: no items",
       {{0, 2, 4}, {0, 3, 4}, {0, 3, 4}},
       attention,
       Result{{0, 2, 4}, none, {none, none, none}}},
      {"softmax", {{2, 0}}, ALONG(softmax(x, 1)), Result{{2, 0}, none, {none}}},
      {"log softmax", {{0, 2}}, ALONG(log_softmax(x, 0)), Result{{0, 2}, none, {none}}},
      {"logsumexp", {{0, 2}}, ALONG(logsumexp(x, 1)), Result{{0}, none, {none}}},
      {"logsumexp of none", {{2, 0}}, ALONG(logsumexp(x, 1))},
      {"select", {{2, 0}}, ALONG(select(x, 0, 1)), Result{{0}, none, {none}}},
      {"select of none", {{2, 0}}, ALONG(select(x, 1, 0))},
      {"unsqueeze", {{2, 0}}, ALONG(unsqueeze(x, 1)), Result{{2, 1, 0}, none, {none}}},
      {"squeeze", {{1, 0}}, ALONG(squeeze(x, 0)), Result{{0}, none, {none}}},
      {"log1p", {{2, 0}}, ALONG(log1p(x)), Result{{2, 0}, none, {none}}},
      {"argsort", {{2, 0}}, ALONG(argsort(x.value(), 1)), Result{{2, 0}, none}},
      {"amax of none", {{2, 0}}, ALONG(amax(x, {1}))},
      {"amax of nothing", {{0}}, ALONG(amax(x))},
      {"amin of none", {{2, 0}}, ALONG(amin(x, {1}))},
      {"amax, beside", {{2, 0}}, ALONG(amax(x, {0})), Result{{0}, none, {none}}},
      {"mean", {{2, 0}}, ALONG(mean(x, {1})), Result{{2}, nan, {none}}},
      {"mean of nothing", {{0}}, ALONG(mean(x)), Result{{}, nan, {none}}},
      {"var", {{2, 0}}, ALONG(var(x, {1})), Result{{2}, nan, {none}}},
      {"var of one", {{2, 1}}, ALONG(var(x, {1})), Result{{2}, nan, {nan}}},
      {"var of one, biased", {{2, 1}}, ALONG(var(x, {1}, false)), Result{{2}, 0, {0}}},
      {"std", {{2, 0}}, ALONG(ebb::std(x, {1})), Result{{2}, nan, {none}}},
      {"std of one, biased", {{2, 1}}, ALONG(ebb::std(x, {1}, false)), Result{{2}, 0, {0}}},
      {"sum", {{2, 0}}, ALONG(sum(x, {1})), Result{{2}, 0, {none}}},
      {"cumsum", {{2, 0}}, ALONG(cumsum(x, 1)), Result{{2, 0}, none, {none}}},
      {"cumprod", {{2, 0}}, ALONG(cumprod(x, 1)), Result{{2, 0}, none, {none}}},
      {"sort", {{2, 0}}, ALONG(sort(x.value(), 1)), Result{{2, 0}, none}},
      {"argmax", {{2, 0}}, ALONG(argmax(x.value(), 1))},
      {"argmax, beside", {{2, 0}}, ALONG(argmax(x.value(), 0)), Result{{0}, none}},
      {"quantile", {{2, 0}}, ALONG(quantile(x.value(), 0.5, 1))},
      {"cat", {{0, 3}, {2, 3}}, same_kind, Result{{2, 3}, 1, {none, 1}}},
      {"cross entropy: no samples",
       {{0, 3}},
       ALONG(cross_entropy(x, no_labels)),
       Result{{}, nan, {none}}},
      {"cross entropy: no classes", {{2, 0}}, ALONG(cross_entropy(x, two_labels))},
      {"mse",
       {{0}, {0}},
       [](const Inputs& in) { return mse_loss(in[0], in[1]); },
       Result{{}, nan, {none, none}}},
      {"l1",
       {{0}, {0}},
       [](const Inputs& in) { return l1_loss(in[0], in[1]); },
       Result{{}, nan, {none, none}}},
      {"huber",
       {{0}, {0}},
       [](const Inputs& in) { return huber_loss(in[0], in[1]); },
       Result{{}, nan, {none, none}}},
      {"binary cross entropy",
       {{0}, {0}},
       [](const Inputs& in) { return binary_cross_entropy_with_logits(in[0], in[1]); },
       Result{{}, nan, {none, none}}},
      {"embedding of none", {{3, 2}}, ALONG(embedding(x, no_labels)), Result{{0, 2}, none, {0}}},
      {"embedding of none, no table",
       {{0, 2}},
       ALONG(embedding(x, no_labels)),
       Result{{0, 2}, none, {none}}},
      {"embedding without width",
       {{3, 0}},
       ALONG(embedding(x, two_labels)),
       Result{{2, 0}, none, {none}}},
      {"index select", {{3, 2}}, ALONG(index_select(x, 0, no_labels)), Result{{0, 2}, none, {0}}},
      {"gather",
       {{2, 3}},
       ALONG(gather(x, 1, Tensor::zeros({2, 0}, DType::int64))),
       Result{{2, 0}, none, {0}}},
      {"interpolate: no height", {{1, 0, 3, 2}}, resized},
      {"interpolate: no samples", {{0, 3, 3, 2}}, resized, Result{{0, 2, 2, 2}, none, {none}}},
      {"interpolate: no channels", {{1, 3, 3, 0}}, resized},
      {"interpolate: to nothing",
       {{1, 3, 3, 2}},
       ALONG(interpolate(x, 0, 2, Interpolation::nearest))},
      {"pad", {{2, 0}}, ALONG(pad(x, {1, 1})), Result{{2, 2}, 0, {none}}},
      {"broadcast", {{1, 3}}, ALONG(broadcast_to(x, {0, 3})), Result{{0, 3}, none, {0}}}};
}

}  // namespace

TEST_CASE("zero sizes: refused, or as PyTorch has them") {
  for (const DType dtype : {DType::float32, DType::float64})
    for (const Row& row : rows()) {
      CAPTURE(row.name);
      Inputs inputs;
      for (const Shape& shape : row.inputs) inputs.emplace_back(Tensor::ones(shape, dtype), true);
      if (!row.result) {
        CHECK_THROWS_AS(row.function(inputs), Error);
        continue;
      }
      const Variable y = row.function(inputs);
      CHECK(y.shape() == row.result->shape);
      CHECK(same(y.value(), row.result->value));
      if (!y.requires_grad()) continue;
      y.backward(Tensor::ones(y.shape(), dtype));
      for (std::size_t i = 0; i < row.result->gradients.size(); ++i) {
        CAPTURE(i);
        REQUIRE(inputs[i].grad().defined());
        CHECK(inputs[i].grad().shape() == inputs[i].shape());
        CHECK(same(inputs[i].grad(), row.result->gradients[i]));
      }
    }
}
