// What an operation says of arguments that do not fit.
#include <doctest/doctest.h>
#include <ebb/tensor/ops/conv.h>
#include <ebb/tensor/ops/layout.h>
#include <ebb/tensor/ops/matmul.h>
#include <ebb/tensor/ops/norm.h>
#include <ebb/tensor/ops/optimizer_steps.h>
#include <ebb/tensor/ops/pool.h>
#include <ebb/tensor/ops/reduce.h>

#include "tests/check_message.h"

namespace ebb {
namespace {

using test::check_message;

Tensor of(const Shape& shape) { return Tensor::zeros(shape); }

TEST_CASE("options and shapes that no convolution has") {
  const Tensor x = of({2, 5, 5, 4}), weight = of({6, 4, 3, 3}), y = of({2, 3, 3, 6}), none;
  const auto refused = [&](const Conv2dOptions& options, const std::string& words) {
    check_message([&] { conv2d(x, weight, none, options); }, "conv2d: " + words);
  };
  refused({.stride = {1, 0}}, "stride is 0; use 1 or more");
  refused({.dilation = {0, 1}}, "dilation is 0; use 1 or more");
  refused({.padding = {-1, 0}}, "padding is -1; use 0 or more");
  refused({.groups = 0}, "groups is 0; use 1 or more");
  refused({.groups = 3}, "input channels 4 are not divisible by groups 3");
  refused({.groups = 4}, "output channels 6 are not divisible by groups 4");
  refused({.groups = 2}, "weight (6, 4, 3, 3) with groups 2 wants 8 channels, x has shape");
  refused({.stride = {2, 2}, .output_padding = {1, 1}},
          "output_padding is 1; only conv_transpose2d has it");
  refused({.dilation = {3, 1}}, "an image of size 5 with padding is smaller than the kernel's 7");

  check_message([&] { conv2d(of({5, 5, 4}), weight, none); }, "x has shape (5, 5, 4)");
  check_message([&] { conv2d(x, of({6, 4, 3}), none); }, "weight has shape (6, 4, 3)");
  check_message([&] { conv2d(x, of({6, 4, 0, 3}), none); }, "the kernel is 0 x 3");
  check_message([&] { conv2d(x, weight, of({4})); }, "bias has shape (4,); it must be (6,)");
  check_message([&] { conv2d(x, weight.to(DType::float64), none); }, "float64");

  check_message([&] { conv2d_backward_data(x, weight, 5, 5); },
                "(2, 5, 5, 4) and weight (6, 4, 3, 3) differ in output channels");
  check_message([&] { conv2d_backward_data(y, weight, 7, 5); }, "an image of 7 x 5 gives");
  check_message(
      [&] {
        conv2d_backward_weights(of({1, 3, 3, 6}), x, {3, 3});
      },
      "(1, 3, 3, 6) and x (2, 5, 5, 4) differ in samples");
  check_message([&] { conv2d_backward_weights(y, x, {2, 3}); }, "grad has shape (2, 3, 3, 6)");
}

TEST_CASE("options and shapes that no transposed convolution has") {
  const Tensor x = of({2, 3, 3, 6}), weight = of({6, 4, 3, 3}), none;
  check_message(
      [&] {
        conv_transpose2d(x, weight, none, {.output_padding = {1, 0}});
      },
      "output_padding is 1; it must be below stride 1 or dilation 1");
  check_message(
      [&] {
        conv_transpose2d(x, weight, none, {.output_padding = {-1, 0}});
      },
      "output_padding is -1");
  check_message([&] { conv_transpose2d(of({2, 3, 3, 4}), weight, none); }, "wants 6 channels");
  check_message(
      [&] {
        conv_transpose2d(x, weight, none, {.padding = {4, 0}});
      },
      "the output's size would be -3");
  check_message([&] { conv_transpose2d(x, weight, of({6})); }, "it must be (4,)");

  const auto data = [&](const Tensor& grad, const Conv2dOptions& options = {}) {
    conv_transpose2d_backward_data(grad, weight, options);
  };
  check_message([&] { data(of({2, 5, 5, 6})); }, "gives 4 channels, grad has shape (2, 5, 5, 6)");
  check_message([&] { data(of({2, 6, 5, 4}), {.stride = {2, 2}}); }, "is not the output of any x");
  check_message(
      [&] {
        conv_transpose2d_backward_weights(of({2, 4, 5, 4}), x, {3, 3});
      },
      "grad has shape (2, 4, 5, 4); x (2, 3, 3, 6) gives (2, 5, 5, 4)");
  check_message([&] { conv_relu_backward(of({2, 4, 5}), x); }, "grad has shape (2, 4, 5)");
  check_message(
      [&] {
        conv_relu_backward(of({2, 3, 3, 5}), x);
      },
      "conv_relu_backward: grad has shape (2, 3, 3, 5), y (2, 3, 3, 6)");
}

TEST_CASE("indices and parts that do not fit") {
  const Tensor x = of({3, 4}), flat = Tensor::arange(2), square = flat.reshape({1, 2});
  check_message(
      [&] {
        gather(x, 1, Tensor::arange(4).reshape({4, 1}));
      },
      "gather: index (4, 1) reaches beyond (3, 4) outside dimension 1");
  check_message([&] { index_select(x, 0, square); }, "the index has shape (1, 2)");
  check_message([&] { index_select_backward(x, {3, 4}, 0, flat); }, "it must have shape (2, 4)");
  check_message([&] { repeat_interleave(x, -1, 0); }, "repeat_interleave: -1 repeats");
  check_message([&] { cat(std::vector<Tensor>(), 0); }, "cat: no tensors given");
  check_message([&] { stack(std::vector<Tensor>(), 0); }, "stack: no tensors given");
  check_message([&] { slice_backward(x, {3, 4}, 0, 0, 2); }, "its gradient (3, 4)");
}

TEST_CASE("no elements to choose from, no value, two unknown sizes") {
  check_message([] { argmax(of({2, 0}), 1); }, "argmax: shape (2, 0) has no elements");
  check_message([] { quantile(of({2, 0}), 0.5, 1); }, "quantile: shape (2, 0) has no elements");
  check_message([] { Tensor().reshape({1}); }, "reshape: the tensor is undefined");
  check_message([] { of({4}).reshape({-1, -1}); }, "more than one -1 in (-1, -1)");
}

TEST_CASE("products, normalisations and images that do not fit") {
  const Tensor vector = of({4}), image = of({1, 4, 4, 3});
  check_message([&] { bmm(vector, of({4, 4})); }, "bmm: shapes (4,) and (4, 4); both need two");
  check_message([&] { bmm(of({2, 3, 4}), of({3, 4, 5})); }, "differ before the last two");
  check_message([&] { batch_norm(vector, {}, {}); }, "batch_norm: input (4,)");
  check_message([&] { max_pool2d(vector); }, "max_pool2d: input (4,)");
  check_message([&] { pixel_shuffle(image, 2); }, "(1, 4, 4, 3)");
  check_message([&] { pixel_unshuffle(image, 3); }, "(1, 4, 4, 3)");
  check_message([&] { avg_pool2d_backward(image, {4, 4, 3}); }, "input (4, 4, 3)");
  const Tensor q = of({2, 3, 4}), k = of({2, 5, 4}), v = of({2, 5, 6});
  check_message([&] { scaled_dot_product_attention(q, v, k); }, "query (2, 3, 4), key (2, 5, 6)");
  const Attended y = scaled_dot_product_attention(q, k, v);
  check_message([&] { scaled_dot_product_attention_backward(q, q, k, v, y); },
                "gradient (2, 3, 4); it must have the output's shape (2, 3, 6)");
  check_message(
      [&] {
        scaled_dot_product_attention_backward(y.y, q, k, v, {y.y, y.y, y.totals});
      },
      "largest (2, 3, 6) and totals (2, 3); they must have the shape (2, 3)");
}

TEST_CASE("what no optimizer can train") {
  const Tensor floats = of({3}), integers = Tensor::arange(3), other = of({2});
  const auto step = [](const Tensor& value, const Tensor& grad) {
    std::vector<SgdSlot> slots{{value, grad, {}, {}}};
    sgd_step(slots, {0.1, 0, 0, 0, false});
  };
  check_message([&] { step(integers, integers); }, "a parameter is int64");
  check_message([&] { step(floats, other); },
                "float32 (2,) on cpu beside a parameter float32 (3,)");
  check_message([&] { sum_of_squares({floats, integers}); }, "got int64");
}

}  // namespace
}  // namespace ebb
