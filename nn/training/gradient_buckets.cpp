#include <ebb/nn/training/gradient_buckets.h>
#include <ebb/tensor/ops/layout.h>
#include <ebb/tensor/ops/pointwise.h>

#include <algorithm>

namespace ebb {

GradientBuckets::GradientBuckets(std::vector<NamedParameter> parameters, std::size_t bytes) {
  std::reverse(parameters.begin(), parameters.end());
  std::size_t held = 0;
  for (const auto& [name, p] : parameters) {
    const bool fits = !buckets_.empty() && held + p.value().bytes() <= bytes &&
                      buckets_.back().back().dtype() == p.dtype() &&
                      buckets_.back().back().device() == p.device();
    if (!fits) {
      buckets_.emplace_back();
      held = 0;
    }
    buckets_.back().push_back(p);
    held += p.value().bytes();
  }
}

void GradientBuckets::reduce(const std::function<Tensor(Tensor bucket)>& change) const {
  for (const std::vector<Variable>& bucket : buckets_) {
    std::vector<Tensor> flat;
    for (const Variable& p : bucket)
      flat.push_back(
          (p.grad().defined() ? p.grad() : Tensor::zeros(p.shape(), p.dtype(), p.device()))
              .reshape({-1}));
    const Tensor all = cat(flat, 0);
    const Tensor changed = change(all);
    check(changed.shape() == all.shape(), "gradient buckets: a bucket of shape {} came back as {}",
          all.shape(), changed.shape());
    std::int64_t first = 0;
    for (Variable p : bucket) {
      const Tensor part = slice(changed, 0, first, first + p.numel());
      first += p.numel();
      if (p.grad().defined() || any(part)) p.set_grad(part.reshape(p.shape()));
    }
  }
}

}  // namespace ebb
