#include <ebb/nn/module.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace ebb {

void Visitor::operator()(std::string_view name, Variable& parameter) {
  if (parameter.defined() && on_parameter_) on_parameter_(prefix_ + std::string(name), parameter);
}

void Visitor::operator()(std::string_view name, Tensor& buffer) {
  if (buffer.defined() && on_buffer_) on_buffer_(prefix_ + std::string(name), buffer);
}

void Visitor::training(bool& training) {
  if (on_training_) on_training_(training);
}

void load_tensors(const std::vector<NamedTensor>& into, const std::vector<NamedTensor>& tensors) {
  std::map<std::string_view, const Tensor*> given;
  for (const NamedTensor& t : tensors) {
    const bool is_new = given.emplace(t.name, &t.tensor).second;
    check(is_new, "load: the name {:?} is given twice; drop one", t.name);
  }
  for (const NamedTensor& t : into) {
    const auto found = given.find(t.name);
    check(found != given.end(), "load: {:?} {} is missing; is this file of another model?", t.name,
          t.tensor.shape());
    check(found->second->shape() == t.tensor.shape(),
          "load: {:?} is {} in the model and {} in the file; build the model with the sizes of the "
          "file",
          t.name, t.tensor.shape(), found->second->shape());
    given.erase(found);
  }
  check(given.empty(),
        "load: the model has no {:?} (one of {} unexpected names); is this file of "
        "another model?",
        given.empty() ? "" : given.begin()->first, given.size());
  std::map<std::string_view, const Tensor*> sources;
  for (const NamedTensor& t : tensors) sources[t.name] = &t.tensor;
  for (const NamedTensor& t : into) {
    Tensor destination = t.tensor;
    destination.copy_(*sources[t.name]);
  }
}

std::string summary(const std::vector<NamedTensor>& tensors) {
  std::size_t name_width = 5, shape_width = 0;
  for (const NamedTensor& t : tensors) {
    name_width = std::max(name_width, t.name.size());
    shape_width = std::max(shape_width, t.tensor.shape().str().size());
  }
  std::string result;
  std::int64_t total = 0;
  const auto line = [&](std::string_view name, std::string_view shape, std::int64_t count) {
    result += fmt::format("{:{}}  {:{}}  {:>12}\n", name, name_width, shape, shape_width, count);
  };
  for (const NamedTensor& t : tensors) {
    line(t.name, t.tensor.shape().str(), t.tensor.numel());
    total += t.tensor.numel();
  }
  line("total", "", total);
  return result;
}

}  // namespace ebb
