// NaN, infinities, zeros and numbers at the limits: through the pointwise functions as PyTorch has
// them (special.safetensors, made by tests/interop/special_values.py), through the others by what
// must not get lost. In vectors and in their tails.
#include <ebb/autograd/ops.h>
#include <ebb/tensor/ops/layout.h>

#include <bit>
#include <cmath>
#include <functional>

#include "tests/golden.h"
#include "tests/worse.h"

using namespace ebb;
using namespace ebb::test;

namespace {

bool alike(double got, double want, double tolerance) {
  if (std::isnan(want)) return std::isnan(got);
  if (std::isinf(want)) return got == want;
  return std::abs(got - want) <= tolerance * (1 + std::abs(want));
}

struct Setting {
  DType dtype;
  double tolerance;
};
const Setting settings[] = {{DType::float32, 2e-6}, {DType::float64, 1e-13}};

// Checks `got` against float64 numbers, rounded to its dtype.
void check_special(const Tensor& got, const Tensor& want, const Setting& setting,
                   bool zeros_have_signs = true) {
  const std::vector<double> a = got.to_vector<double>();
  const std::vector<double> b = want.to(setting.dtype).to_vector<double>();
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i)
    if (!alike(a[i], b[i], setting.tolerance) ||
        (zeros_have_signs && a[i] == 0 && b[i] == 0 && std::signbit(a[i]) != std::signbit(b[i])))
      FAIL_CHECK("place " << i << ": " << a[i] << " where " << b[i] << " is right");
}

const Tensor& row(const Safetensors& file, const std::string& name) { return file[name]; }

// x repeated, so that every value meets every lane and the tail.
Tensor repeated(const Tensor& x) { return cat(std::vector<Tensor>(7, x), 0); }

Variable apply(const std::string& name, const Variable& x) {
  if (name.starts_with("pow ")) return pow(x, std::stod(name.substr(4)));
  if (name == "clamp") return clamp(x, -0.75, 1.5);
  if (name == "leaky_relu") return leaky_relu(x);
#define EBB_CASE(function, ...) \
  if (name == #function) return unary(Unary::function, x);
  EBB_UNARY_LIST(EBB_CASE)
#undef EBB_CASE
  FAIL("no function is called " << name);
  return {};
}

Variable apply(const std::string& name, const Variable& a, const Variable& b) {
#define EBB_CASE(function, ...) \
  if (name == #function) return function(a, b);
  EBB_BINARY_LIST(EBB_CASE)
#undef EBB_CASE
  FAIL("no function is called " << name);
  return {};
}

float float_of(std::uint32_t bits) { return std::bit_cast<float>(bits); }

}  // namespace

TEST_CASE("special values: pointwise functions and gradients as in PyTorch") {
  const Safetensors file = read_safetensors(golden_path("special.safetensors"));
  const Tensor &x = row(file, "x"), &cotangents = row(file, "cotangents");
  const auto part = [](const Tensor& all, std::int64_t i) { return slice(all, 0, i, i + 1); };
  const auto cotangent = [&](std::int64_t i) { return part(cotangents, i).item(); };
#define EBB_CASE(function, ...) \
  if (Unary::function != Unary::pow) CHECK(file.contains("unary/" #function "/y"));
  EBB_UNARY_LIST(EBB_CASE)
#undef EBB_CASE
#define EBB_CASE(function, ...) CHECK(file.contains("binary/" #function "/y"));
  EBB_BINARY_LIST(EBB_CASE)
#undef EBB_CASE
  for (const NamedTensor& entry : file.tensors) {
    const std::string kind = entry.name.substr(0, entry.name.find('/'));
    if (!entry.name.ends_with("/y") || (kind != "unary" && kind != "binary")) continue;
    const std::string name =
        entry.name.substr(kind.size() + 1, entry.name.size() - kind.size() - 3);
    const std::string base = kind + "/" + name + "/";
    CAPTURE(name);
    for (const Setting& setting : settings) {
      CAPTURE(setting.dtype);
      if (kind == "unary") {
        // A product that vanishes has the sign of the factor that vanishes first.
        const bool signs = name != "silu" && name != "gelu";
        const Variable a(repeated(x).to(setting.dtype), true);
        const Variable y = apply(name, a);
        y.backward(Tensor::ones(y.shape(), setting.dtype));
        check_special(y.value(), repeated(entry.tensor), setting, signs);
        check_special(a.grad(), repeated(row(file, base + "grad")), setting, signs);
        // At large numbers PyTorch's overflows within, ours is 0 or 1.
        if (name == "gelu_tanh") continue;
        const char* grads = setting.dtype == DType::float32 ? "grads32" : "grads64";
        for (std::int64_t i = 0; i < cotangents.numel(); ++i) {
          CAPTURE(cotangent(i));
          const Variable again(repeated(x).to(setting.dtype), true);
          apply(name, again).backward(Tensor::full(y.shape(), cotangent(i), setting.dtype));
          check_special(again.grad(), repeated(part(row(file, base + grads), i)), setting, signs);
        }
      } else {
        const std::int64_t n = x.numel();
        const Variable a(broadcast_to(x.reshape({n, 1}), {n, n}).to(setting.dtype), true);
        const Variable b(broadcast_to(x, {n, n}).to(setting.dtype), true);
        const Variable y = apply(name, a, b);
        y.backward(Tensor::ones(y.shape(), setting.dtype));
        check_special(y.value(), entry.tensor, setting);
        check_special(a.grad(), row(file, base + "grad_a"), setting);
        check_special(b.grad(), row(file, base + "grad_b"), setting);
        if (name != "maximum" && name != "minimum") continue;
        const Tensor& grads_a = row(file, base + "grads_a");
        for (std::int64_t i = 0; i < grads_a.size(0); ++i) {
          CAPTURE(cotangent(i));
          const Variable p(a.value(), true), q(b.value(), true);
          apply(name, p, q).backward(Tensor::full(y.shape(), cotangent(i), setting.dtype));
          check_special(p.grad(), part(grads_a, i), setting);
          check_special(q.grad(), part(row(file, base + "grads_b"), i), setting);
        }
      }
    }
  }
}

TEST_CASE("special values: a NaN of any payload at any place reaches what depends on it") {
  for (const std::uint32_t bits : {0x7fc00000u, 0xffc00000u, 0x7f800001u, 0x7fffffffu, 0xffc12345u})
    for (const std::int64_t n : {1, 7, 16, 33, 70})
      for (std::int64_t place = 0; place<n; place += n> 20 ? 5 : 1) {
        CAPTURE(bits);
        CAPTURE(n);
        CAPTURE(place);
        std::vector<float> values(static_cast<std::size_t>(n), 1.0f);
        values[static_cast<std::size_t>(place)] = float_of(bits);
        const Tensor x = Tensor::from(values), wide = x.to(DType::float64);
        const Tensor ones = Tensor::ones({n});
        const auto is_nan = [](const Tensor& y) { return std::isnan(y.item()); };
        const auto at = [&](const Tensor& y) { return is_nan(slice(y, 0, place, place + 1)); };
        for (const Tensor& t : {x, wide}) {
          CHECK(is_nan(amax(t)));
          CHECK(is_nan(amin(t)));
          CHECK(is_nan(sum(t)));
          CHECK(is_nan(amax(t.reshape({1, n}), {1})));
          CHECK(is_nan(amin(t.reshape({n, 1}), {0})));
          CHECK(is_nan(amax(broadcast_to(t.reshape({n, 1}), {n, 5}), {0, 1})));
          CHECK(argmax(t, 0).item() == static_cast<double>(place));
          CHECK(is_nan(slice(sort(t, 0), 0, n - 1, n)));
          CHECK(at(cumsum(t, 0)));
          CHECK(!all_finite(t));
          CHECK(at(softmax(t, 0)));
          CHECK(at(relu(t)));
          CHECK(at(clamp(t, 0, 1)));
          CHECK(at(exp(t)));
          CHECK(at(silu(t)));
        }
        CHECK(is_nan(matmul(x, ones)));
        CHECK(is_nan(amax(max_pool2d(x.reshape({1, n, 1, 1}), {{n, 1}, {1, 1}, {0, 0}}))));
        // One channel, and as many as vectors take.
        for (const std::int64_t channels : {1, 24})
          for (const Activation activation : {Activation::none, Activation::relu, Activation::silu})
            for (const std::int64_t k : {1, 3}) {
              const Tensor image = broadcast_to(x.reshape({1, n, 1, 1}), {1, n, 1, channels});
              const Tensor y = conv2d(image, Tensor::ones({channels, channels, k, 1}), {},
                                      {.padding = {k / 2, 0}}, activation);
              CHECK(std::isnan(amax(slice(y, 1, place, place + 1)).item()));
            }
      }
}

TEST_CASE("special values: Winograd's convolutions, norms and attention pass a NaN on") {
  for (const std::int64_t place : {0, 5, 37, 63}) {
    Tensor x = Tensor::full({1, 8, 8, 32}, 0.5);
    x.mutable_data<float>()[place * 32 + 3] = NAN;
    const Tensor w = Tensor::full({32, 32, 3, 3}, 0.01);
    for (const Activation activation : {Activation::none, Activation::relu, Activation::silu}) {
      const Tensor y = conv2d(x, w, {}, {.padding = {1, 1}}, activation).reshape({64, 32});
      CHECK(std::isnan(amin(slice(y, 0, place, place + 1)).item()));
      CHECK(!all_finite(sum(y, {1})));
    }
    for (const bool silu : {false, true})
      CHECK(std::isnan(amax(group_norm(x, 4, {}, {}, 1e-5, silu)).item()));
    const Tensor rows = x.reshape({1, 64, 32});
    for (int operand = 0; operand < 3; ++operand) {
      const Tensor good = Tensor::full({1, 64, 32}, 0.5);
      const Tensor y = scaled_dot_product_attention(
          operand == 0 ? rows : good, operand == 1 ? rows : good, operand == 2 ? rows : good);
      // A query's NaN spoils its own row, a key's every row, a value's its column.
      const Tensor part = operand == 0   ? slice(y, 1, place, place + 1)
                          : operand == 1 ? y
                                         : slice(y, 2, 3, 4);
      for (const double value : part.to_vector<double>()) CHECK(std::isnan(value));
    }
  }
}

// What every tolerance rests on.
TEST_CASE("relative_error sees one bad element of any kind at any place") {
  for (const DType dtype : {DType::float32, DType::float64})
    for (const std::int64_t n : {1, 3, 16, 65})
      for (std::int64_t place = 0; place<n; place += n> 20 ? 7 : 1) {
        const Tensor good = Tensor::full({n}, -0.75, dtype);
        const auto with = [&](double value) {
          std::vector<double> values = good.to_vector<double>();
          values[static_cast<std::size_t>(place)] = value;
          return Tensor::from(values).to(dtype);
        };
        CHECK(relative_error(good, good) == 0);
        CHECK(std::isnan(relative_error(with(NAN), good)));
        CHECK(std::isnan(relative_error(good, with(NAN))));
        CHECK(std::isnan(relative_error(with(NAN), with(NAN))));
        CHECK(relative_error(with(INFINITY), good) == INFINITY);
        CHECK(relative_error(good, with(-INFINITY)) == INFINITY);
        CHECK(relative_error(with(INFINITY), with(-INFINITY)) == INFINITY);
        CHECK(relative_error(with(INFINITY), with(INFINITY)) == 0);
        CHECK(relative_error(with(0.75), good) == 2);
        CHECK(relative_error(with(-0.75 - 1e-6), good) > 1e-6);
        // An infinity beside it hides nothing.
        if (n > 1) {
          Tensor a = with(INFINITY), b = with(INFINITY);
          std::vector<double> values = a.to_vector<double>();
          values[static_cast<std::size_t>((place + 1) % n)] = -0.5;
          CHECK(relative_error(Tensor::from(values).to(dtype), b) > 0.1);
        }
      }
}

TEST_CASE("worse_of keeps a NaN at any place of a run") {
  for (std::size_t place = 0; place < 5; ++place) {
    std::vector<double> distances{0, 2, 1, 3, 0.5};
    double worst = 0;
    for (const double distance : distances) worst = worse_of(worst, distance);
    CHECK(worst == 3);
    distances[place] = NAN;
    worst = 0;
    for (const double distance : distances) worst = worse_of(worst, distance);
    CHECK(std::isnan(worst));
  }
}

TEST_CASE("special values: denormals are zeros to arithmetic and kept by what moves values") {
  for (const DType dtype : {DType::float32, DType::float64})
    for (const std::int64_t n : {1, 19, 70})
      for (const double sign : {1.0, -1.0}) {
        CAPTURE(dtype);
        CAPTURE(n);
        CAPTURE(sign);
        const double small = sign * (dtype == DType::float32 ? 0x1p-130 : 0x1p-1030);
        // Read from memory: a conversion is arithmetic.
        const Tensor x =
            dtype == DType::float32
                ? Tensor::from(
                      std::vector<float>(static_cast<std::size_t>(n), static_cast<float>(small)))
                : Tensor::from(std::vector<double>(static_cast<std::size_t>(n), small));
        const Tensor zero = mul(Tensor::ones({n}, dtype), sign * 0.0);
        const Tensor one = Tensor::ones({n}, dtype);
        const auto bits = [&](const Tensor& y) {
          return dtype == DType::float32 ? double(y.to_vector<float>().back())
                                         : y.to_vector<double>().back();
        };
        const auto same = [&](double value, double want) {
          return std::isnan(want) ? std::isnan(value)
                                  : value == want && std::signbit(value) == std::signbit(want);
        };
        // Either is right: processors' comparisons and <cmath> differ in whether they see it.
        const auto either = [&](const Tensor& got, double kept, double flushed) {
          const double value = bits(got);
          CHECK_MESSAGE((same(value, kept) || same(value, flushed)),
                        value << " is neither " << kept << " nor " << flushed);
        };
        const Variable given(x);
        CHECK(bits(apply("neg", given).value()) == -small);
        CHECK(bits(apply("abs", given).value()) == std::abs(small));
        either(apply("clamp", given).value(), small, sign * 0.0);
        for (const std::string name :
             {"exp",     "log",       "sqrt",     "rsqrt",   "reciprocal", "square",
              "sin",     "cos",       "tanh",     "sigmoid", "relu",       "silu",
              "gelu",    "gelu_tanh", "softplus", "erf",     "leaky_relu", "pow 2",
              "pow 0.5", "pow -1",    "pow 0",    "pow 3"}) {
          CAPTURE(name);
          const Variable a(x, true), b(zero, true);
          const Variable y = apply(name, a), z = apply(name, b);
          const double flushed = bits(z.value());
          either(y.value(), name == "sin" || name == "relu" ? small : flushed, flushed);
          y.backward(one);
          z.backward(one);
          CHECK(same(bits(a.grad()), bits(b.grad())));
        }
        CHECK(bits(add(x, x)) == 0);
        CHECK(bits(sub(x, zero)) == 0);
        CHECK(bits(mul(x, one)) == 0);
        CHECK(bits(div(x, one)) == 0);
        CHECK(bits(less(x, zero)) == 0);
        CHECK(bits(equal(x, zero)) == 1);
        if (n > 1) CHECK(bits(sum(x)) == 0);
        CHECK(bits(cumsum(x, 0)) == 0);
        CHECK(sum(x.to(dtype == DType::float32 ? DType::float64 : DType::float32)).item() == 0);
        CHECK(bits(where(one, x, zero)) == small);
        CHECK(bits(cat({x, x}, 0)) == small);
        either(maximum(x, mul(one, -1)), small, sign * 0.0);
        CHECK(bits(sort(x, 0)) == small);
        either(amax(x), small, sign * 0.0);
        CHECK(all_finite(x));
      }
}
