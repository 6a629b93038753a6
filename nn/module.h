// Modules are plain structs: members, a typed operator(), and ONE method that names the members:
//
//   struct Block {
//     Linear in, out;
//     Variable operator()(const Variable& x) const { return out(relu(in(x))); }
//     void visit(Visitor& v) { v("in", in); v("out", out); }
//   };
//
// Parameters, checkpoints, EMA, device moves and summaries all derive from that visit. Names are
// joined by dots, as PyTorch's state_dict: "in.weight".
//
// Threads: any number may run one module at once under NoGrad, unless it has running statistics in
// training (BatchNorm). Training, loading and visiting are for one thread at a time.
#pragma once

#include <ebb/autograd/variable.h>

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace ebb {

class Visitor {
 public:
  using OnParameter = std::function<void(const std::string& name, Variable& parameter)>;
  using OnBuffer = std::function<void(const std::string& name, Tensor& buffer)>;
  using OnTraining = std::function<void(bool& training)>;
  explicit Visitor(OnParameter on_parameter, OnBuffer on_buffer = {}, OnTraining on_training = {})
      : on_parameter_(std::move(on_parameter)),
        on_buffer_(std::move(on_buffer)),
        on_training_(std::move(on_training)) {}

  // A parameter; an undefined one (an absent bias) is passed over.
  void operator()(std::string_view name, Variable& parameter);
  // State that is saved but not trained (running statistics).
  void operator()(std::string_view name, Tensor& buffer);
  // Whether a module that behaves differently in training does so now. Not saved.
  void training(bool& training);
  // A module within the module.
  template <class Module>
  void operator()(std::string_view name, Module& module) {
    const std::size_t length = prefix_.size();
    prefix_.append(name).append(".");
    module.visit(*this);
    prefix_.resize(length);
  }
  // Modules in a list are named by their number: "blocks.0", "blocks.1".
  template <class Module>
  void operator()(std::string_view name, std::vector<Module>& modules) {
    for (std::size_t i = 0; i < modules.size(); ++i)
      (*this)(std::string(name) + "." + std::to_string(i), modules[i]);
  }
  template <class Module>
  void operator()(std::string_view name, std::optional<Module>& module) {
    if (module) (*this)(name, *module);
  }

 private:
  OnParameter on_parameter_;
  OnBuffer on_buffer_;
  OnTraining on_training_;
  std::string prefix_;
};

struct NamedParameter {
  std::string name;
  Variable variable;
};

// In the order of the visit.
template <class Module>
std::vector<NamedParameter> named_parameters(Module& module) {
  std::vector<NamedParameter> result;
  Visitor visitor([&](const std::string& name, Variable& p) { result.push_back({name, p}); });
  module.visit(visitor);
  return result;
}
template <class Module>
std::vector<Variable> parameters(Module& module) {
  std::vector<Variable> result;
  Visitor visitor([&](const std::string&, Variable& p) { result.push_back(p); });
  module.visit(visitor);
  return result;
}
// Parameters and buffers by name; the tensors share the module's memory.
template <class Module>
std::vector<NamedTensor> state_dict(Module& module) {
  std::vector<NamedTensor> result;
  Visitor visitor(
      [&](const std::string& name, Variable& p) {
        result.push_back({name, p.value()});
      },
      [&](const std::string& name, Tensor& b) {
        result.push_back({name, b});
      });
  module.visit(visitor);
  return result;
}
// Copies `tensors` into the module by name. Missing, unexpected or misshapen ones are an Error
// that names them, before anything is changed.
void load_tensors(const std::vector<NamedTensor>& into, const std::vector<NamedTensor>& tensors);
template <class Module>
void load_state_dict(Module& module, const std::vector<NamedTensor>& tensors) {
  load_tensors(state_dict(module), tensors);
}
template <class Module>
void zero_grad(Module& module) {
  for (Variable& p : parameters(module)) p.zero_grad();
}
template <class Module>
std::int64_t parameter_count(Module& module) {
  std::int64_t count = 0;
  for (const Variable& p : parameters(module)) count += p.numel();
  return count;
}
// Dropout drops and batch normalisation uses the batch's statistics in training only, which is
// how modules start.
template <class Module>
void set_training(Module& module, bool training) {
  Visitor visitor({}, {}, [&](bool& flag) { flag = training; });
  module.visit(visitor);
}
// Converts every floating parameter and buffer.
template <class Module>
void convert_to(Module& module, DType dtype) {
  Visitor visitor([&](const std::string&, Variable& p) { p.set_value(p.value().to(dtype)); },
                  [&](const std::string&, Tensor& b) {
                    if (is_floating(b.dtype())) b = b.to(dtype);
                  });
  module.visit(visitor);
}
// Moves every parameter and buffer.
template <class Module>
void move_to(Module& module, Device device) {
  Visitor visitor([&](const std::string&, Variable& p) { p.set_value(p.value().to(device)); },
                  [&](const std::string&, Tensor& b) { b = b.to(device); });
  module.visit(visitor);
}

// A module of its own: parameters and buffers are copies, gradients are left out.
template <class Module>
Module clone(const Module& module) {
  Module copy = module;
  Visitor visitor(
      [](const std::string&, Variable& p) { p = Variable(p.value().clone(), p.requires_grad()); },
      [](const std::string&, Tensor& b) { b = b.clone(); });
  copy.visit(visitor);
  return copy;
}

// A line for each tensor (name, shape, number of elements) and their sum.
std::string summary(const std::vector<NamedTensor>& tensors);

}  // namespace ebb
