// Gradients by chosen inputs, and graphs that are computed twice.
#include <ebb/autograd/engine.h>

#include <algorithm>
#include <unordered_set>

namespace ebb {

namespace {

// The nodes from which some wanted end, a node or a leaf, can be reached.
class NodesAbove {
 public:
  template <class Wanted>
  NodesAbove(const std::vector<NodePointer>& roots, const Wanted& wanted) {
    std::vector<Variable::Node*> order, stack;
    std::unordered_set<Variable::Node*> seen;
    const auto visit = [&](Variable::Node* node) {
      if (seen.insert(node).second) stack.push_back(node);
    };
    for (const NodePointer& root : roots) visit(root.get());
    while (!stack.empty()) {
      order.push_back(stack.back());
      stack.pop_back();
      for (const Edge& edge : order.back()->inputs)
        if (edge.node != nullptr) visit(edge.node.get());
    }
    // An operation's inputs have smaller numbers.
    std::sort(order.begin(), order.end(),
              [](const auto* a, const auto* b) { return a->number < b->number; });
    for (Variable::Node* node : order)
      for (const Edge& edge : node->inputs)
        if (wanted(end_of(edge)) || contains(edge)) {
          ends_.insert(end_of(edge));
          nodes_.insert(node);
        }
  }

  // Whether a wanted end is at the edge's other side, or beyond it.
  bool contains(const Edge& edge) const {
    return ends_.contains(end_of(edge)) || nodes_.contains(edge.node.get());
  }

 private:
  static const void* end_of(const Edge& edge) {
    return edge.leaf ? static_cast<const void*>(edge.leaf.get()) : edge.node.get();
  }
  std::unordered_set<const void*> ends_;
  std::unordered_set<const Variable::Node*> nodes_;
};

}  // namespace

std::vector<Tensor> grad(const std::vector<Variable>& outputs, const std::vector<Variable>& inputs,
                         const std::vector<Tensor>& cotangents, bool retain_graph) {
  check(cotangents.empty() || cotangents.size() == outputs.size(),
        "grad: {} cotangents for {} outputs; give one each or none", cotangents.size(),
        outputs.size());
  for (const auto* list : {&outputs, &inputs})
    for (const Variable& v : *list)
      check(v.defined(), "grad: a variable is undefined; give it a value first");
  std::unordered_map<const void*, Tensor> found;  // by node or leaf, of the inputs
  const auto key = [](const Variable& v) -> const void* {
    return v.is_leaf() ? static_cast<const void*>(v.state_.get()) : v.state_->node.get();
  };
  for (const Variable& input : inputs) found.emplace(key(input), Tensor());
  std::vector<NodePointer> roots;
  for (const Variable& output : outputs)
    if (!output.is_leaf()) roots.push_back(output.state_->node);
  const NodesAbove above(roots, [&](const void* end) { return found.contains(end); });
  Propagation propagation(retain_graph);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    Tensor seed = seed_of("grad", outputs[i], cotangents.empty() ? Tensor() : cotangents[i]);
    if (!outputs[i].is_leaf()) {
      propagation.add(outputs[i].state_->node, std::move(seed));
    } else if (const auto entry = found.find(key(outputs[i])); entry != found.end()) {
      accumulate(entry->second, std::move(seed));
    }
  }
  propagation.run([&](const Edge& edge) { return above.contains(edge); },
                  [&](Variable::State* leaf, Tensor gradient) {
                    accumulate(found.at(leaf), std::move(gradient));
                  },
                  [&](Variable::Node* node, const Tensor& cotangent) {
                    const auto entry = found.find(node);
                    if (entry != found.end()) entry->second = cotangent;
                  });
  std::vector<Tensor> result;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Tensor& gradient = found.at(key(inputs[i]));
    check(gradient.defined(), "grad: no output depends on input {}; leave it out", i);
    // No two share memory: a caller may change one in place.
    result.push_back(gradient.is_unique() ? gradient : gradient.clone());
  }
  return result;
}

Variable checkpoint(const std::function<Variable(const std::vector<Variable>&)>& function,
                    const std::vector<Variable>& inputs) {
  Tensor value;
  {
    const NoGrad no_grad;
    value = function(inputs).value();
  }
  std::vector<Saved> kept;
  for (const Variable& input : inputs) kept.emplace_back("checkpoint", input.value());
  // The parameters inside need gradients where no input does: the last input stands for them.
  std::vector<Variable> all = inputs;
  all.emplace_back(Tensor::zeros({}), true);
  return Variable::record(
      "checkpoint", value, all,
      [function, kept](const Tensor& cotangent, const Needs& needs) -> std::vector<Tensor> {
        std::vector<Variable> leaves;
        for (std::size_t i = 0; i < kept.size(); ++i) leaves.emplace_back(kept[i].get(), needs[i]);
        {
          const GradMode recorded(true);
          const Variable again = function(leaves);
          if (again.requires_grad()) again.backward(cotangent);
        }
        std::vector<Tensor> gradients;
        for (const Variable& leaf : leaves) gradients.push_back(leaf.grad());
        gradients.emplace_back();
        return gradients;
      });
}

}  // namespace ebb
