#include <ebb/autograd/engine.h>
#include <ebb/tensor/ops/pointwise.h>
#include <ebb/tensor/ops/reduce.h>

#include <algorithm>
#include <atomic>

namespace ebb {

namespace {

thread_local bool recording = true;
thread_local BackwardObserver::See observer;

std::uint64_t next_number() {
  static std::atomic<std::uint64_t> number{0};
  return ++number;
}

}  // namespace

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

void accumulate_leaf(Tensor& sum, Tensor grad) {
  if (sum.defined()) {
    add_(sum, grad);
  } else {
    sum = grad.is_unique() ? std::move(grad) : grad.clone();
  }
}

}  // namespace

void accumulate(Tensor& sum, Tensor grad) {
  if (!sum.defined()) {
    sum = std::move(grad);
  } else if (sum.is_unique()) {
    add_(sum, grad);
  } else {
    sum = add(sum, grad);
  }
}

void Propagation::add(const NodePointer& node, Tensor cotangent) {
  const auto [entry, first] = cotangents_.try_emplace(node.get());
  if (first) ready_.push(node);
  accumulate(entry->second, std::move(cotangent));
}

void Propagation::run(const std::function<bool(const Edge&)>& follow,
                      const std::function<void(Variable::State*, Tensor)>& on_leaf,
                      const std::function<void(Variable::Node*, const Tensor&)>& on_node) {
  while (!ready_.empty()) {
    const NodePointer node = ready_.top();
    ready_.pop();
    check(node->rule != nullptr,
          "backward: the graph below {} was freed by an earlier backward; pass retain_graph the "
          "first time, or compute the value again",
          node->operation);
    auto entry = cotangents_.extract(node.get());
    if (on_node) on_node(node.get(), entry.mapped());
    Needs needs(node->inputs.size());
    for (std::size_t i = 0; i < needs.size(); ++i) needs[i] = follow(node->inputs[i]);
    if (std::find(needs.begin(), needs.end(), true) == needs.end()) continue;
    std::vector<Tensor> gradients = apply(*node, std::move(entry.mapped()), needs);
    for (std::size_t i = 0; i < needs.size(); ++i) {
      const Edge& edge = node->inputs[i];
      if (!needs[i] || !gradients[i].defined()) continue;
      Tensor gradient = std::move(gradients[i]);
      if (gradient.shape() != edge.shape) gradient = sum_to(gradient, edge.shape);
      if (edge.leaf != nullptr) {
        on_leaf(edge.leaf.get(), std::move(gradient));
      } else {
        add(edge.node, std::move(gradient));
      }
    }
    if (!retain_graph_) node->inputs.clear();
  }
}

std::vector<Tensor> Propagation::apply(Variable::Node& node, Tensor cotangent,
                                       const Needs& needs) const {
  const Tensor seen = observer ? cotangent : Tensor();
  std::vector<Tensor> gradients = node.rule(std::move(cotangent), needs);
  check(gradients.size() == needs.size(),
        "backward: the rule of {} gave {} gradients for {} inputs", node.operation,
        gradients.size(), needs.size());
  for (std::size_t i = 0; i < needs.size(); ++i)
    check(!needs[i] || !gradients[i].defined() || gradients[i].dtype() == node.inputs[i].dtype,
          "backward: the rule of {} gave a {} gradient for a {} input", node.operation,
          gradients[i].dtype(), node.inputs[i].dtype);
  if (observer) observer(node.operation, seen, gradients);
  if (!retain_graph_) node.rule = nullptr;
  return gradients;
}

Tensor seed_of(std::string_view operation, const Variable& output, const Tensor& cotangent) {
  check(output.requires_grad(),
        "{}: the variable needs no gradient and has no graph; set requires_grad on its inputs, "
        "outside NoGrad",
        operation);
  check(cotangent.defined() || output.numel() == 1,
        "{}: the variable has shape {}; give the cotangent, or reduce it to one element", operation,
        output.shape());
  check(!cotangent.defined() || cotangent.shape() == output.shape(),
        "{}: the cotangent has shape {}, the variable {}", operation, cotangent.shape(),
        output.shape());
  return cotangent.defined() ? cotangent.to(output.dtype())
                             : Tensor::ones(output.shape(), output.dtype(), output.device());
}

void Variable::backward(const Tensor& grad, bool retain_graph) const {
  Tensor seed = seed_of("backward", *this, grad);
  if (is_leaf()) return accumulate_leaf(state_->grad, std::move(seed));
  Propagation propagation(retain_graph);
  propagation.add(state_->node, std::move(seed));
  propagation.run(
      [](const Edge& edge) { return edge.needed(); },
      [](State* leaf, Tensor gradient) { accumulate_leaf(leaf->grad, std::move(gradient)); });
}

BackwardObserver::BackwardObserver(See see) : see_(std::move(see)), before_(observer) {
  observer = see_;
}
BackwardObserver::~BackwardObserver() { observer = before_; }

bool grad_enabled() { return recording; }

GradMode::GradMode(bool enabled) : before_(recording) { recording = enabled; }
GradMode::~GradMode() { recording = before_; }

bool needs_graph(const std::vector<Variable>& inputs) {
  return recording && std::any_of(inputs.begin(), inputs.end(),
                                  [](const Variable& v) { return v.requires_grad(); });
}

}  // namespace ebb
