#include <doctest/doctest.h>
#include <ebb/nn/layers/layers.h>
#include <ebb/nn/module.h>

namespace {

using namespace ebb;

struct Inner {
  Variable weight{Tensor::ones({2, 3}), true};
  Variable bias;  // absent
  void visit(Visitor& v) {
    v("weight", weight);
    v("bias", bias);
  }
};

struct Outer {
  std::vector<Inner> blocks{Inner(), Inner()};
  std::optional<Inner> skip, absent;
  BatchNorm2d norm{{.channels = 2}};
  void visit(Visitor& v) {
    v("blocks", blocks);
    v("skip", skip);
    v("absent", absent);
    v("norm", norm);
  }
};

TEST_SUITE("module") {
  TEST_CASE("names are joined by dots, absent members are passed over") {
    Outer net;
    net.skip.emplace();
    std::string names;
    for (const NamedTensor& t : state_dict(net)) names += t.name + " ";
    CHECK(names ==
          "blocks.0.weight blocks.1.weight skip.weight norm.weight norm.bias norm.running_mean "
          "norm.running_var norm.num_batches_tracked ");
    CHECK(named_parameters(net).size() == 5);
    CHECK(parameter_count(net) == 3 * 6 + 4);
    CHECK(summary(state_dict(net)).find("blocks.1.weight           (2, 3)             6\n") !=
          std::string::npos);
    CHECK(summary(state_dict(net)).find("27\n") != std::string::npos);
  }

  TEST_CASE("training, type and device reach every module") {
    Outer net;
    set_training(net, false);
    CHECK_FALSE(net.norm.training);
    convert_to(net, DType::float64);
    CHECK(net.blocks[1].weight.dtype() == DType::float64);
    CHECK(net.norm.running_var.dtype() == DType::float64);
    CHECK(net.norm.num_batches_tracked.dtype() == DType::int64);
    move_to(net, Device::test);
    CHECK(net.blocks[0].weight.device() == Device::test);
    CHECK(net.norm.num_batches_tracked.device() == Device::test);
  }

  TEST_CASE("load_state_dict copies by name, or changes nothing and says why") {
    Outer net, other;
    for (NamedTensor& t : state_dict(other)) t.tensor.fill_(3);
    std::vector<NamedTensor> state = state_dict(other);
    std::swap(state[0], state[3]);
    state[1].tensor = state[1].tensor.to(DType::float64);
    load_state_dict(net, state);
    for (const NamedTensor& t : state_dict(net))
      for (const double value : t.tensor.to_vector<double>()) CHECK(value == 3);

    const auto error_of = [&](std::vector<NamedTensor> given) {
      for (NamedTensor& t : given) t.tensor = Tensor::full(t.tensor.shape(), 4);
      try {
        load_state_dict(net, given);
      } catch (const Error& e) {
        CHECK(net.blocks[0].weight.value().to_vector<float>()[0] == 3);
        return std::string(e.what());
      }
      return std::string("no error");
    };
    std::vector<NamedTensor> wrong = state_dict(other);
    wrong.pop_back();
    CHECK(error_of(wrong).find(R"("norm.num_batches_tracked" () is missing)") != std::string::npos);
    wrong = state_dict(other);
    wrong.push_back({"extra", Tensor::ones({1})});
    CHECK(error_of(wrong).find(R"(the model has no "extra")") != std::string::npos);
    wrong = state_dict(other);
    wrong.push_back(wrong[0]);
    CHECK(error_of(wrong).find("given twice") != std::string::npos);
    wrong = state_dict(other);
    wrong[1].tensor = Tensor::ones({3, 2});
    CHECK(error_of(wrong).find("(2, 3) in the model and (3, 2) in the file") != std::string::npos);
  }
}

}  // namespace
