// A row of a table for each index, torch.nn.Embedding.
#pragma once

#include <ebb/nn/module.h>
#include <ebb/tensor/random/random.h>

namespace ebb {

struct Embedding {
  struct Options {
    std::int64_t count = 0, width = 0;
  };
  Embedding() = default;
  Embedding(const Options& options, Generator& generator);

  // index int64 (...) in [0, count), result (..., width). Out of range is an Error.
  Variable operator()(const Tensor& index) const;
  void visit(Visitor& v) { v("weight", weight); }

  Variable weight;  // (count, width), first N(0, 1)
};

}  // namespace ebb
