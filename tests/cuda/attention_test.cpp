// Attention on the emulated GPU.
#include <doctest/doctest.h>
#include <ebb/tensor/backend/backend.h>
#include <ebb/tensor/ops/layout.h>
#include <ebb/tensor/ops/matmul.h>

#include "tests/tensor/numbers.h"

namespace ebb {
namespace {

// Memory of exactly tensors' sizes: each access beyond one is seen.
struct AttentionExactly {
  AttentionExactly() { set_storage_caching(false); }
  ~AttentionExactly() { set_storage_caching(true); }
};

double attention_tolerance(DType dtype) { return dtype == DType::float32 ? 3e-6 : 1e-13; }

void check_near(const Tensor& far, const Tensor& near, double tolerance) {
  const Tensor got = far.to(Device::cpu), want = near.to(Device::cpu);
  REQUIRE(got.shape() == want.shape());
  if (values(got) == values(want)) return;  // where there are no keys, minus infinity
  const double largest = values(amax(abs(want)))[0];
  CHECK(values(amax(abs(got - want)))[0] <= tolerance * std::max(1.0, largest));
}
void check_near(const Attended& far, const Attended& near, double tolerance) {
  check_near(far.y, near.y, tolerance);
  check_near(far.largest, near.largest, tolerance);
  check_near(far.totals, near.totals, tolerance);
}

// What autograd keeps.
Attended kept_on(Device device, const Attended& value) {
  return {{}, value.largest.to(device), value.totals.to(device)};
}

struct AttentionRow {
  std::int64_t items, queries, keys, depth, width;
};

// Every kernel's tiles are of 32 or 64 rows, padded to 32, 64 or 128 numbers; float32 of more
// numbers goes the plain way.
const std::vector<AttentionRow> attention_rows{
    {3, 1, 1, 1, 1},      {2, 5, 33, 7, 7},   {1, 33, 5, 16, 7},  {1, 65, 130, 16, 40},
    {1, 130, 65, 64, 64}, {1, 65, 33, 64, 1}, {2, 5, 65, 40, 96}, {1, 70, 33, 96, 64},
    {1, 33, 66, 128, 96}, {1, 5, 33, 130, 6}, {2, 3, 5, 4, 140},  {0, 3, 5, 4, 4},
    {2, 0, 5, 4, 4},      {2, 3, 0, 4, 4},    {2, 3, 5, 0, 4},    {2, 3, 5, 4, 0},
    {1, 200, 3, 32, 32},  {2, 3, 130, 8, 8}};

TEST_CASE("cuda: scaled_dot_product_attention is the reference's") {
  const AttentionExactly sizes;
  for (const DType dtype : {DType::float32, DType::float64})
    for (const auto& [items, queries, keys, depth, width] : attention_rows) {
      if (dtype == DType::float64 && queries * keys > 4000) continue;
      CAPTURE(dtype);
      CAPTURE(queries);
      CAPTURE(keys);
      CAPTURE(depth);
      CAPTURE(width);
      const Tensor q = numbers({items, queries, depth}, dtype, 3) * 2.0;
      const Tensor k = numbers({items, keys, depth}, dtype, 5) * 2.0;
      const Tensor v = numbers({items, keys, width}, dtype, 7);
      const Tensor g = numbers({items, queries, width}, dtype, 9);
      const auto attend = [&](Device device) {
        return scaled_dot_product_attention(q.to(device), k.to(device), v.to(device), 0.3);
      };
      const Attended want = attend(Device::reference), got = attend(Device::cuda);
      check_near(got, want, attention_tolerance(dtype));
      const auto gradients = [&](Device device) {
        return scaled_dot_product_attention_backward(g.to(device), q.to(device), k.to(device),
                                                     v.to(device), kept_on(device, got), 0.3);
      };
      const AttentionGradients wanted = gradients(Device::reference);
      const AttentionGradients have = gradients(Device::cuda);
      check_near(have.q, wanted.q, attention_tolerance(dtype));
      check_near(have.k, wanted.k, attention_tolerance(dtype));
      check_near(have.v, wanted.v, attention_tolerance(dtype));
    }
}

TEST_CASE(
    "cuda: heads side by side are the reference's, and so are their gradients in one tensor") {
  const AttentionExactly sizes;
  struct Row {
    std::int64_t items, heads, length, others, depth;
  };
  for (const DType dtype : {DType::float32, DType::float64})
    for (const auto& [items, heads, length, others, depth] :
         {Row{2, 3, 33, 5, 8}, Row{1, 2, 70, 65, 7}, Row{1, 1, 5, 40, 64}, Row{2, 2, 9, 3, 96},
          Row{1, 2, 3, 0, 4}}) {
      CAPTURE(dtype);
      CAPTURE(heads);
      CAPTURE(length);
      CAPTURE(depth);
      const double tolerance = attention_tolerance(dtype);
      const Tensor qkv = numbers({items, length, 3 * heads * depth}, dtype, 3) * 2.0;
      const Tensor g = numbers({items, length, heads * depth}, dtype, 5);
      const Attended near = self_attention(qkv.to(Device::reference), heads);
      const Attended far = self_attention(qkv.to(Device::cuda), heads);
      check_near(far, near, tolerance);
      check_near(
          self_attention_backward(g.to(Device::cuda), qkv.to(Device::cuda), heads, far),
          self_attention_backward(g.to(Device::reference), qkv.to(Device::reference), heads, near),
          tolerance);

      const Tensor q = numbers({items, length, heads * depth}, dtype, 7);
      const Tensor k = numbers({items, others, heads * depth}, dtype, 9);
      const Tensor v = numbers({items, others, heads * depth}, dtype, 11);
      const auto attend = [&](Device device) {
        return cross_attention(q.to(device), k.to(device), v.to(device), heads);
      };
      const Attended want = attend(Device::reference), got = attend(Device::cuda);
      check_near(got, want, tolerance);
      const auto gradients = [&](Device device, const Attended& value) {
        return cross_attention_backward(g.to(device), q.to(device), k.to(device), v.to(device),
                                        heads, value);
      };
      const AttentionGradients wanted = gradients(Device::reference, want);
      const AttentionGradients have = gradients(Device::cuda, got);
      check_near(have.q, wanted.q, tolerance);
      check_near(have.k, wanted.k, tolerance);
      check_near(have.v, wanted.v, tolerance);
    }
}

bool finite(const Tensor& x) {
  for (const double value : values(x))
    if (!std::isfinite(value)) return false;
  return true;
}

// A head of 20 goes by tiles, one of 130 plainly; scores are up to about 1e4, in rows where later
// keys' are the larger and where they are the smaller.
TEST_CASE("cuda: attention with scores of ten thousand is finite, and NaN stays in its row") {
  const AttentionExactly sizes;
  for (const std::int64_t depth : {20, 130}) {
    CAPTURE(depth);
    const double size = std::sqrt(1e4 / static_cast<double>(depth) / 0.4);
    const Tensor q = numbers({1, 40, depth}, DType::float32, 3) * size;
    const Tensor k = numbers({1, 70, depth}, DType::float32, 5) *
                     Tensor::linspace(0.01, 1.6, 70).reshape({1, 70, 1}) * size;
    const Tensor v = numbers({1, 70, depth}, DType::float32, 7);
    const auto attend = [&](Device device) {
      return scaled_dot_product_attention(q.to(device), k.to(device), v.to(device), 1);
    };
    const Attended want = attend(Device::cpu), got = attend(Device::cuda);
    CHECK(values(amax(want.largest))[0] > 2e3);
    check_near(got.largest, want.largest, 1e-6);
    check_near(got.y, want.y, 2e-3);  // a score's last digit is 1e-3
    const Tensor far = k.to(Device::cuda), far_v = v.to(Device::cuda);
    const AttentionGradients gradients = scaled_dot_product_attention_backward(
        far_v, far, far, far_v, scaled_dot_product_attention(far, far, far_v, 1), 1);
    CHECK(finite(gradients.q));
    CHECK(finite(gradients.k));
    CHECK(finite(gradients.v));

    const Tensor marked = where(equal(Tensor::arange(40, DType::float32).reshape({1, 40, 1}), 13.0),
                                Tensor::full({1}, std::nan("")), q);
    const auto y = values(scaled_dot_product_attention(marked.to(Device::cuda), k.to(Device::cuda),
                                                       v.to(Device::cuda), 1)
                              .y);
    const auto in_row = static_cast<std::size_t>(depth);
    for (std::size_t i = 0; i < y.size(); ++i) CHECK(std::isnan(y[i]) == (i / in_row == 13));
  }
}

TEST_CASE("cuda: attention has the same bits again, and an item's are its own") {
  const AttentionExactly sizes;
  for (const std::int64_t depth : {33, 130}) {
    const Tensor qkv = numbers({3, 37, 3 * depth}, DType::float32, 3).to(Device::cuda);
    const Tensor g = numbers({3, 37, depth}, DType::float32, 5).to(Device::cuda);
    const Attended once = self_attention(qkv, 1), again = self_attention(qkv, 1);
    CHECK(values(once.y) == values(again.y));
    CHECK(values(self_attention_backward(g, qkv, 1, once)) ==
          values(self_attention_backward(g, qkv, 1, again)));
    const Tensor second = slice(qkv.to(Device::cpu), 0, 1, 2).to(Device::cuda);
    CHECK(values(self_attention(second, 1).y) == values(slice(once.y.to(Device::cpu), 0, 1, 2)));
  }
}

}  // namespace
}  // namespace ebb
