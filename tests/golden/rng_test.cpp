// PyTorch's CPU stream: every call of rng.safetensors in its order, each seed from its start.
#include <ebb/nn/layers/layers.h>
#include <ebb/tensor/ops/layout.h>
#include <ebb/tensor/random/random.h>

#include <map>

#include "tests/golden.h"
#include "tests/python_expression.h"

namespace ebb::test {
namespace {

DType dtype_argument(const Call& call) {
  const auto found = call.named.find("dtype");
  if (found == call.named.end()) return DType::float32;
  const std::string name = found->second.word;
  if (name.ends_with("float64") || name.ends_with("double")) return DType::float64;
  if (name.ends_with("int64") || name.ends_with("long")) return DType::int64;
  check(name.ends_with("float32") || name.ends_with("float"), "unknown dtype {}", name);
  return DType::float32;
}

// rand(3, 4), rand((3, 4)), rand([]) are shapes alike.
Shape shape_of(const Call& call) {
  if (call.arguments.size() == 1) return Shape(call.arguments[0].integers());
  std::vector<std::int64_t> sizes;
  for (const Value& argument : call.arguments) sizes.push_back(argument.integer());
  return Shape(sizes);
}

Pair pair_argument(const Call& call, std::size_t position, const std::string& name,
                   Pair otherwise) {
  const Value* const value = call.find(position, name);
  if (!value) return otherwise;
  const std::vector<std::int64_t> sizes = value->integers();
  return {sizes.front(), sizes.back()};
}

template <class Layer>
Tensor parameter(Layer layer, const std::string& name) {
  for (const NamedTensor& entry : state_dict(layer))
    if (entry.name == name) return entry.tensor;
  fail("no parameter '{}'", name);
}

// nn.Kind(arguments).name
Tensor layer_parameter(const Call& layer, const std::string& name, Generator& generator) {
  auto integer = [&](std::size_t position, const std::string& argument, std::int64_t otherwise) {
    return static_cast<std::int64_t>(
        layer.number(position, argument, static_cast<double>(otherwise)));
  };
  auto bias = [&](std::size_t position) {
    const Value* const value = layer.find(position, "bias");
    return !value || (value->word != "False" && (value->word == "True" || value->number != 0));
  };
  if (layer.name == "Linear") {
    const std::int64_t in = integer(0, "in_features", 0), out = integer(1, "out_features", 0);
    return parameter(Linear({.in = in, .out = out, .bias = bias(2)}, generator), name);
  }
  if (layer.name == "Embedding") {
    const std::int64_t count = integer(0, "num_embeddings", 0);
    const std::int64_t width = integer(1, "embedding_dim", 0);
    return parameter(Embedding({.count = count, .width = width}, generator), name);
  }
  const bool transposed = layer.name == "ConvTranspose2d";
  check(transposed || layer.name == "Conv2d", "unknown layer nn.{}", layer.name);
  const ConvLayerOptions options{
      .in = integer(0, "in_channels", 0),
      .out = integer(1, "out_channels", 0),
      .kernel = pair_argument(layer, 2, "kernel_size", {1, 1}),
      .groups = integer(6, "groups", 1),
      .bias = bias(7),
  };
  return transposed ? parameter(ConvTranspose2d(options, generator), name)
                    : parameter(Conv2d(options, generator), name);
}

struct Drawn {
  Tensor tensor;
  bool normal = false;  // logarithm and sine are free to round; all else is exact
};

Drawn draw(const std::vector<Call>& calls, Generator& generator) {
  const Call& call = calls[0];
  if (calls.size() == 1) {
    if (call.name == "rand") return {generator.rand(shape_of(call), dtype_argument(call))};
    if (call.name == "randn") return {generator.randn(shape_of(call), dtype_argument(call)), true};
    if (call.name == "randperm") return {generator.randperm(call.arguments.at(0).integer())};
    if (call.name == "randint") {
      const std::size_t bounds = call.arguments.size() - 1;
      check(bounds == 1 || bounds == 2, "randint: needs high and size, or low, high and size");
      const std::int64_t low = bounds == 2 ? call.arguments[0].integer() : 0;
      return {generator.randint(low, call.arguments[bounds - 1].integer(),
                                Shape(call.arguments[bounds].integers()))};
    }
  }
  if (calls.size() == 3 && call.name == "nn")
    return {layer_parameter(calls[1], calls[2].name, generator), calls[1].name == "Embedding"};
  if (calls.size() == 2 && (call.name == "empty" || call.name == "zeros")) {
    const Shape shape = shape_of(call);
    const DType dtype = dtype_argument(call);
    const Call& fill = calls[1];
    if (fill.name == "uniform_")
      return {generator.uniform(fill.number(0, "from", 0), fill.number(1, "to", 1), shape, dtype)};
    if (fill.name == "normal_")
      return {generator.normal(fill.number(0, "mean", 0), fill.number(1, "std", 1), shape, dtype),
              true};
    if (fill.name == "bernoulli_")
      return {generator.bernoulli(fill.number(0, "p", 0.5), shape, dtype)};
  }
  fail("unknown call {}", calls.back().name);
}

}  // namespace

TEST_CASE("golden rng: PyTorch's stream, call by call") {
  const Golden golden("rng.safetensors");
  std::map<std::uint64_t, TorchGenerator> generators;
  for (const auto& entry : golden.cases) {
    const std::string name = entry.at("name"), text = entry.at("call");
    INFO(name << ": " << text);
    const std::size_t seed_at = text.find("manual_seed("), call_at = text.find(": ");
    if (seed_at == std::string::npos || call_at == std::string::npos) {
      FAIL_CHECK("cannot read the call");
      continue;
    }
    const std::uint64_t seed = std::stoull(text.substr(seed_at + 12));
    const Chain chain = Parser(std::string_view(text).substr(call_at + 2)).chain();
    Drawn drawn = draw(chain.calls, generators.try_emplace(seed, seed).first->second);
    if (chain.sliced) drawn.tensor = slice(drawn.tensor, 0, chain.start, chain.stop);
    const Tensor& expected = golden[name];
    CHECK(drawn.tensor.dtype() == expected.dtype());
    if (drawn.normal) {
      check_close(name, drawn.tensor, expected, 2e-6);
    } else {
      CHECK(drawn.tensor.shape() == expected.shape());
      CHECK(drawn.tensor.to_vector<double>() == expected.to_vector<double>());
    }
  }
}

}  // namespace ebb::test
