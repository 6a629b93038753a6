// Reference values in tests/golden.
#pragma once

#include <doctest/doctest.h>
#include <ebb/tensor/ops/conv.h>
#include <ebb/tensor/ops/pointwise.h>

#include "tests/paths.h"
#include "tests/reference_file.h"

namespace ebb::test {

inline std::string golden_path(const std::string& file) { return golden_folder() + "/" + file; }

// Switches Winograd's transforms off (true) or on for a scope. What follows Adam's steps number for
// number needs them off: Adam divides a gradient by its own size, so where the true gradient is
// zero the transform's rounding becomes a whole step.
class ExactConvolutions {
 public:
  explicit ExactConvolutions(bool exact) { set_exact_convolutions(exact); }
  ~ExactConvolutions() { set_exact_convolutions(before_); }
  ExactConvolutions(const ExactConvolutions&) = delete;
  ExactConvolutions& operator=(const ExactConvolutions&) = delete;

 private:
  bool before_ = exact_convolutions();
};

struct Golden : ReferenceFile {
  explicit Golden(const std::string& file) : ReferenceFile(golden_path(file)) {}
};

// One check with `what` in its message: equal shapes, and max|a - b| / max|b| at most `tolerance`.
inline void check_close(const std::string& what, const Tensor& actual, const Tensor& expected,
                        double tolerance) {
  if (!actual.defined() || actual.shape() != expected.shape()) {
    FAIL_CHECK(what << ": shape " << (actual.defined() ? actual.shape().str() : "undefined")
                    << " where " << expected.shape().str() << " is expected");
    return;
  }
  const double error = relative_error(actual.to(DType::float64), expected.to(DType::float64));
  CHECK_MESSAGE(error <= tolerance, what << ": error " << error << " above " << tolerance);
}

}  // namespace ebb::test
