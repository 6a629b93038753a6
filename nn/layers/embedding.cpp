#include <ebb/autograd/ops.h>
#include <ebb/nn/layers/embedding.h>

namespace ebb {

Embedding::Embedding(const Options& options, Generator& generator) {
  const auto [count, width] = options;
  check(count > 0 && width > 0, "Embedding: {} rows of {}; both must be positive", count, width);
  weight = Variable(generator.randn({count, width}), true);
}

Variable Embedding::operator()(const Tensor& index) const { return embedding(weight, index); }

}  // namespace ebb
