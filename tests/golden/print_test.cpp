// Printed tensors against NumPy's.
#include <doctest/doctest.h>
#include <ebb/tensor/print.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/golden.h"

namespace ebb {
namespace {

Tensor array_of(const nlohmann::json& row) {
  const Shape shape(row["shape"].get<std::vector<std::int64_t>>());
  const std::string dtype = row["dtype"];
  if (row["values"].is_string())
    return Tensor::arange(shape.numel())
        .to(dtype == "int64"     ? DType::int64
            : dtype == "float32" ? DType::float32
                                 : DType::float64)
        .reshape(shape);
  if (dtype == "int64") return Tensor::from(row["values"].get<std::vector<std::int64_t>>(), shape);
  std::vector<double> values;
  for (const std::string text : row["values"]) values.push_back(std::stod(text));
  const Tensor x = Tensor::from(values, shape);
  return dtype == "float32" ? x.to(DType::float32) : x;
}

TEST_CASE("printed tensors are NumPy's, character for character") {
  std::ifstream file(test::golden_path("printed.json"));
  for (const auto& row : nlohmann::json::parse(file)) {
    CAPTURE(row["dtype"].dump());
    CAPTURE(row["shape"].dump());
    const Tensor x = array_of(row);
    CHECK(to_string(x) == row["text"].get<std::string>());
    std::ostringstream out;
    out << x;
    CHECK(out.str() == fmt::format("{}", x));
  }
  CHECK(to_string(Tensor()) == "undefined");
}

}  // namespace
}  // namespace ebb
