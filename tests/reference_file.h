// A file of reference values: safetensors whose metadata key `cases` is a JSON list that says what
// every tensor is.
#pragma once

#include <ebb/tensor/io/safetensors.h>

#include <nlohmann/json.hpp>
#include <string>

namespace ebb::test {

using Json = nlohmann::json;

struct ReferenceFile {
  Safetensors tensors;
  Json cases;

  explicit ReferenceFile(const std::string& path)
      : tensors(read_safetensors(path)), cases(Json::parse(tensors.metadata.at("cases"))) {}
  const Tensor& operator[](const std::string& name) const { return tensors[name]; }
};

}  // namespace ebb::test
