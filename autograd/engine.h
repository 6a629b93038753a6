// What backward works on: nodes, the edges between them, and cotangents on their way.
#pragma once

#include <ebb/autograd/variable.h>

#include <queue>
#include <unordered_map>

namespace ebb {

// Where a gradient goes: into the node that made the input, or into the leaf it is. The input's
// value is not kept: what backward needs, the rule has saved.
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

using NodePointer = std::shared_ptr<Variable::Node>;

// Adds `grad` to `sum`, in place where nobody else sees the memory.
void accumulate(Tensor& sum, Tensor grad);

// What propagation from `output` begins with; Errors name `operation`.
Tensor seed_of(std::string_view operation, const Variable& output, const Tensor& cotangent);

// Cotangents on their way from outputs to leaves.
class Propagation {
 public:
  explicit Propagation(bool retain_graph) : retain_graph_(retain_graph) {}

  void add(const NodePointer& node, Tensor cotangent);
  // `follow` says which edges are worth following, `on_leaf` where leaves' gradients go, `on_node`
  // sees each node's whole cotangent before its rule runs.
  void run(const std::function<bool(const Edge&)>& follow,
           const std::function<void(Variable::State* leaf, Tensor gradient)>& on_leaf,
           const std::function<void(Variable::Node*, const Tensor&)>& on_node = {});

 private:
  struct OlderLast {
    bool operator()(const NodePointer& a, const NodePointer& b) const {
      return a->number < b->number;
    }
  };
  std::vector<Tensor> apply(Variable::Node& node, Tensor cotangent, const Needs& needs) const;

  bool retain_graph_;
  // Newest first: every node comes after all that used its output.
  std::priority_queue<NodePointer, std::vector<NodePointer>, OlderLast> ready_;
  std::unordered_map<Variable::Node*, Tensor> cotangents_;
};

}  // namespace ebb
