// Special values along a dimension, in images, losses and cotangents, as PyTorch has them: the rows
// of special.safetensors (tests/interop/special_values.py says what they are) that special_test.cpp
// leaves.
#include <ebb/autograd/ops.h>

#include <cmath>
#include <functional>

#include "tests/alike.h"
#include "tests/capture.h"
#include "tests/golden.h"

using namespace ebb;
using namespace ebb::test;

namespace {

const std::pair<DType, double> precisions[] = {{DType::float32, 4e-6}, {DType::float64, 1e-12}};

const Safetensors& reference() {
  static const Safetensors file = read_safetensors(golden_path("special.safetensors"));
  return file;
}

// Within `tolerance` of 1 + |want|.
void check_values(const Tensor& got, const Tensor& want, double tolerance) {
  check_alike(got, want.to(got.dtype()),
              [=](double value) { return tolerance * (1 + std::abs(value)); });
}

using Function = std::function<Variable(const Variable&, std::int64_t dim)>;

// x (rows, n) with n as the last, the first and a middle dimension, and back.
struct Place {
  std::string name;
  std::int64_t dim;
  std::function<Tensor(const Tensor&)> there, back;
};

std::vector<Place> places(std::int64_t rows, std::int64_t n) {
  const auto turned = [](const Tensor& x) { return x.rank() == 2 ? transpose(x, 0, 1) : x; };
  const auto as_middle = [=](const Tensor& x) {
    const std::int64_t along = x.rank() == 2 ? x.size(1) : 1;
    return permute(x.reshape({3, rows / 3, along}), {0, 2, 1});
  };
  const auto of_middle = [=](const Tensor& x) {
    if (x.rank() == 2) return x.reshape({rows});
    return permute(x, {0, 2, 1}).reshape({rows, n});
  };
  const auto same = [](const Tensor& x) { return x; };
  return {
      {"last", 1, same, same}, {"first", 0, turned, turned}, {"middle", 1, as_middle, of_middle}};
}

const std::vector<std::pair<std::string, Function>> along_rows{
    {"sum", [](const Variable& x, std::int64_t d) { return sum(x, {d}); }},
    {"mean", [](const Variable& x, std::int64_t d) { return mean(x, {d}); }},
    {"var", [](const Variable& x, std::int64_t d) { return var(x, {d}); }},
    {"std", [](const Variable& x, std::int64_t d) { return ebb::std(x, {d}); }},
    {"amax", [](const Variable& x, std::int64_t d) { return amax(x, {d}); }},
    {"amin", [](const Variable& x, std::int64_t d) { return amin(x, {d}); }},
    {"cumsum", [](const Variable& x, std::int64_t d) { return cumsum(x, d); }},
    {"cumprod", [](const Variable& x, std::int64_t d) { return cumprod(x, d); }},
    {"softmax", [](const Variable& x, std::int64_t d) { return softmax(x, d); }},
    {"log_softmax", [](const Variable& x, std::int64_t d) { return log_softmax(x, d); }},
};

const std::vector<std::pair<std::string, std::function<Tensor(const Tensor&, std::int64_t)>>>
    orders{
        {"sort", [](const Tensor& x, std::int64_t d) { return sort(x, d); }},
        {"argmax", [](const Tensor& x, std::int64_t d) { return argmax(x, d); }},
    };

Tensor channels_last(const Tensor& x) { return permute(x, {0, 2, 3, 1}); }

const std::vector<std::pair<std::string, std::function<Variable(const Variable&)>>> of_images{
    {"max_pool2d 3",
     [](const Variable& x) {
       return max_pool2d(x, {{3, 3}, {1, 1}, {1, 1}});
     }},
    {"max_pool2d 2",
     [](const Variable& x) {
       return max_pool2d(x, {{2, 2}});
     }},
    {"avg_pool2d 3",
     [](const Variable& x) {
       return avg_pool2d(x, {{3, 3}, {1, 1}, {1, 1}});
     }},
    {"avg_pool2d 2",
     [](const Variable& x) {
       return avg_pool2d(x, {{2, 2}});
     }},
    {"nearest", [](const Variable& x) { return interpolate(x, 9, 7, Interpolation::nearest); }},
    {"bilinear", [](const Variable& x) { return interpolate(x, 9, 7, Interpolation::bilinear); }},
    {"group_norm", [](const Variable& x) { return group_norm(x, 2); }},
};

using Loss = Variable (*)(const Variable&, const Variable&);
const std::vector<std::pair<std::string, Loss>> losses{
    {"mse_loss", mse_loss},
    {"l1_loss", l1_loss},
    {"huber_loss", [](const Variable& a, const Variable& b) { return huber_loss(a, b); }},
    {"binary_cross_entropy_with_logits", binary_cross_entropy_with_logits},
};

}  // namespace

TEST_CASE("special values: along each dimension, with gradients, as in PyTorch") {
  const Safetensors& file = reference();
  const std::int64_t rows = file["rows/x"].size(0), n = file["rows/x"].size(1);
  REQUIRE(rows % 3 == 0);
  for (const auto& [dtype, tolerance] : precisions)
    for (const Place& place : places(rows, n)) {
      CAPTURE_BINDING(dtype);
      CAPTURE(std::string(place.name));
      const Tensor given = place.there(file["rows/x"].to(dtype));
      for (const auto& [name, function] : along_rows) {
        CAPTURE_BINDING(name);
        const std::string base = "rows/" + name + "/";
        const Variable x(given, true);
        const Variable y = function(x, place.dim);
        check_values(place.back(y.value()), file[base + "y"], tolerance);
        const Tensor g = file["rows/g"].to(dtype);
        const bool whole = file[base + "y"].rank() == 2;
        y.backward(whole ? place.there(g) : place.there(slice(g, 1, 3, 4)).reshape(y.shape()));
        check_values(place.back(x.grad()), file[base + "grad"], tolerance);
      }
      for (const auto& [name, function] : orders) {
        CAPTURE_BINDING(name);
        check_values(place.back(function(given, place.dim)), file["rows/" + name + "/y"],
                     tolerance);
      }
    }
}

TEST_CASE("special values: layer_norm as in PyTorch") {
  const Safetensors& file = reference();
  for (const auto& [dtype, tolerance] : precisions) {
    CAPTURE_BINDING(dtype);
    const Variable x(file["rows/x"].to(dtype), true);
    const Variable y = layer_norm(x, {x.shape()[1]});
    check_values(y.value(), file["rows/layer_norm/y"], tolerance);
    y.backward(file["rows/g"].to(dtype));
    check_values(x.grad(), file["rows/layer_norm/grad"], 10 * tolerance);
  }
}

TEST_CASE("special values: pools, interpolation and group_norm as in PyTorch") {
  const Safetensors& file = reference();
  for (const auto& [dtype, tolerance] : precisions)
    for (const auto& [name, function] : of_images) {
      CAPTURE_BINDING(dtype);
      CAPTURE_BINDING(name);
      const std::string base = "images/" + name + "/";
      const Variable x(channels_last(file["images/x"]).to(dtype), true);
      const Variable y = function(x);
      check_values(y.value(), channels_last(file[base + "y"]), tolerance);
      y.backward(channels_last(file[base + "g"]).to(dtype));
      check_values(x.grad(), channels_last(file[base + "grad"]), 10 * tolerance);
    }
}

TEST_CASE("special values: losses of each pair as in PyTorch") {
  const Safetensors& file = reference();
  const Tensor& x = file["loss/x"];
  const std::int64_t n = x.numel();
  for (const auto& [dtype, tolerance] : precisions)
    for (const auto& [name, loss] : losses) {
      CAPTURE_BINDING(dtype);
      CAPTURE_BINDING(name);
      for (std::int64_t i = 0; i < n * n; ++i) {
        const auto value = [&, type = dtype](std::int64_t at) {
          return slice(x, 0, at, at + 1).to(type);
        };
        const auto want = [&, base = "loss/" + name + "/"](const char* what) {
          return slice(file[base + what].reshape({n * n}), 0, i, i + 1);
        };
        const Variable a(value(i / n), true), b(value(i % n), true);
        INFO("input " << a.value().item() << " target " << b.value().item());
        const Variable y = loss(a, b);
        y.backward();
        check_values(y.value().reshape({1}), want("y"), tolerance);
        check_values(a.grad(), want("grad_a"), tolerance);
        check_values(b.grad(), want("grad_b"), tolerance);
      }
    }
  const Tensor& all = file["rows/x"];
  for (const auto& [dtype, tolerance] : precisions)
    for (std::int64_t i = 0; i < all.size(0); ++i) {
      CAPTURE(i);
      const Variable row(slice(all, 0, i, i + 1).to(dtype), true);
      const Variable y = cross_entropy(row, Tensor::from<std::int64_t>({i % all.size(1)}));
      y.backward();
      check_values(y.value().reshape({1}), slice(file["loss/cross_entropy/y"], 0, i, i + 1),
                   tolerance);
      check_values(row.grad(), slice(file["loss/cross_entropy/grad"], 0, i, i + 1), tolerance);
    }
}
