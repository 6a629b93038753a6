// Layers one after another, and functions as layers.
#pragma once

#include <ebb/autograd/ops.h>
#include <ebb/nn/module.h>
#include <ebb/tensor/random/random.h>

#include <tuple>

namespace ebb {

// A function without parameters as a layer: Function{silu}.
struct Function {
  Variable operator()(const Variable& x) const { return function(x); }
  void visit(Visitor&) {}

  Variable (*function)(const Variable&);
};

// The same under torch.nn's names.
struct ReLU : Function {
  ReLU() : Function{relu} {}
};
struct SiLU : Function {
  SiLU() : Function{silu} {}
};
struct GELU : Function {
  GELU() : Function{gelu} {}
};
struct Tanh : Function {
  Tanh() : Function{tanh} {}
};
struct Sigmoid : Function {
  Sigmoid() : Function{sigmoid} {}
};
struct LeakyReLU {
  Variable operator()(const Variable& x) const { return leaky_relu(x, slope); }
  void visit(Visitor&) {}
  double slope = 0.01;
};

// In training, zero with probability p and the rest scaled by 1 / (1 - p); in evaluation x. Draws
// from the given stream, or from one of its own, one thread at a time.
struct Dropout {
  Variable operator()(const Variable& x, Generator& generator) const;
  Variable operator()(const Variable& x) const { return (*this)(x, own); }
  void visit(Visitor& v) { v.training(training); }

  double p = 0.5;
  bool training = true;
  mutable PhiloxGenerator own{0, Purpose::other};
};

// x (N, ...) to (N, the rest).
struct Flatten {
  Variable operator()(const Variable& x) const { return reshape(x, {x.size(0), -1}); }
  void visit(Visitor&) {}
};

// x (N, H, W, C).
struct MaxPool2d {
  Variable operator()(const Variable& x) const { return max_pool2d(x, options); }
  void visit(Visitor&) {}
  Pool2dOptions options;
};
struct AvgPool2d {
  Variable operator()(const Variable& x) const { return avg_pool2d(x, options); }
  void visit(Visitor&) {}
  Pool2dOptions options;
};

// Sequential net{Linear({.in = 2, .out = 8}, g), Function{relu}, Linear({.in = 8, .out = 1}, g)};
// Braces, not parentheses: only they build the layers in the order they stand in. Named by their
// number, as PyTorch's: "0.weight", "2.weight".
template <class... Layers>
struct Sequential {
  Sequential() = default;
  explicit Sequential(Layers... list) : layers(std::move(list)...) {}

  Variable operator()(const Variable& x) const {
    Variable y = x;
    std::apply([&](const Layers&... layer) { ((y = layer(y)), ...); }, layers);
    return y;
  }
  void visit(Visitor& v) {
    int number = 0;
    std::apply([&](Layers&... layer) { (v(std::to_string(number++), layer), ...); }, layers);
  }

  std::tuple<Layers...> layers;
};

}  // namespace ebb
