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

// In training, zero with probability p and the rest scaled by 1 / (1 - p); in evaluation x.
struct Dropout {
  Variable operator()(const Variable& x, Generator& generator) const;
  void visit(Visitor& v) { v.training(training); }

  double p = 0.5;
  bool training = true;
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
