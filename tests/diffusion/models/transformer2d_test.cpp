#include <doctest/doctest.h>
#include <ebb/autograd/ops.h>
#include <ebb/diffusion/models/transformer2d.h>

#include <cmath>
#include <numbers>

namespace ebb::test {

TEST_CASE("position embedding: waves over a picture, the same at any size") {
  const Tensor small = position_embedding(1, 2, 10), large = position_embedding(3, 6, 10);
  CHECK(small.shape() == Shape{2, 10});
  const std::vector<float> left = select(small, 0, 0).to_vector<float>();
  constexpr double pi = std::numbers::pi;
  for (int k = 0; k < 2; ++k) {
    const double f = k == 0 ? pi : 2.5 * pi;
    CHECK(left[k] == doctest::Approx(std::sin(-f / 4)));
    CHECK(left[2 + k] == doctest::Approx(std::cos(f / 4)));
    CHECK(left[4 + k] == 0);
    CHECK(left[6 + k] == 1);
  }
  CHECK(left[8] == 0);
  CHECK(left[9] == 0);
  // The middle row's second place of six is where the first of two is.
  CHECK(select(large, 0, 7).to_vector<float>() == left);
}

TEST_CASE("Transformer2D: positions are added after proj_in") {
  const Tensor x = philox_normal({2, 3, 4, 8}, {1, Purpose::other});
  const TextContext text{philox_normal({2, 5, 6}, {2, Purpose::other})};
  Tensor out_weight;
  const auto output = [&](bool positions) {
    PhiloxGenerator generator(1);
    Transformer2D block(
        {.channels = 8, .context_width = 6, .heads = 2, .groups = 2, .positions = positions},
        generator);
    // Without its residual branches all that is left is linear.
    for (const NamedParameter& p : named_parameters(block))
      if (p.name.find("to_out.0.") != std::string::npos ||
          p.name.find("net.2.") != std::string::npos)
        Variable(p.variable).set_value(Tensor::zeros(p.variable.shape()));
    out_weight = block.proj_out_weight.value().reshape({8, 8});
    return block(x, text).value();
  };
  const std::vector<float> apart = (output(true) - output(false)).to_vector<float>();
  const std::vector<float> expected =
      linear(position_embedding(3, 4, 8), out_weight, {}).to_vector<float>();
  for (std::size_t i = 0; i < apart.size(); ++i)
    CHECK(apart[i] == doctest::Approx(expected[i % expected.size()]).epsilon(1e-4));
}

}  // namespace ebb::test
