// Gradients in a few flat tensors, as what moves them between processes wants them.
#pragma once

#include <ebb/nn/module.h>

namespace ebb {

//   const GradientBuckets buckets(named_parameters(model));
//   trainer.on_gradients([&](const auto&) { buckets.reduce(all_reduce_mean); });
class GradientBuckets {
 public:
  // Buckets of at most `bytes`, or of one larger gradient; parameters of one dtype and device stand
  // together, the last of the network first, as backward finishes them.
  explicit GradientBuckets(std::vector<NamedParameter> parameters,
                           std::size_t bytes = std::size_t{4} << 20);

  std::size_t size() const { return buckets_.size(); }
  // Calls change(bucket) with the gradients of each, flat (n); what it makes of them in place, or
  // returns, become the gradients. A missing gradient is zeros there, and stays missing where all
  // that comes back is zero.
  void reduce(const std::function<Tensor(Tensor bucket)>& change) const;

 private:
  std::vector<std::vector<Variable>> buckets_;
};

}  // namespace ebb
