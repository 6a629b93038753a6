#include <ebb/autograd/variable.h>
#include <ebb/tensor/ops/pointwise.h>
#include <ebb/tensor/ops/reduce.h>

#include <algorithm>
#include <atomic>
#include <queue>
#include <unordered_map>

namespace ebb {

namespace {

thread_local bool recording = true;

std::uint64_t next_number() {
  static std::atomic<std::uint64_t> number{0};
  return ++number;
}

}  // namespace

// Where a gradient goes: into the node that made the input, or into the leaf it is. The input's
// value is not held: what backward needs, the rule has saved.
struct Edge {
  std::shared_ptr<Variable::Node> node;
  std::shared_ptr<Variable::State> leaf;
  Shape shape;
  DType dtype = DType::float32;

  bool needed() const { return node != nullptr || leaf != nullptr; }
};

struct Variable::State {
  Tensor value;
  Tensor grad;
  bool requires_grad = false;
  std::shared_ptr<Node> node;  // null for leaves
};

struct Variable::Node {
  std::string_view operation;
  std::uint64_t number;  // of creation: an operation's inputs have smaller ones
  std::vector<Edge> inputs;
  BackwardRule rule;  // empty once the graph is freed

  ~Node();
};

namespace {

// Destroying a node would destroy its inputs' nodes, and so on down a chain of any length; the
// queue turns that recursion into a loop.
thread_local std::vector<std::shared_ptr<Variable::Node>> doomed;
thread_local bool destroying = false;

}  // namespace

Variable::Node::~Node() {
  for (Edge& edge : inputs)
    if (edge.node != nullptr) doomed.push_back(std::move(edge.node));
  if (destroying) return;
  destroying = true;
  while (!doomed.empty()) {
    const std::shared_ptr<Node> next = std::move(doomed.back());
    doomed.pop_back();
  }
  destroying = false;
}

const Tensor& Saved::get() const {
  check(tensor_.version() == version_,
        "{}: a value of shape {} that backward needs was changed in place (version {}, saved at "
        "{}); run backward before changing it, or change a clone",
        operation_, tensor_.shape(), tensor_.version(), version_);
  return tensor_;
}

Variable::Variable(Tensor value, bool requires_grad) : state_(std::make_shared<State>()) {
  check(value.defined(), "variable: the tensor is undefined; give it a value first");
  state_->value = std::move(value);
  set_requires_grad(requires_grad);
}

const Tensor& Variable::value() const {
  check(defined(), "variable: it is undefined; give it a value first");
  return state_->value;
}

void Variable::set_value(Tensor value) {
  check(is_leaf(), "set_value: only leaves have values that can be replaced; detach() first");
  state_->value = std::move(value);
}

bool Variable::requires_grad() const {
  return defined() && (state_->requires_grad || state_->node != nullptr);
}

void Variable::set_requires_grad(bool requires_grad) {
  check(is_leaf(), "set_requires_grad: only for leaves; detach() the result of an operation");
  check(!requires_grad || is_floating(dtype()),
        "set_requires_grad: {} has no gradients; convert to float32 or float64", dtype());
  state_->requires_grad = requires_grad;
}

bool Variable::is_leaf() const { return defined() && state_->node == nullptr; }

const Tensor& Variable::grad() const {
  check(defined(), "grad: the variable is undefined; give it a value first");
  return state_->grad;
}

void Variable::set_grad(Tensor grad) {
  check(defined(), "set_grad: the variable is undefined; give it a value first");
  check(!grad.defined() || grad.shape() == shape(),
        "set_grad: the gradient has shape {}, the value {}", grad.shape(), shape());
  state_->grad = std::move(grad);
}

Variable Variable::detach() const { return Variable(value()); }

Variable Variable::record(std::string_view operation, Tensor value,
                          const std::vector<Variable>& inputs, BackwardRule rule) {
  Variable result(std::move(value));
  if (!needs_graph(inputs)) return result;
  auto node = std::make_shared<Node>();
  node->operation = operation;
  node->number = next_number();
  node->rule = std::move(rule);
  node->inputs.resize(inputs.size());
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i].requires_grad()) continue;
    Edge& edge = node->inputs[i];
    edge.node = inputs[i].state_->node;
    if (edge.node == nullptr) edge.leaf = inputs[i].state_;
    edge.shape = inputs[i].shape();
    edge.dtype = inputs[i].dtype();
  }
  result.state_->node = std::move(node);
  return result;
}

namespace {

// Adds `grad` to `sum`, in place where nobody else sees the memory.
void accumulate(Tensor& sum, Tensor grad) {
  if (!sum.defined()) {
    sum = std::move(grad);
  } else if (sum.is_unique()) {
    add_(sum, grad);
  } else {
    sum = add(sum, grad);
  }
}

void accumulate_leaf(Tensor& sum, Tensor grad) {
  if (sum.defined()) {
    add_(sum, grad);
  } else {
    sum = grad.is_unique() ? std::move(grad) : grad.clone();
  }
}

using NodePointer = std::shared_ptr<Variable::Node>;

struct OlderLast {
  bool operator()(const NodePointer& a, const NodePointer& b) const {
    return a->number < b->number;
  }
};

}  // namespace

void Variable::backward(const Tensor& grad, bool retain_graph) const {
  check(requires_grad(),
        "backward: the variable needs no gradient and has no graph; set requires_grad on its "
        "inputs, outside NoGrad");
  check(grad.defined() || numel() == 1,
        "backward: the variable has shape {}; give the cotangent, or reduce it to one element",
        shape());
  check(!grad.defined() || grad.shape() == shape(),
        "backward: the cotangent has shape {}, the variable {}", grad.shape(), shape());
  Tensor seed = grad.defined() ? grad.to(dtype()) : Tensor::ones(shape(), dtype(), device());
  if (is_leaf()) return accumulate_leaf(state_->grad, std::move(seed));

  // Newest first: every node comes after all that used its output.
  std::priority_queue<NodePointer, std::vector<NodePointer>, OlderLast> ready;
  std::unordered_map<Node*, Tensor> cotangents;
  cotangents.emplace(state_->node.get(), std::move(seed));
  ready.push(state_->node);
  while (!ready.empty()) {
    const NodePointer node = ready.top();
    ready.pop();
    check(node->rule != nullptr,
          "backward: the graph below {} was freed by an earlier backward; pass retain_graph the "
          "first time, or compute the value again",
          node->operation);
    Needs needs(node->inputs.size());
    for (std::size_t i = 0; i < needs.size(); ++i) needs[i] = node->inputs[i].needed();
    std::vector<Tensor> gradients;
    {
      auto entry = cotangents.extract(node.get());
      gradients = node->rule(std::move(entry.mapped()), needs);
    }
    check(gradients.size() == needs.size(),
          "backward: the rule of {} gave {} gradients for {} "
          "inputs",
          node->operation, gradients.size(), needs.size());
    if (!retain_graph) node->rule = nullptr;
    for (std::size_t i = 0; i < needs.size(); ++i) {
      const Edge& edge = node->inputs[i];
      if (!needs[i] || !gradients[i].defined()) continue;
      check(gradients[i].dtype() == edge.dtype,
            "backward: the rule of {} gave a {} gradient for "
            "a {} input",
            node->operation, gradients[i].dtype(), edge.dtype);
      Tensor gradient = std::move(gradients[i]);
      if (gradient.shape() != edge.shape) gradient = sum_to(gradient, edge.shape);
      if (edge.leaf != nullptr) {
        accumulate_leaf(edge.leaf->grad, std::move(gradient));
        continue;
      }
      const auto [entry, first] = cotangents.try_emplace(edge.node.get());
      if (first) ready.push(edge.node);
      accumulate(entry->second, std::move(gradient));
    }
    if (!retain_graph) node->inputs.clear();
  }
}

bool grad_enabled() { return recording; }

GradMode::GradMode(bool enabled) : before_(recording) { recording = enabled; }
GradMode::~GradMode() { recording = before_; }

bool needs_graph(const std::vector<Variable>& inputs) {
  return recording && std::any_of(inputs.begin(), inputs.end(),
                                  [](const Variable& v) { return v.requires_grad(); });
}

}  // namespace ebb
