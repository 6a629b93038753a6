// One case of a file of operators as its function sees it.
#pragma once

#include <ebb/autograd/ops.h>

#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "tests/reference_file.h"

namespace ebb::test {

using Sizes = std::vector<std::int64_t>;

// The inputs and arguments of one case. Each must be asked for: what is left over was ignored.
class OpCase {
 public:
  OpCase(const ReferenceFile& file, const Json& entry, std::optional<DType> dtype)
      : args_(entry.at("args")) {
    const std::string prefix = entry.at("name").get<std::string>() + "/in/";
    std::set<std::string> grads;
    for (const Json& name : entry.at("grads")) grads.insert(name);
    for (const Json& name : entry.at("inputs")) {
      Tensor value = file[prefix + name.get<std::string>()];
      if (dtype && value.dtype() != DType::int64) value = value.to(*dtype);
      inputs_.emplace_back(name, Variable(value, grads.count(name) > 0));
    }
  }

  Variable in(const std::string& name) {
    const Variable x = optional_in(name);
    check(x.defined(), "input {} is missing", name);
    return x;
  }
  Variable optional_in(const std::string& name) {
    for (const auto& [key, value] : inputs_)
      if (key == name) return used_.insert("input " + name), value;
    return {};
  }
  std::vector<Variable> all_in() {
    std::vector<Variable> result;
    for (const auto& [name, value] : inputs_) result.push_back(in(name));
    return result;
  }

  // The argument, or null where it is absent.
  Json arg(const std::string& name) {
    used_.insert("argument " + name);
    return args_.value(name, Json());
  }
  template <class T>
  T arg(const std::string& name, T otherwise) {
    const Json value = arg(name);
    return value.is_null() ? otherwise : value.get<T>();
  }
  // The one value of an argument that the library has.
  void only(const std::string& name, const Json& value) {
    const Json actual = arg(name);
    check(actual.is_null() || actual == value, "argument {} = {} is not supported, only {}", name,
          actual.dump(), value.dump());
  }
  // One number for both dimensions or one for each.
  Pair pair(const std::string& name, Pair otherwise) {
    const Json value = arg(name);
    if (value.is_null()) return otherwise;
    if (value.is_number()) return {value, value};
    return value.size() == 1 ? Pair{value[0], value[0]} : Pair{value.at(0), value.at(1)};
  }
  Dims dims(const std::string& name) {
    const Json value = arg(name);
    if (value.is_null()) return {};
    return value.is_number() ? Dims{value.get<std::int64_t>()} : value.get<Dims>();
  }

  void check_all_used() const {
    for (const auto& [name, value] : inputs_)
      check(used_.count("input " + name) > 0, "input {} is unknown", name);
    for (const auto& [name, value] : args_.items())
      check(used_.count("argument " + name) > 0, "argument {} is unknown", name);
  }
  const std::vector<std::pair<std::string, Variable>>& inputs() const { return inputs_; }

 private:
  Json args_;
  std::vector<std::pair<std::string, Variable>> inputs_;
  std::set<std::string> used_;
};

}  // namespace ebb::test
