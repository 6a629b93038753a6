#include <doctest/doctest.h>
#include <ebb/diffusion/guidance/regions.h>

namespace ebb::test {
namespace {

Predictor saying(double value) {
  return
      [value](const Tensor& x, const Level&) { return Tensor::full(x.shape(), value, x.dtype()); };
}

}  // namespace

TEST_CASE("regions: a pixel is in a box by its middle") {
  const Tensor masks = box_masks({{0, 0, 0.5, 1}, {0.25, 0.5, 0.6, 0.5}, {0, 0, 0, 0}}, 2, 4);
  CHECK(masks.shape() == Shape{3, 2, 4, 1});
  CHECK(masks.to_vector<float>() == std::vector<float>{1, 1, 0, 0, 1, 1, 0, 0,  //
                                                       0, 0, 0, 0, 0, 1, 1, 0,  //
                                                       0, 0, 0, 0, 0, 0, 0, 0});
  CHECK_THROWS_WITH(box_masks({{0, 0, -1, 1}}, 2, 2),
                    "regions: a box of -1 x 1; neither may be "
                    "negative");
}

TEST_CASE("regions: outputs are weighted by their masks, the rest by its share") {
  const Tensor x = Tensor::zeros({1, 1, 4, 1});
  const Tensor left = box_masks({{0, 0, 0.5, 1}}, 1, 4),
               middle = box_masks({{0.25, 0, 0.5, 1}}, 1, 4);
  const Level level{.t = 1, .alpha = 0.8, .sigma = 0.6};
  const Predictor both = regional(saying(10), 0.5, {{saying(1), left}, {saying(4), middle}});
  // (1 + 5) / 1.5, (1 + 4 + 5) / 2.5, (4 + 5) / 1.5, and alone.
  CHECK(both(x, level).to_vector<float>() == std::vector<float>{4, 4, 6, 10});
  const Predictor strict = regional(saying(10), 0, {{saying(1), left}});
  CHECK(strict(x, level).to_vector<float>() == std::vector<float>{1, 1, 10, 10});
  CHECK(regional(saying(10), 0.5, {})(x, level).to_vector<float>() ==
        std::vector<float>{10, 10, 10, 10});
  CHECK_THROWS_WITH(regional(saying(1), 1, {{saying(1), box_masks({{}, {}}, 1, 4)}})(x, level),
                    "regions: a mask (2, 1, 4, 1) for x (1, 1, 4, 1); (N, H, W, 1) is needed");
  CHECK_THROWS_AS(regional(saying(1), -1, {}), Error);
}

}  // namespace ebb::test
