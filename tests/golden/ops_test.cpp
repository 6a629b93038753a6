// Every operator against PyTorch: values and gradients.
#include "tests/golden.h"
#include "tests/golden/operators.h"

namespace ebb::test {
namespace {

struct Tolerances {
  double output, gradient;
};

// Checks one case; returns how many tensors of the file it used.
std::size_t check_case(const Golden& golden, const Json& entry, std::optional<DType> dtype,
                       const Tolerances& tolerances) {
  const auto name = entry.at("name").get<std::string>();
  const OperatorRun run = run_operator(golden, entry, dtype);
  for (std::size_t i = 0; i < run.outputs.size(); ++i) {
    const auto output = entry.at("outputs")[i].get<std::string>();
    check_close(name + ", output " + output, run.outputs[i].value(),
                golden[name + "/out/" + output], tolerances.output);
  }
  std::size_t used = run.inputs.size() + run.outputs.size() + entry.at("cotangents").size();
  for (const auto& [input, variable] : run.inputs) {
    if (!variable.requires_grad()) continue;
    check_close(name + ", gradient of " + input, variable.grad(), golden[name + "/grad/" + input],
                tolerances.gradient);
    ++used;
  }
  return used;
}

void check_file(const std::string& file, std::optional<DType> dtype, const Tolerances& tolerances) {
  const Golden golden(file);
  REQUIRE(golden.cases.size() > 0);
  std::size_t used = 0;
  bool complete = true;
  for (const Json& entry : golden.cases) {
    try {
      used += check_case(golden, entry, dtype, tolerances);
    } catch (const std::exception& error) {
      complete = false;
      FAIL_CHECK(entry.value("name", "a case without a name") << ": " << error.what());
    }
  }
  if (complete) CHECK(used == golden.tensors.tensors.size());
}

}  // namespace

TEST_CASE("golden operators") { check_file("ops.safetensors", {}, {1e-5, 3e-5}); }

// The first of the cases that tests/interop/operators.py compares by the thousand.
TEST_CASE("golden operators at random shapes, arguments and sizes") {
  check_file("operators.safetensors", DType::float32, {1e-5, 3e-5});
  check_file("operators.safetensors", DType::float64, {1e-12, 1e-12});
}

}  // namespace ebb::test
