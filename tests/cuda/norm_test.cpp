// Normalisations on the emulated GPU.
#include <doctest/doctest.h>
#include <ebb/tensor/backend/backend.h>
#include <ebb/tensor/ops/layout.h>
#include <ebb/tensor/ops/norm.h>

#include "tests/tensor/numbers.h"

namespace ebb {
namespace {

// Memory of exactly tensors' sizes: each access beyond one is seen.
struct NormExactly {
  NormExactly() { set_storage_caching(false); }
  ~NormExactly() { set_storage_caching(true); }
};

double norm_tolerance(DType dtype) { return dtype == DType::float32 ? 3e-6 : 1e-13; }

// `far` is what `near` says, or neither is there.
void check_norm(const Tensor& far, const Tensor& near, double tolerance) {
  REQUIRE(far.defined() == near.defined());
  if (!far.defined()) return;
  const Tensor got = far.to(Device::cpu), want = near.to(Device::cpu);
  REQUIRE(got.shape() == want.shape());
  if (want.numel() == 0) return;
  const double largest = values(amax(abs(want)))[0];
  CHECK(values(amax(abs(got - want)))[0] <= tolerance * std::max(1.0, largest));
}

void check_norm(const Normalized& far, const Normalized& near, double tolerance) {
  check_norm(far.y, near.y, tolerance);
  check_norm(far.mean, near.mean, tolerance);
  check_norm(far.rstd, near.rstd, tolerance);
}
void check_norm(const NormGradients& far, const NormGradients& near, double tolerance) {
  check_norm(far.x, near.x, tolerance);
  check_norm(far.weight, near.weight, tolerance);
  check_norm(far.bias, near.bias, tolerance);
}

enum class Parameters { none, shared, each_sample };

// What a normalisation needs, on a device.
struct NormOperands {
  Tensor x, weight, bias, grad;

  NormOperands(const Shape& shape, DType dtype, Parameters parameters, Device device)
      : x((numbers(shape, dtype, 3) * 2.0 + 0.5).to(device)),
        grad(numbers(shape, dtype, 7).to(device)) {
    if (parameters == Parameters::none) return;
    const Shape of = parameters == Parameters::shared ? Shape{shape[shape.rank() - 1]}
                                                      : Shape{shape[0], shape[shape.rank() - 1]};
    weight = (numbers(of, dtype, 11) + 1.5).to(device);
    bias = numbers(of, dtype, 13).to(device);
  }
};

void check_group_norm(const Shape& shape, std::int64_t groups, DType dtype, Parameters parameters,
                      bool silu) {
  CAPTURE(fmt::format("{}", shape));
  CAPTURE(groups);
  CAPTURE(dtype);
  CAPTURE(static_cast<int>(parameters));
  CAPTURE(silu);
  const NormOperands near(shape, dtype, parameters, Device::reference);
  const NormOperands far(shape, dtype, parameters, Device::cuda);
  const Normalized want = group_norm(near.x, groups, near.weight, near.bias, 1e-5, silu);
  const Normalized got = group_norm(far.x, groups, far.weight, far.bias, 1e-5, silu);
  check_norm(got, want, norm_tolerance(dtype));
  const auto gradients = [&](const NormOperands& of, const Normalized& value, Tensor grad) {
    return group_norm_backward(std::move(grad), of.x, groups, of.weight, of.bias, value.mean,
                               value.rstd, silu);
  };
  const NormGradients wanted = gradients(near, want, near.grad);
  const Normalized saved{want.y, want.mean.to(Device::cuda), want.rstd.to(Device::cuda)};
  check_norm(gradients(far, saved, far.grad), wanted, norm_tolerance(dtype));
  check_norm(gradients(far, saved, far.grad.clone()), wanted, norm_tolerance(dtype));  // in place
}

TEST_CASE("cuda: group_norm is the reference's") {
  const NormExactly sizes;
  struct Row {
    std::int64_t channels, groups;
  };
  for (const DType dtype : {DType::float32, DType::float64})
    for (const auto& [channels, groups] : {Row{4, 2}, Row{6, 3}, Row{32, 8}, Row{96, 32}})
      for (const std::int64_t positions : {1, 3, 49, 300}) {
        if (dtype == DType::float64 && positions > 100) continue;  // its kernel knows no pieces
        for (const bool silu : {false, true})
          for (const Parameters parameters :
               {Parameters::none, Parameters::shared, Parameters::each_sample})
            check_group_norm({2, positions, channels}, groups, dtype, parameters, silu);
      }
}

TEST_CASE("cuda: group_norm of many positions, of many channels, of other ranks, of nothing") {
  const NormExactly sizes;
  check_group_norm({2, 1100, 32}, 8, DType::float32, Parameters::each_sample, true);
  check_group_norm({1, 9001, 3}, 1, DType::float32, Parameters::shared, true);
  for (const DType dtype : {DType::float32, DType::float64}) {
    check_group_norm({3, 5, 300}, 5, dtype, Parameters::shared, true);
    check_group_norm({2, 3, 5, 4, 6}, 2, dtype, Parameters::shared, false);
    check_group_norm({2, 2050}, 2, dtype, Parameters::each_sample, true);
    check_group_norm({300, 12}, 4, dtype, Parameters::shared, true);
    check_group_norm({0, 7, 6}, 3, dtype, Parameters::shared, true);
    check_group_norm({0, 6}, 3, dtype, Parameters::shared, false);
  }
}

// Where float32's squares of x would say nothing of the deviation.
TEST_CASE("cuda: group_norm far from 0, and where the first value is no neighbour of the others") {
  const NormExactly sizes;
  for (const std::int64_t positions : {1, 40, 700}) {
    Tensor x = numbers({2, positions, 64}, DType::float32, 3) * 1.4 + 1000.0;
    for (const bool outlier : {false, true}) {
      CAPTURE(positions);
      CAPTURE(outlier);
      if (outlier)
        x = where(equal(Tensor::arange(64, DType::float32), 0.0), Tensor::zeros({64}), x);
      const Normalized got = group_norm(x.to(Device::cuda), 2);
      check_norm(got, group_norm(x.to(Device::reference), 2), outlier ? 2e-5 : 2e-6);
    }
  }
}

TEST_CASE("cuda: layer_norm is the reference's") {
  const NormExactly sizes;
  for (const DType dtype : {DType::float32, DType::float64})
    for (const Shape& shape : {Shape{1, 1}, Shape{7, 5}, Shape{2, 3, 33}, Shape{70, 96},
                               Shape{9, 1024}, Shape{3, 1500}, Shape{0, 8}, Shape{4, 0}})
      for (const bool biased : {true, false}) {
        CAPTURE(fmt::format("{}", shape));
        CAPTURE(dtype);
        const Shape last{shape[shape.rank() - 1]};
        const auto of = [&](Device device) {
          return NormOperands(shape, dtype, biased ? Parameters::shared : Parameters::none, device);
        };
        const NormOperands near = of(Device::reference), far = of(Device::cuda);
        const Normalized want = layer_norm(near.x, last, near.weight, near.bias);
        const Normalized got = layer_norm(far.x, last, far.weight, far.bias);
        if (shape == Shape{1, 1}) CHECK(values(got.y.to(Device::cpu)) == values(want.y));
        check_norm(got, want, norm_tolerance(dtype));
        const NormGradients gradients =
            layer_norm_backward(far.grad, far.x, last, far.weight, want.mean.to(Device::cuda),
                                want.rstd.to(Device::cuda));
        check_norm(gradients,
                   layer_norm_backward(near.grad, near.x, last, near.weight, want.mean, want.rstd),
                   norm_tolerance(dtype));
      }
}

TEST_CASE("cuda: batch_norm is the reference's") {
  const NormExactly sizes;
  for (const DType dtype : {DType::float32, DType::float64})
    for (const Shape& shape : {Shape{2, 1}, Shape{33, 5}, Shape{3, 9, 9, 65}, Shape{3, 4, 260}})
      for (const bool biased : {true, false}) {
        CAPTURE(fmt::format("{}", shape));
        CAPTURE(dtype);
        const auto of = [&](Device device) {
          return NormOperands(shape, dtype, biased ? Parameters::shared : Parameters::none, device);
        };
        const NormOperands near = of(Device::reference), far = of(Device::cuda);
        const Normalized want = batch_norm(near.x, near.weight, near.bias);
        check_norm(batch_norm(far.x, far.weight, far.bias), want, norm_tolerance(dtype));
        const NormGradients gradients = batch_norm_backward(
            far.grad, far.x, far.weight, want.mean.to(Device::cuda), want.rstd.to(Device::cuda));
        check_norm(gradients,
                   batch_norm_backward(near.grad, near.x, near.weight, want.mean, want.rstd),
                   norm_tolerance(dtype));
      }
  const Tensor none = Tensor::empty({0, 3}, DType::float32, Device::cuda);
  const Tensor weight = Tensor::ones({3}, DType::float32, Device::cuda);
  const Normalized empty = batch_norm(none, weight, weight);
  for (const double mean : values(empty.mean)) CHECK(std::isnan(mean));
  for (const double dw :
       values(batch_norm_backward(none, none, weight, empty.mean, empty.rstd).weight))
    CHECK(dw == 0);
}

TEST_CASE("cuda: a normalisation has the same bits again, and a group's NaN is its own") {
  const NormExactly sizes;
  for (const Shape& shape : {Shape{3, 210, 48}, Shape{5, 48}}) {
    NormOperands of(shape, DType::float32, Parameters::shared, Device::cuda);
    const Normalized once = group_norm(of.x, 4, of.weight, of.bias, 1e-5, true);
    const auto gradients = [&] {
      return group_norm_backward(of.grad, of.x, 4, of.weight, of.bias, once.mean, once.rstd, true);
    };
    const NormGradients first = gradients(), again = gradients();
    CHECK(values(group_norm(of.x, 4, of.weight, of.bias, 1e-5, true).y) == values(once.y));
    CHECK(values(first.x) == values(again.x));
    CHECK(values(first.weight) == values(again.weight));
    CHECK(values(first.bias) == values(again.bias));

    const Tensor marked = where(equal(Tensor::arange(48, DType::float32), 13.0),
                                Tensor::full({48}, std::nan("")), of.x.to(Device::cpu));
    const auto y = values(group_norm(marked.to(Device::cuda), 4).y);
    for (std::size_t i = 0; i < y.size(); ++i) CHECK(std::isnan(y[i]) == (i % 48 / 12 == 1));
  }
}

}  // namespace
}  // namespace ebb
