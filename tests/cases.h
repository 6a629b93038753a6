// The differentiable operators, each with small float64 inputs: one table for the checks of
// gradients, of parity between dtypes and devices, and of gradients that nobody wants.
#pragma once

#include <ebb/autograd/ops.h>
#include <ebb/tensor/random/random.h>

#include <functional>
#include <string>
#include <vector>

namespace ebb::test {

using Inputs = std::vector<Variable>;

struct OperatorCase {
  std::string name;
  std::vector<Tensor> inputs;  // float64; all of them get gradients
  std::function<Variable(const Inputs&)> function;
};

class OperatorCases {
 public:
  OperatorCases() {
    pointwise();
    reductions();
    layout();
    products();
    convolutions();
    images();
    norms();
    losses();
  }
  std::vector<OperatorCase> cases;

 private:
  using Case = std::function<Variable(const Inputs&)>;

  void operator()(std::string name, std::vector<Tensor> inputs, Case function) {
    cases.push_back({std::move(name), std::move(inputs), std::move(function)});
  }

  Tensor normal(const Shape& shape) { return generator_.randn(shape, DType::float64); }
  Tensor positive(const Shape& shape) { return abs(normal(shape)) + 0.3; }
  // Not near zero, where some functions have a kink or a pole.
  Tensor away(const Shape& shape) {
    const Tensor x = normal(shape);
    return x + unary_backward(Unary::abs, Tensor::full(shape, 0.2, DType::float64), x, abs(x));
  }
  static Tensor numbers(const std::vector<double>& values, const Shape& shape) {
    return Tensor::from(values, shape);
  }
  // int64 values where the inputs are.
  static Tensor indices(const Inputs& in, const std::vector<std::int64_t>& values,
                        const Shape& shape) {
    return Tensor::from(values, shape).to(in[0].device());
  }

  void pointwise() {
#define EBB_CASE(name, ...) unary_case(Unary::name);
    EBB_UNARY_LIST(EBB_CASE)
#undef EBB_CASE
    for (const double exponent : {3.0, 2.0, 1.0, 0.0})
      (*this)("pow of negative numbers, " + std::to_string(exponent), {away({7})},
              [=](const Inputs& in) { return pow(in[0], exponent); });
    const std::vector<std::pair<Shape, Shape>> shapes{
        {{2, 3}, {2, 3}}, {{2, 3, 4}, {3, 1}}, {{5}, {4, 5}}, {{2, 1, 3}, {1, 4, 1}}, {{3, 4}, {}}};
    for (const auto& pair : shapes) {
      const Shape &a = pair.first, &b = pair.second;
      const std::string suffix = " of " + a.str() + " and " + b.str();
      const auto binary_case = [&](const std::string& name, auto function) {
        (*this)(name + suffix, {away(a), away(b)},
                [=](const Inputs& in) { return function(in[0], in[1]); });
      };
      using Operands = const Variable&;
#define EBB_CASE(name, ...) binary_case(#name, [](Operands x, Operands y) { return name(x, y); });
      EBB_BINARY_LIST(EBB_CASE)
#undef EBB_CASE
    }
    const Tensor tied = numbers({1, 2, -3, 0.5}, {4});
    const Tensor other = numbers({1, 1.5, -3, 2}, {4});
    (*this)("maximum with ties", {tied, other},
            [](const Inputs& in) { return maximum(in[0], in[1]); });
    (*this)("minimum with ties", {tied, other},
            [](const Inputs& in) { return minimum(in[0], in[1]); });
    (*this)("with numbers", {away({3})}, [](const Inputs& in) {
      return 2.0 * (in[0] + 1.5) / 4.0 - 3.0 + (0.5 + (1.0 - 2.0 / in[0]));
    });
    (*this)("where", {normal({2, 3}), normal({2, 1, 1})}, [](const Inputs& in) {
      return where(indices(in, {1, 0, 1}, {3}), in[0], in[1]);
    });
  }

  void unary_case(Unary function) {
    const double a = -0.5, b = 0.7;
    const bool everywhere = all_finite(unary(function, Tensor::scalar(-1, DType::float64), a, b));
    (*this)(std::string(name_of(function)), {everywhere ? away({3, 5}) : positive({3, 5})},
            [=](const Inputs& in) { return unary(function, in[0], a, b); });
  }

  void reductions() {
    const std::vector<Dims> choices{{}, {0}, {-1}, {0, 2}};
    for (std::size_t i = 0; i < choices.size(); ++i) {
      const Dims dims = choices[i];
      const bool keepdim = i % 2 == 1;
      const std::string suffix = fmt::format(" over {}", dims);
      const auto reduction = [&](const std::string& name, auto function) {
        (*this)(name + suffix, {normal({3, 2, 4})},
                [=](const Inputs& in) { return function(in[0], dims, keepdim); });
      };
      using X = const Variable&;
      reduction("sum", [](X x, const Dims& d, bool keep) { return sum(x, d, keep); });
      reduction("mean", [](X x, const Dims& d, bool keep) { return mean(x, d, keep); });
      reduction("amax", [](X x, const Dims& d, bool keep) { return amax(x, d, keep); });
      reduction("amin", [](X x, const Dims& d, bool keep) { return amin(x, d, keep); });
      reduction("var", [](X x, const Dims& d, bool keep) { return var(x, d, true, keep); });
      reduction("biased var", [](X x, const Dims& d, bool keep) { return var(x, d, false, keep); });
      reduction("std", [](X x, const Dims& d, bool keep) { return std(x, d, true, keep); });
      reduction("biased std", [](X x, const Dims& d, bool keep) { return std(x, d, false, keep); });
    }
    const Tensor tied = numbers({2, 1, 2, -1, 0, -1}, {2, 3});
    (*this)("amax with ties", {tied}, [](const Inputs& in) { return amax(in[0], {1}); });
    (*this)("amin with ties", {tied}, [](const Inputs& in) { return amin(in[0], {1}, true); });
    for (const std::int64_t dim : {0, 1, -1}) {
      const std::string suffix = fmt::format(" along {}", dim);
      (*this)("cumsum" + suffix, {normal({3, 2, 4})},
              [=](const Inputs& in) { return cumsum(in[0], dim); });
      (*this)("cumprod" + suffix, {away({3, 2, 4})},
              [=](const Inputs& in) { return cumprod(in[0], dim); });
      (*this)("softmax" + suffix, {normal({3, 2, 4})},
              [=](const Inputs& in) { return softmax(in[0], dim); });
      (*this)("log_softmax" + suffix, {normal({3, 2, 4})},
              [=](const Inputs& in) { return log_softmax(in[0], dim); });
      (*this)("logsumexp" + suffix, {normal({3, 2, 4}) * 3.0},
              [=](const Inputs& in) { return logsumexp(in[0], dim, dim == 0); });
    }
    (*this)("cumprod with zeros", {numbers({2, 0, 3, 4, 0, 1.5, 0, -1}, {2, 4})},
            [](const Inputs& in) { return cumprod(in[0], 1); });
  }

  void layout() {
    (*this)("reshape", {normal({2, 3, 4})}, [](const Inputs& in) {
      return reshape(in[0], {4, -1});
    });
    (*this)("permute", {normal({2, 3, 4})}, [](const Inputs& in) {
      return permute(in[0], {2, 0, -2});
    });
    (*this)("transpose", {normal({2, 3, 4})},
            [](const Inputs& in) { return transpose(in[0], 0, -1); });
    (*this)("broadcast_to", {normal({3, 1})}, [](const Inputs& in) {
      return broadcast_to(in[0], {2, 3, 4});
    });
    (*this)("cat", {normal({2, 3, 2}), normal({2, 1, 2}), normal({2, 2, 2})},
            [](const Inputs& in) { return cat(in, -2); });
    (*this)("stack", {normal({2, 3}), normal({2, 3})},
            [](const Inputs& in) { return stack(in, -1); });
    (*this)("slice", {normal({3, 6, 2})},
            [](const Inputs& in) { return slice(in[0], 1, 1, -1, 2); });
    (*this)("split", {normal({2, 5})}, [](const Inputs& in) {
      const std::vector<Variable> parts = split(in[0], 2, 1);
      return cat({parts[2], parts[0] * parts[1]}, -1);
    });
    (*this)("flip", {normal({2, 3, 2})}, [](const Inputs& in) { return flip(in[0], {0, -1}); });
    (*this)("pad", {normal({2, 3, 4})}, [](const Inputs& in) {
      return pad(in[0], {1, 2, 0, 3}, 0.5);
    });
    (*this)("pad that crops", {normal({2, 3, 4})}, [](const Inputs& in) {
      return pad(in[0], {-1, 2, 1, -1});
    });
    (*this)("gather", {normal({3, 4})}, [](const Inputs& in) {
      return gather(in[0], 1, indices(in, {0, 3, 0, 1, 1, 2}, {2, 3}));
    });
    (*this)("index_select", {normal({3, 4})}, [](const Inputs& in) {
      return index_select(in[0], 1, indices(in, {3, 0, 3}, {3}));
    });
    (*this)("embedding with repeated indices", {normal({5, 3})}, [](const Inputs& in) {
      return embedding(in[0], indices(in, {4, 0, 4, 2, 4, 0}, {2, 3}));
    });
  }

  void products() {
    const std::vector<std::pair<Shape, Shape>> shapes{
        {{3, 4}, {4, 2}},    {{2, 3, 4}, {2, 4, 2}}, {{2, 1, 3, 4}, {5, 4, 2}}, {{2, 3, 4}, {4, 2}},
        {{3, 4}, {2, 4, 2}}, {{4}, {4, 3}},          {{2, 3, 4}, {4}},          {{4}, {4}},
        {{4}, {2, 4, 3}}};
    for (const auto& [a, b] : shapes)
      (*this)("matmul of " + a.str() + " and " + b.str(), {normal(a), normal(b)},
              [](const Inputs& in) { return matmul(in[0], in[1]); });
    (*this)("linear", {normal({2, 3, 4}), normal({5, 4}), normal({5})},
            [](const Inputs& in) { return linear(in[0], in[1], in[2]); });
    (*this)("linear of a vector without bias", {normal({4}), normal({5, 4})},
            [](const Inputs& in) { return linear(in[0], in[1]); });
    (*this)("attention", {normal({2, 3, 4, 3}), normal({2, 3, 5, 3}), normal({2, 3, 5, 2})},
            [](const Inputs& in) { return scaled_dot_product_attention(in[0], in[1], in[2]); });
    (*this)("attention with a scale", {normal({4, 3}), normal({2, 3}), normal({2, 3})},
            [](const Inputs& in) { return scaled_dot_product_attention(in[0], in[1], in[2], 2); });
    for (const bool causal : {true, false})
      (*this)(causal ? "causal attention" : "attention with a mask",
              {normal({2, 3, 4}), normal({2, 5, 4}), normal({2, 5, 2})},
              [causal](const Inputs& in) {
                AttentionMask mask{{}, causal};
                if (!causal)
                  mask.mask = indices(in, {1, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1}, {3, 5});
                return scaled_dot_product_attention(in[0], in[1], in[2], mask);
              });
    for (const std::int64_t heads : {1, 2})
      (*this)("self-attention", {normal({2, 3, 12})},
              [heads](const Inputs& in) { return self_attention(in[0], heads); });
    for (const std::int64_t heads : {1, 2})
      (*this)("cross-attention", {normal({2, 3, 4}), normal({2, 5, 4}), normal({2, 5, 4})},
              [heads](const Inputs& in) { return cross_attention(in[0], in[1], in[2], heads); });
  }

  void convolutions() {
    struct Setting {
      std::string name;
      Shape x, weight;
      Conv2dOptions options;
    };
    const std::vector<Setting> forward{
        {"padded", {2, 5, 4, 3}, {4, 3, 3, 3}, {{1, 1}, {1, 1}, {1, 1}, 1, {}}},
        {"strided on odd sizes", {1, 7, 6, 2}, {3, 2, 3, 3}, {{2, 2}, {1, 1}, {1, 1}, 1, {}}},
        {"dilated", {1, 6, 5, 2}, {2, 2, 3, 3}, {{1, 1}, {2, 2}, {2, 2}, 1, {}}},
        {"grouped", {2, 4, 3, 4}, {6, 2, 2, 2}, {{1, 1}, {1, 1}, {1, 1}, 2, {}}},
        {"depthwise", {1, 4, 5, 3}, {3, 1, 3, 3}, {{1, 1}, {1, 1}, {1, 1}, 3, {}}},
        {"of one pixel", {2, 3, 3, 5}, {2, 5, 1, 1}, {}},
        {"uneven", {1, 5, 8, 2}, {4, 1, 2, 3}, {{2, 1}, {0, 2}, {1, 2}, 2, {}}}};
    const std::vector<Setting> transposed{
        {"padded", {2, 4, 3, 3}, {3, 2, 3, 3}, {{1, 1}, {1, 1}, {1, 1}, 1, {0, 0}}},
        {"with output padding", {1, 3, 4, 2}, {2, 3, 3, 3}, {{2, 2}, {1, 1}, {1, 1}, 1, {1, 1}}},
        {"grouped", {1, 3, 3, 4}, {4, 3, 2, 2}, {{2, 2}, {0, 0}, {1, 1}, 2, {0, 0}}},
        {"dilated", {1, 3, 4, 2}, {2, 2, 3, 3}, {{1, 1}, {2, 2}, {2, 2}, 1, {0, 0}}},
        {"uneven", {1, 3, 2, 4}, {4, 1, 2, 3}, {{3, 1}, {1, 0}, {1, 2}, 2, {2, 1}}}};
    for (const Setting& s : forward)
      (*this)("conv2d " + s.name, {normal(s.x), normal(s.weight), normal({s.weight[0]})},
              [=](const Inputs& in) { return conv2d(in[0], in[1], in[2], s.options); });
    for (const Setting& s : transposed)
      (*this)("conv_transpose2d " + s.name,
              {normal(s.x), normal(s.weight), normal({s.weight[1] * s.options.groups})},
              [=](const Inputs& in) { return conv_transpose2d(in[0], in[1], in[2], s.options); });
    for (const Activation activation : {Activation::none, Activation::relu, Activation::silu}) {
      const std::string suffix =
          fmt::format(" without bias, activation {}", static_cast<int>(activation));
      (*this)("conv2d" + suffix, {normal({1, 4, 4, 2}), normal({3, 2, 3, 3})},
              [=](const Inputs& in) { return conv2d(in[0], in[1], {}, {}, activation); });
      (*this)("conv_transpose2d" + suffix, {normal({1, 3, 3, 2}), normal({2, 3, 2, 2})},
              [=](const Inputs& in) { return conv_transpose2d(in[0], in[1], {}, {}, activation); });
    }
  }

  void images() {
    const std::vector<Pool2dOptions> pools{{}, {{3, 2}, {2, 1}, {1, 0}}, {{3, 3}, {2, 2}, {1, 1}}};
    for (std::size_t i = 0; i < pools.size(); ++i) {
      const Pool2dOptions options = pools[i];
      (*this)(fmt::format("max_pool2d {}", i), {normal({2, 5, 6, 2})},
              [=](const Inputs& in) { return max_pool2d(in[0], options); });
      (*this)(fmt::format("avg_pool2d {}", i), {normal({2, 5, 6, 2})},
              [=](const Inputs& in) { return avg_pool2d(in[0], options); });
    }
    for (const Interpolation mode : {Interpolation::nearest, Interpolation::bilinear})
      for (const Pair size : {Pair{6, 8}, Pair{5, 3}, Pair{2, 7}})
        (*this)(fmt::format("interpolate {} to {}", static_cast<int>(mode), size),
                {normal({1, 3, 4, 2})},
                [=](const Inputs& in) { return interpolate(in[0], size[0], size[1], mode); });
    (*this)("pixel_unshuffle", {normal({2, 4, 6, 2})},
            [](const Inputs& in) { return pixel_unshuffle(in[0], 2); });
    (*this)("pixel_shuffle", {normal({1, 2, 3, 9})},
            [](const Inputs& in) { return pixel_shuffle(in[0], 3); });
  }

  void norms() {
    for (const bool silu : {false, true}) {
      const std::string suffix = silu ? " with silu" : "";
      (*this)("group_norm" + suffix, {normal({2, 3, 3, 4}), normal({4}), normal({4})},
              [=](const Inputs& in) { return group_norm(in[0], 2, in[1], in[2], 1e-5, silu); });
      (*this)("group_norm with each sample's parameters" + suffix,
              {normal({3, 2, 3, 4}), normal({3, 4}), normal({3, 4})},
              [=](const Inputs& in) { return group_norm(in[0], 2, in[1], in[2], 1e-5, silu); });
      (*this)("group_norm without parameters" + suffix, {normal({2, 5, 6})},
              [=](const Inputs& in) { return group_norm(in[0], 3, {}, {}, 1e-3, silu); });
    }
    (*this)("layer_norm", {normal({2, 3, 5}), normal({5}), normal({5})},
            [](const Inputs& in) { return layer_norm(in[0], {5}, in[1], in[2]); });
    (*this)("layer_norm over two dimensions", {normal({3, 2, 4}), normal({2, 4}), normal({2, 4})},
            [](const Inputs& in) {
              return layer_norm(in[0], {2, 4}, in[1], in[2], 1e-3);
            });
    (*this)("layer_norm without parameters", {normal({4, 6})},
            [](const Inputs& in) { return layer_norm(in[0], {6}); });
    (*this)("batch_norm", {normal({3, 2, 2, 3}), normal({3}), normal({3})},
            [](const Inputs& in) { return batch_norm(in[0], in[1], in[2]); });
    (*this)("batch_norm without parameters", {normal({7, 3})},
            [](const Inputs& in) { return batch_norm(in[0], {}, {}, 1e-3); });
    (*this)("dropout", {normal({2, 3})}, [](const Inputs& in) {
      return dropout(in[0], indices(in, {1, 0, 1, 1, 0, 1}, {2, 3}), 0.25);
    });
  }

  void losses() {
    const Shape shape{3, 4};
    (*this)("mse_loss", {normal(shape), normal(shape)},
            [](const Inputs& in) { return mse_loss(in[0], in[1]); });
    (*this)("l1_loss", {normal(shape), normal(shape)},
            [](const Inputs& in) { return l1_loss(in[0], in[1]); });
    (*this)("huber_loss", {normal(shape), normal(shape)},
            [](const Inputs& in) { return huber_loss(in[0], in[1], 0.7); });
    (*this)("cross_entropy", {normal(shape)}, [](const Inputs& in) {
      return cross_entropy(in[0], indices(in, {3, 0, 3}, {3}));
    });
    (*this)("binary_cross_entropy_with_logits", {normal(shape), positive(shape)},
            [](const Inputs& in) { return binary_cross_entropy_with_logits(in[0], in[1]); });
  }

  PhiloxGenerator generator_{1, Purpose::other};
};

inline const std::vector<OperatorCase>& operator_cases() {
  static const OperatorCases table;
  return table.cases;
}

}  // namespace ebb::test
