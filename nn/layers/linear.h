// y = x W^T + b, torch.nn.Linear.
#pragma once

#include <ebb/nn/module.h>
#include <ebb/tensor/random/random.h>

namespace ebb {

struct Linear {
  struct Options {
    std::int64_t in = 0, out = 0;
    bool bias = true;
  };
  Linear() = default;
  // Linear({.in = 784, .out = 10}, generator)
  Linear(const Options& options, Generator& generator);

  // x (..., in), result (..., out).
  Variable operator()(const Variable& x) const;
  void visit(Visitor& v) {
    v("weight", weight);
    v("bias", bias);
  }

  Variable weight, bias;  // (out, in), (out)
};

}  // namespace ebb
