// Every layer against PyTorch: first values to the bit, result and gradients in float64. The
// cases are in reference/layers.safetensors, which reference/make_layers.py wrote.
#include <ebb/autograd/ops.h>
#include <ebb/nn/layers/layers.h>
#include <ebb/tensor/io/safetensors.h>

#include "tests/golden.h"

namespace {

using namespace ebb;
using ebb::test::check_close;
using nlohmann::json;

constexpr double tolerance = 1e-12;

const Safetensors& reference() {
  static const Safetensors file =
      read_safetensors(ebb::test::source_folder() + "/tests/nn/reference/layers.safetensors");
  return file;
}

bool takes_images(const json& c) {
  return c["layer"] == "Conv2d" || c["layer"] == "ConvTranspose2d" || c["layer"] == "GroupNorm" ||
         c["layer"] == "BatchNorm2d";
}

Tensor from_torch(const json& c, const Tensor& x) { return takes_images(c) ? nchw_to_nhwc(x) : x; }
Tensor to_torch(const json& c, const Tensor& x) { return takes_images(c) ? nhwc_to_nchw(x) : x; }

// `forward` maps layer and inputs to the result.
template <class Layer, class Forward>
void compare(const json& c, Layer layer, const Forward& forward) {
  const std::string name = c["name"];
  CAPTURE(name);
  const auto expected = [&](const std::string& what) { return reference()[name + "/" + what]; };

  std::size_t states = 0;
  for (const NamedTensor& t : reference().tensors) states += t.name.starts_with(name + "/state/");
  CHECK(state_dict(layer).size() == states);
  for (const NamedTensor& t : state_dict(layer)) {
    CAPTURE(t.name);
    const Tensor first = expected("state/" + t.name);
    REQUIRE(t.tensor.shape() == first.shape());
    CHECK(t.tensor.dtype() == first.dtype());
    CHECK(t.tensor.to_vector<double>() == first.to_vector<double>());
  }

  convert_to(layer, DType::float64);
  std::vector<Variable> inputs;
  for (int i = 0; i < c["inputs"]; ++i) {
    const Tensor x = expected("in/" + std::to_string(i));
    inputs.emplace_back(from_torch(c, x), is_floating(x.dtype()));
  }
  const Variable y = forward(layer, inputs);
  check_close(name + " out", to_torch(c, y.value()), expected("out"), tolerance);
  y.backward(from_torch(c, expected("cot")));
  for (const NamedParameter& p : named_parameters(layer))
    check_close(name + " grad " + p.name, p.variable.grad(), expected("grad/" + p.name), tolerance);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const std::string key = "grad_in/" + std::to_string(i);
    if (reference().contains(name + "/" + key))
      check_close(name + " " + key, to_torch(c, inputs[i].grad()), expected(key), tolerance);
  }
  Visitor buffers({}, [&](const std::string& key, Tensor& b) {
    check_close(name + " after " + key, b, expected("after/" + key), tolerance);
  });
  layer.visit(buffers);
}

const auto call = [](const auto& layer, const std::vector<Variable>& in) { return layer(in[0]); };

Pair pair(const json& c, const char* key, std::int64_t otherwise) {
  return c.contains(key) ? Pair{c[key][0], c[key][1]} : Pair{otherwise, otherwise};
}

ConvLayerOptions conv_options(const json& c) {
  return {.in = c["args"][0],
          .out = c["args"][1],
          .kernel = {c["args"][2][0], c["args"][2][1]},
          .stride = pair(c, "stride", 1),
          .padding = pair(c, "padding", 0),
          .output_padding = pair(c, "output_padding", 0),
          .dilation = pair(c, "dilation", 1),
          .groups = c.value("groups", 1),
          .bias = c.value("bias", true)};
}

void compare_case(const json& c) {
  const std::string layer = c["layer"];
  const std::vector<json> args = c["args"];
  TorchGenerator g(c["seed"].get<std::uint64_t>());
  const double eps = c.value("eps", 1e-5);
  const bool bias = c.value("bias", true), affine = c.value("affine", true);
  if (layer == "Linear") {
    compare(c, Linear({.in = args[0], .out = args[1], .bias = bias}, g), call);
  } else if (layer == "Conv2d") {
    compare(c, Conv2d(conv_options(c), g), call);
  } else if (layer == "ConvTranspose2d") {
    compare(c, ConvTranspose2d(conv_options(c), g), call);
  } else if (layer == "Embedding") {
    compare(c, Embedding({.count = args[0], .width = args[1]}, g),
            [](const Embedding& e, const std::vector<Variable>& in) { return e(in[0].value()); });
  } else if (layer == "GroupNorm") {
    compare(c, GroupNorm({.groups = args[0], .channels = args[1], .eps = eps, .affine = affine}),
            call);
  } else if (layer == "LayerNorm") {
    const Shape shape(args[0].get<std::vector<std::int64_t>>());
    compare(c, LayerNorm({.shape = shape, .eps = eps, .affine = affine}), call);
  } else if (layer == "BatchNorm2d") {
    compare(c,
            BatchNorm2d({.channels = args[0],
                         .eps = eps,
                         .momentum = c.value("momentum", 0.1),
                         .affine = affine}),
            [](BatchNorm2d& norm, const std::vector<Variable>& in) {
              norm(in[0]);
              const Variable trained = norm(in[1]);
              set_training(norm, false);
              return cat({trained, norm(in[1])}, 0);
            });
  } else if (layer == "MultiheadAttention") {
    compare(c, MultiheadAttention({.width = args[0], .heads = args[1], .bias = bias}, g),
            [](const MultiheadAttention& m, const std::vector<Variable>& in) {
              return in.size() == 3 ? m(in[0], in[1], in[2]) : m(in[0]);
            });
  } else {
    FAIL_CHECK("no layer " << layer);
  }
}

TEST_SUITE("layers") {
  TEST_CASE("first values, results and gradients are PyTorch's") {
    const json cases = json::parse(reference().metadata.at("cases"));
    CHECK(cases.size() == 18);
    for (const json& c : cases) compare_case(c);
  }

  TEST_CASE("self-attention is cross-attention of x with itself") {
    TorchGenerator g(3);
    MultiheadAttention attention({.width = 8, .heads = 2}, g);
    const Variable x(g.randn({2, 5, 8}));
    check_close("attention", attention(x).value(), attention(x, x, x).value(), 1e-6);
  }

  TEST_CASE("Sequential names its layers by number and calls them in order") {
    TorchGenerator g(0), same(0);
    Sequential net{Linear({.in = 3, .out = 4}, g), Function{relu},
                   Linear({.in = 4, .out = 2, .bias = false}, g)};
    const Linear first({.in = 3, .out = 4}, same);
    const Linear second({.in = 4, .out = 2, .bias = false}, same);
    std::string names;
    for (const NamedParameter& p : named_parameters(net)) names += p.name + " ";
    CHECK(names == "0.weight 0.bias 2.weight ");
    CHECK(parameter_count(net) == 12 + 4 + 8);
    const Variable x(same.randn({5, 3}));
    CHECK(net(x).value().to_vector<float>() == second(relu(first(x))).value().to_vector<float>());
  }

  TEST_CASE("Dropout zeroes and rescales in training alone") {
    TorchGenerator g(1);
    Dropout drop{.p = 0.25};
    const Variable x(Tensor::ones({100, 100}));
    const std::vector<float> y = drop(x, g).value().to_vector<float>();
    const auto zeros = std::count(y.begin(), y.end(), 0.0f);
    CHECK(zeros > 2300);
    CHECK(zeros < 2700);
    CHECK(std::count(y.begin(), y.end(), static_cast<float>(1 / 0.75)) + zeros == 10000);
    set_training(drop, false);
    CHECK(drop(x, g).value().to_vector<float>() == x.value().to_vector<float>());
    CHECK_THROWS_AS((Dropout{.p = 1})(x, g), Error);
  }

  TEST_CASE("options that fit nothing are one clear error") {
    TorchGenerator g(0);
    CHECK_THROWS_WITH(Linear({.in = 0, .out = 3}, g),
                      "Linear: sizes 0 to 3; both must be positive");
    CHECK_THROWS_AS(Conv2d({.in = 3, .out = 4, .groups = 2}, g), Error);
    CHECK_THROWS_AS(Conv2d({.in = 3, .out = 4, .kernel = {0, 1}}, g), Error);
    CHECK_THROWS_AS(Conv2d({.in = 3, .out = 4, .output_padding = {1, 1}}, g), Error);
    CHECK_THROWS_AS(ConvTranspose2d({.in = 3, .out = 0}, g), Error);
    CHECK_THROWS_AS(Embedding({.count = 0, .width = 2}, g), Error);
    CHECK_THROWS_AS(GroupNorm({.groups = 4, .channels = 6}), Error);
    CHECK_THROWS_AS(GroupNorm({.groups = 2, .channels = 6})(Tensor::ones({2, 6, 3, 3})), Error);
    CHECK_THROWS_AS(LayerNorm({.shape = {0}}), Error);
    CHECK_THROWS_AS(BatchNorm2d({.channels = 0}), Error);
    CHECK_THROWS_AS(BatchNorm2d({.channels = 2})(Tensor::ones({1, 1, 1, 2})), Error);
    CHECK_THROWS_AS(BatchNorm2d({.channels = 2})(Tensor::ones({3, 2})), Error);
    CHECK_THROWS_AS(MultiheadAttention({.width = 8, .heads = 3}, g), Error);
    CHECK_THROWS_AS(Linear()(Tensor::ones({1, 1})), Error);
  }

  TEST_CASE("every layer without parameters fits Sequential") {
    PhiloxGenerator g(1);
    Sequential net{Conv2d({.in = 2, .out = 4, .padding = {1, 1}}, g),
                   ReLU{},
                   MaxPool2d{},
                   SiLU{},
                   AvgPool2d{},
                   GELU{},
                   Tanh{},
                   LeakyReLU{0.2},
                   Flatten{},
                   Dropout{.p = 0.5},
                   Sigmoid{},
                   Linear({.in = 16, .out = 3}, g)};
    const Variable x(philox_normal({5, 8, 8, 2}, {3}));
    const Tensor dropped = net(x).value();
    CHECK(dropped.shape() == Shape{5, 3});
    CHECK(relative_error(net(x).value(), dropped) > 0);
    set_training(net, false);
    CHECK(relative_error(net(x).value(), net(x).value()) == 0);
    CHECK(named_parameters(net).back().name == "11.bias");
  }

  TEST_CASE("clone: a module of its own") {
    PhiloxGenerator g(1);
    Sequential net{Linear({.in = 2, .out = 3}, g), LayerNorm({.shape = {3}})};
    auto copy = clone(net);
    const Variable x(philox_normal({4, 2}, {3}));
    CHECK(relative_error(copy(x).value(), net(x).value()) == 0);
    sum(copy(x) * x.value().slice(1, 0, 1)).backward();
    CHECK_FALSE(named_parameters(net)[0].variable.grad().defined());
    CHECK(named_parameters(copy)[0].variable.grad().defined());
    Tensor weight = named_parameters(copy)[0].variable.value();
    weight += 1;
    CHECK(relative_error(copy(x).value(), net(x).value()) > 0);
    CHECK(clone(BatchNorm2d({.channels = 3})).running_mean.numel() == 3);
  }
}

}  // namespace
