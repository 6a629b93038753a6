#include <doctest/doctest.h>
#include <ebb/nn/conditioning.h>

namespace ebb::test {
namespace {

// A row for every kind: two samples that can be told apart.
Conditioning all_kinds(double of) {
  Conditioning c;
  c.labels = Tensor::full({2}, of, DType::int64);
  c.text_tokens = Tensor::full({2, 3}, of, DType::int64);
  c.text_states = Tensor::full({2, 3, 4}, of);
  c.text_mask = Tensor::full({2, 3}, of);
  c.text_pooled = Tensor::full({2, 3}, of);
  Conditioning::visit(c, [](std::string_view name, const Tensor& member) {
    CAPTURE(name);
    REQUIRE(member.defined());  // a new kind needs its row above
  });
  return c;
}

template <class Check>
void each_kind(const Conditioning& of, Check check_member) {
  Conditioning::visit(of, [&](std::string_view name, const Tensor& member) {
    CAPTURE(name);
    check_member(member);
  });
}

}  // namespace

TEST_CASE("conditioning: every kind is cut, joined, chosen and moved") {
  const Conditioning one = all_kinds(1), two = all_kinds(2);
  each_kind(cat(one, two), [&](const Tensor& member) {
    CHECK(member.size(0) == 4);
    const std::vector<double> values = member.to_vector<double>();
    const std::size_t half = values.size() / 2;
    for (std::size_t i = 0; i < values.size(); ++i) CHECK(values[i] == (i < half ? 1 : 2));
  });
  each_kind(cat(one, two).rows(1, 4), [](const Tensor& member) { CHECK(member.size(0) == 3); });
  const Conditioning chosen = where(Tensor::from<float>({1, 0}), one, two);
  CHECK(chosen.labels.to_vector<std::int64_t>() == std::vector<std::int64_t>{1, 2});
  CHECK(chosen.text_states.to_vector<float>()[0] == 1);
  CHECK(chosen.text_states.to_vector<float>()[23] == 2);
  CHECK(chosen.text_mask.to_vector<float>() == std::vector<float>{1, 1, 1, 2, 2, 2});
  each_kind(one.to(Device::test),
            [](const Tensor& member) { CHECK(member.device() == Device::test); });
  CHECK(Conditioning().empty());
  CHECK(Conditioning(Tensor()).empty());
  CHECK_FALSE(one.empty());
  CHECK(cat(Conditioning(), Conditioning()).empty());
  CHECK(Conditioning().rows(0, 5).empty());
}

TEST_CASE("conditioning: what a network does not take, and other numbers of samples, are errors") {
  const Conditioning one = all_kinds(1);
  one.check_for("net", 2, {"labels", "text_tokens", "text_states", "text_mask", "text_pooled"});
  CHECK_THROWS_WITH_AS(one.check_for("net", 2, {"labels"}),
                       "net: text_tokens were given, of which it knows nothing; leave them out",
                       Error);
  CHECK_THROWS_WITH_AS(one.check_for("net", 3, {"labels", "text_tokens"}),
                       "net: labels (2,) for 3 images; give one for each", Error);
  CHECK_THROWS_AS(cat(one, one.labels), Error);
  CHECK_THROWS_AS(where(Tensor::from<float>({1, 0}), one, Conditioning()), Error);
  CHECK_THROWS_AS(where(Tensor::from<float>({1}), one, one), Error);
  CHECK_THROWS_AS(where(Tensor::from<float>({1, 1}), one, one.rows(0, 1)), Error);
}

}  // namespace ebb::test
