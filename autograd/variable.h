// Variable: a value that remembers how it was computed, so that its gradient can be.
//
// Reverse mode: each operation on Variables that need gradients records a Node, which holds the
// operation's inputs and its backward rule. backward() visits the nodes once, outputs before
// inputs, and multiplies cotangents through the rules (Griewank & Walther 2008, ch. 3).
//
//   Variable w(Tensor::ones({3}), /*requires_grad=*/true);
//   Variable loss = sum(mul(w, w));
//   loss.backward();            // w.grad() is 2 w
//
// Rules take and return Tensors, so they cannot record a graph by accident. The engine alone sums
// gradients, undoes broadcasting and frees the graph.
//
// Threads: any number may run operations at once, also on the same Variables; GradMode is each
// thread's own. backward() writes the gradients of its leaves: graphs that share a leaf which needs
// one must go one after the other.
#pragma once

#include <ebb/tensor/tensor.h>

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

namespace ebb {

class Variable;

// Gradients by the inputs, one Tensor each, from the cotangent of the output. `needs[i]` is false
// where nobody wants the i-th: leave it undefined. A gradient may still have the broadcast
// shape; the engine sums it down to the input's. A rule may take the cotangent's memory where
// nobody else has it.
using Needs = std::vector<bool>;
using BackwardRule = std::function<std::vector<Tensor>(Tensor grad, const Needs& needs)>;

// A Tensor that a rule keeps for backward, with the version it had. get() is an Error that names
// `operation` if the value was changed in place since.
class Saved {
 public:
  Saved(std::string_view operation, const Tensor& tensor)
      : operation_(operation), tensor_(tensor), version_(tensor.version()) {}
  const Tensor& get() const;

 private:
  std::string_view operation_;  // a literal
  Tensor tensor_;
  std::uint64_t version_;
};

class Variable {
 public:
  Variable() = default;  // undefined, as an absent bias
  // A leaf. Not explicit: a Tensor is a Variable that needs no gradient.
  Variable(Tensor value, bool requires_grad = false);  // NOLINT

  bool defined() const { return state_ != nullptr; }
  const Tensor& value() const;
  // Replaces the value of a leaf (another device, another dtype).
  void set_value(Tensor value);
  const Shape& shape() const { return value().shape(); }
  std::int64_t size(std::int64_t dim) const { return shape()[dim]; }
  std::int64_t rank() const { return shape().rank(); }
  std::int64_t numel() const { return value().numel(); }
  DType dtype() const { return value().dtype(); }
  Device device() const { return value().device(); }
  double item() const { return value().item(); }

  bool requires_grad() const;
  void set_requires_grad(bool requires_grad);  // leaves only
  bool is_leaf() const;

  // The accumulated gradient of a leaf; undefined before the first backward.
  const Tensor& grad() const;
  void set_grad(Tensor grad);
  void zero_grad() { set_grad(Tensor()); }

  // Adds d this / d leaf, times the cotangent `grad`, to the gradient of every leaf. Without
  // `grad` this must have one element. Frees the graph as it goes unless `retain_graph`; a second
  // backward through a freed graph is an Error.
  void backward(const Tensor& grad = {}, bool retain_graph = false) const;
  // The same value without its history.
  Variable detach() const;

  // The functions of autograd/ops.h.
  Variable reshape(const std::vector<std::int64_t>& sizes) const;
  Variable select(std::int64_t dim, std::int64_t index) const;
  Variable slice(std::int64_t dim, std::int64_t start, std::int64_t stop,
                 std::int64_t step = 1) const;
  Variable permute(const std::vector<std::int64_t>& dims) const;
  Variable transpose(std::int64_t a, std::int64_t b) const;
  Variable squeeze(std::int64_t dim) const;
  Variable unsqueeze(std::int64_t dim) const;

  // The result of an operation: a Variable with a Node, or, when no input needs a gradient or
  // recording is off, a plain leaf.
  static Variable record(std::string_view operation, Tensor value,
                         const std::vector<Variable>& inputs, BackwardRule rule);

  struct Node;
  struct State;

 private:
  friend std::vector<Tensor> grad(const std::vector<Variable>& outputs,
                                  const std::vector<Variable>& inputs,
                                  const std::vector<Tensor>& cotangents, bool retain_graph);
  explicit Variable(std::shared_ptr<State> state) : state_(std::move(state)) {}

  std::shared_ptr<State> state_;
};

// The gradients of `outputs` by `inputs`, leaves or not, and of no other: those of leaves are left
// as they are. Each output has one element, or a cotangent of its shape in `cotangents`. An input
// that no output depends on is an Error. The graph is kept where `retain_graph`.
// torch.autograd.grad.
std::vector<Tensor> grad(const std::vector<Variable>& outputs, const std::vector<Variable>& inputs,
                         const std::vector<Tensor>& cotangents = {}, bool retain_graph = false);

// While one lives, `see` is called by this thread's backward for each operation, newest first: its
// name, the cotangent of its output and the gradients by its inputs (undefined where nobody wants
// one).
class BackwardObserver {
 public:
  using See = std::function<void(std::string_view operation, const Tensor& cotangent,
                                 const std::vector<Tensor>& gradients)>;
  explicit BackwardObserver(See see);
  ~BackwardObserver();
  BackwardObserver(const BackwardObserver&) = delete;
  BackwardObserver& operator=(const BackwardObserver&) = delete;

 private:
  See see_, before_;
};

// function(inputs), of which nothing but the inputs is kept: backward computes it once more (Chen
// et al. 2016). It must compute the same twice. Parameters that it uses get their gradients, from
// grad() too. torch.utils.checkpoint.
Variable checkpoint(const std::function<Variable(const std::vector<Variable>&)>& function,
                    const std::vector<Variable>& inputs);

// Whether operations record; on by default, per thread.
bool grad_enabled();

// Switches recording off (or on) for a scope.
class GradMode {
 public:
  explicit GradMode(bool enabled);
  ~GradMode();
  GradMode(const GradMode&) = delete;
  GradMode& operator=(const GradMode&) = delete;

 private:
  bool before_;
};
class NoGrad : public GradMode {
 public:
  NoGrad() : GradMode(false) {}
};

// True if recording is on and any of `inputs` needs a gradient: rules can skip work otherwise.
bool needs_graph(const std::vector<Variable>& inputs);

}  // namespace ebb
