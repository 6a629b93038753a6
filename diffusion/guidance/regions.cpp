#include <ebb/diffusion/guidance/regions.h>
#include <ebb/tensor/ops/pointwise.h>

namespace ebb {

Tensor box_masks(const std::vector<Box>& boxes, std::int64_t height, std::int64_t width) {
  std::vector<float> values;
  for (const Box& box : boxes) {
    check(box.width >= 0 && box.height >= 0, "regions: a box of {} x {}; neither may be negative",
          box.width, box.height);
    const auto inside = [](std::int64_t i, std::int64_t n, double first, double length) {
      const double middle = (static_cast<double>(i) + 0.5) / static_cast<double>(n);
      return middle >= first && middle < first + length;
    };
    for (std::int64_t y = 0; y < height; ++y)
      for (std::int64_t x = 0; x < width; ++x)
        values.push_back(
            inside(y, height, box.top, box.height) && inside(x, width, box.left, box.width) ? 1
                                                                                            : 0);
  }
  return Tensor::from(values).reshape({std::ssize(boxes), height, width, 1});
}

Predictor regional(Predictor everywhere, double share, std::vector<RegionalPredictor> regions) {
  check(share >= 0, "regions: a share of {}; it must be at least 0", share);
  return [everywhere = std::move(everywhere), share, regions = std::move(regions)](
             const Tensor& x, const Level& level) {
    Tensor sum, weights;
    for (const auto& [predictor, mask] : regions) {
      check(mask.rank() == 4 && mask.size(0) == x.size(0) && mask.size(1) == x.size(1) &&
                mask.size(2) == x.size(2) && mask.size(3) == 1,
            "regions: a mask {} for x {}; (N, H, W, 1) is needed", mask.shape(), x.shape());
      const Tensor here = mask * predictor(x, level);
      sum = sum.defined() ? sum + here : here;
      weights = weights.defined() ? weights + mask : mask;
    }
    const Tensor all = everywhere(x, level);
    if (!sum.defined()) return all;
    const Tensor shares =
        where(weights > 0, Tensor::full(weights.shape(), share, x.dtype(), x.device()), 1.0);
    return (sum + shares * all) / (weights + shares);
  };
}

}  // namespace ebb
