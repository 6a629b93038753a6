// Operators by PyTorch's names: a case of a reference file (ops.safetensors, operators.safetensors)
// names PyTorch's function and its arguments; operators.cpp has the table that says which function
// of ours that is. Images are (N, C, H, W) in the file and permuted at the border.
#pragma once

#include <ebb/autograd/ops.h>

#include <optional>
#include <utility>
#include <vector>

#include "tests/reference_file.h"

namespace ebb::test {

struct OperatorRun {
  std::vector<Variable> outputs;
  // With their gradients, if the case asks for them.
  std::vector<std::pair<std::string, Variable>> inputs;
};

// The case `entry`, forward and backward from each of its cotangents. Floating inputs are converted
// to `dtype`, or left as they are in the file. An operator, input or argument that the table does
// not know is an Error.
OperatorRun run_operator(const ReferenceFile& file, const Json& entry,
                         std::optional<DType> dtype = {});

}  // namespace ebb::test
