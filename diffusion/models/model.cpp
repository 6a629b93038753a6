#include <ebb/diffusion/models/model.h>

namespace ebb {

Conditioning Model::understood(const Conditioning& all) const {
  return num_classes() > 0 ? Conditioning(all.labels) : Conditioning();
}

Conditioning Model::told(const std::vector<std::string>&) const {
  fail("a caption was given to a network that was trained without captions; leave it out");
}

Conditioning Model::null_conditioning(std::int64_t count, Device device) const {
  check(has_null_class(), "null conditioning: this network has {} classes and no null class",
        num_classes());
  return Tensor::full({count}, static_cast<double>(num_classes()), DType::int64, device);
}

Tensor Model::labels_or_null(const Conditioning& given, std::int64_t count, Device device) const {
  if (!given.labels.defined()) return null_conditioning(count, device).labels;
  check(given.labels.shape() == Shape{count}, "labels {} for {} images; give (N) int64",
        given.labels.shape(), count);
  return given.labels;
}

}  // namespace ebb
