// The architecture itself is held to PyTorch by tests/interop/unet2d.py.
#include <doctest/doctest.h>
#include <ebb/autograd/ops.h>
#include <ebb/diffusion/models/time_embedding.h>
#include <ebb/diffusion/models/unet2d.h>
#include <ebb/tensor/ops/layout.h>
#include <ebb/tensor/ops/pointwise.h>

#include <cmath>

namespace {

using namespace ebb;

Tensor images(std::int64_t count, std::int64_t size, std::int64_t channels) {
  return philox_normal({count, size, size, channels}, {4, Purpose::other});
}

UNet2D build(const UNet2DConfig& config) {
  PhiloxGenerator generator(2);
  return UNet2D(config, generator);
}

}  // namespace

TEST_SUITE("unet2d") {
  TEST_CASE("timestep_embedding: the sines and cosines, both orders, odd widths") {
    const Tensor t = Tensor::from<float>({0, 2.5f, 100});
    const Tensor plain = timestep_embedding(t, 7, {.flip_sin_to_cos = false, .freq_shift = 1});
    const Tensor flipped = timestep_embedding(t, 7, {.flip_sin_to_cos = true, .freq_shift = 1});
    CHECK(plain.shape() == Shape{3, 7});
    const std::vector<double> times{0, 2.5, 100};
    for (std::size_t n = 0; n < 3; ++n)
      for (std::size_t i = 0; i < 3; ++i) {
        const double angle = times[n] * std::pow(10000.0, -static_cast<double>(i) / 2);
        CHECK(plain.to_vector<double>()[7 * n + i] ==
              doctest::Approx(std::sin(angle)).epsilon(1e-5));
        CHECK(plain.to_vector<double>()[7 * n + 3 + i] ==
              doctest::Approx(std::cos(angle)).epsilon(1e-5));
        CHECK(flipped.to_vector<double>()[7 * n + 3 + i] == plain.to_vector<double>()[7 * n + i]);
      }
    CHECK(plain.to_vector<double>()[13] == 0);
    CHECK_THROWS_AS(timestep_embedding(t, 2, {.freq_shift = 1}), Error);
  }

  TEST_CASE("a sample's bits do not depend on its batch") {
    const UNet2D model = build(unet2d_preset("small", 1, 10));
    const NoGrad no_grad;
    const Tensor x = images(5, 28, 1), t = Tensor::from<float>({1, 200, 999, 0.5f, 30});
    const Tensor labels = Tensor::from<std::int64_t>({0, 9, 10, 3, 3});
    const Tensor all = model(x, t, labels).value();
    for (std::int64_t i = 0; i < 5; ++i) {
      const Tensor alone =
          model(slice(x, 0, i, i + 1), slice(t, 0, i, i + 1), slice(labels, 0, i, i + 1)).value();
      CHECK(relative_error(alone, slice(all, 0, i, i + 1)) == 0);
    }
  }

  TEST_CASE("no labels means the null class") {
    const UNet2D model = build(unet2d_preset("tiny", 3, 4));
    CHECK(model.num_classes() == 4);
    const Tensor x = images(2, 8, 3), t = Tensor::from<float>({5, 6});
    const Tensor null_labels = Tensor::from<std::int64_t>({4, 4});
    CHECK(relative_error(model(x, t, {}).value(), model(x, t, null_labels).value()) == 0);
    CHECK(relative_error(model(x, t, {}).value(),
                         model(x, t, Tensor::from<std::int64_t>({0, 1})).value()) > 1e-3);
  }

  TEST_CASE("every preset runs at its sizes and gives the images' shape") {
    for (const char* name : {"tiny", "small", "medium"}) {
      UNet2D model = build(unet2d_preset(name, 3, 0));
      const NoGrad no_grad;
      CHECK(model(images(1, 32, 3), Tensor::from<float>({3}), {}).shape() == Shape{1, 32, 32, 3});
    }
    CHECK_THROWS_WITH_AS(unet2d_preset("huge", 3, 0), doctest::Contains("tiny, small"), Error);
  }

  TEST_CASE("after zero_last_layers the network says zero and every layer can still learn") {
    UNet2D model = build(unet2d_preset("tiny", 1, 2));
    model.zero_last_layers();
    const Tensor x = images(2, 8, 1), t = Tensor::from<float>({5, 600});
    const Variable y = model(x, t, Tensor::from<std::int64_t>({0, 1}));
    CHECK(sum(abs(y)).item() == 0);
    sum(mul(y, Variable(x))).backward();
    for (const NamedParameter& p : named_parameters(model))
      if (p.name.starts_with("conv_out")) CHECK(sum(abs(p.variable.grad())).item() > 0);
  }

  TEST_CASE("old names of attention weights are understood") {
    const Tensor one = Tensor::ones({1});
    const std::vector<NamedTensor> renamed =
        modern_names({{"mid_block.attentions.0.query.weight", one},
                      {"mid_block.attentions.0.proj_attn.bias", one},
                      {"conv_in.weight", one}});
    CHECK(renamed[0].name == "mid_block.attentions.0.to_q.weight");
    CHECK(renamed[1].name == "mid_block.attentions.0.to_out.0.bias");
    CHECK(renamed[2].name == "conv_in.weight");
  }

  TEST_CASE("what cannot be built or run says why") {
    const auto refused = [](const char* why, auto change) {
      UNet2DConfig config = unet2d_preset("small", 1, 10);
      change(config);
      CHECK_THROWS_WITH_AS(check_config(config), doctest::Contains(why), Error);
    };
    refused("levels", [](UNet2DConfig& c) { c.block_out_channels.clear(); });
    refused("same number", [](UNet2DConfig& c) { c.up_block_types.pop_back(); });
    refused("norm_num_groups", [](UNet2DConfig& c) { c.norm_num_groups = 5; });
    refused("attention_head_dim", [](UNet2DConfig& c) { c.attention_head_dim = 65; });
    refused("layers_per_block", [](UNet2DConfig& c) { c.layers_per_block = 0; });
    refused("act_fn", [](UNet2DConfig& c) { c.act_fn = "tanh"; });
    refused("patch_size", [](UNet2DConfig& c) { c.patch_size = 3; });
    refused("null class", [](UNet2DConfig& c) { c.num_class_embeds = 1; });
    CHECK_THROWS_WITH_AS(level_type("SkipDownBlock2D"), doctest::Contains("AttnDownBlock2D"),
                         Error);

    const UNet2D model = build(unet2d_preset("tiny", 1, 2));
    const Tensor t = Tensor::from<float>({1, 2});
    CHECK_THROWS_WITH_AS(model(images(2, 6, 1), t, {}), doctest::Contains("multiples of 4"), Error);
    CHECK_THROWS_AS(model(images(2, 8, 3), t, {}), Error);
    CHECK_THROWS_AS(model(images(3, 8, 1), t, {}), Error);
    CHECK_THROWS_AS(model(images(2, 8, 1), t, Tensor::from<std::int64_t>({0, 3})), Error);
    CHECK_THROWS_AS(model(images(2, 8, 1), t, Tensor::from<std::int64_t>({0, -1})), Error);
    CHECK_THROWS_AS(model(images(2, 8, 1), t, Tensor::from<std::int64_t>({0})), Error);
  }

  TEST_CASE("a residual block without a time is one whose time says nothing") {
    PhiloxGenerator generator(2), again(2);
    const BlockOptions options{0, 2, 1e-6, false, "silu", &generator};
    ResnetBlock2D without(4, 6, options);
    CHECK(named_parameters(without).size() == 10);
    const Variable x(images(2, 5, 4));
    BlockOptions timed = options;
    timed.time_channels = 8;
    timed.generator = &again;
    ResnetBlock2D with(4, 6, timed);
    std::vector<NamedTensor> weights = state_dict(without);
    for (const char* name : {"time_emb_proj.weight", "time_emb_proj.bias"})
      for (const NamedTensor& t : state_dict(with))
        if (t.name == name) weights.push_back({name, Tensor::zeros(t.tensor.shape())});
    load_state_dict(with, weights);
    CHECK(relative_error(with(x, Tensor::ones({2, 8})).value(), without(x).value()) < 1e-6);
    CHECK_THROWS_WITH(with(x), doctest::Contains("it has a time, it was given none"));
    CHECK_THROWS_WITH(without(x, Tensor::ones({2, 8})), doctest::Contains("it has no time"));
  }
}
