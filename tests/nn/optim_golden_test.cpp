// Twenty steps of each optimizer against PyTorch's, in float64. The name of a case says it all:
// adam_lr1e-2_betas0.8_0.95_eps1e-6_wd0.1_clip0.5_cosine_annealing_tmax20.
#include <ebb/autograd/ops.h>
#include <ebb/nn/optim/learning_rate.h>
#include <ebb/nn/optim/optimizer.h>

#include <charconv>
#include <memory>
#include <optional>

#include "tests/golden.h"

namespace {

using namespace ebb;
using ebb::test::Golden;

struct Recipe {
  std::string optimizer;
  double learning_rate = 1e-3, momentum = 0, dampening = 0, eps = 1e-8;
  double beta1 = 0.9, beta2 = 0.999;
  std::optional<double> weight_decay, clip;
  bool nesterov = false, amsgrad = false;
  std::int64_t cosine_steps = 0;  // 0: constant
  double cosine_last = 0;         // learning rate
};

// Reads the number at the start of `text`, all of it; else throws.
double number(const std::string& name, std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    throw Error("case " + name + ": '" + std::string(text) + "' is no number");
  return value;
}

Recipe parse(const std::string& name) {
  Recipe r;
  std::vector<std::string> words;
  for (std::size_t at = 0; at <= name.size();) {
    const std::size_t end = std::min(name.find('_', at), name.size());
    words.push_back(name.substr(at, end - at));
    at = end + 1;
  }
  r.optimizer = words[0];
  for (std::size_t i = 1; i < words.size(); ++i) {
    const std::string& word = words[i];
    const auto value_of = [&](std::string_view key) -> std::optional<double> {
      if (!word.starts_with(key) || word.size() == key.size()) return std::nullopt;
      if (!std::isdigit(static_cast<unsigned char>(word[key.size()])) && word[key.size()] != '.')
        return std::nullopt;
      return number(name, std::string_view(word).substr(key.size()));
    };
    if (word == "nesterov")
      r.nesterov = true;
    else if (word == "amsgrad")
      r.amsgrad = true;
    else if (word == "cosine" || word == "annealing")
      r.cosine_steps += word == "cosine";
    else if (const auto v = value_of("lr"))
      r.learning_rate = *v;
    else if (const auto v = value_of("momentum"))
      r.momentum = *v;
    else if (const auto v = value_of("dampening"))
      r.dampening = *v;
    else if (const auto v = value_of("eps"))
      r.eps = *v;
    else if (const auto v = value_of("wd"))
      r.weight_decay = *v;
    else if (const auto v = value_of("clip"))
      r.clip = *v;
    else if (const auto v = value_of("tmax"))
      r.cosine_steps = static_cast<std::int64_t>(*v);
    else if (const auto v = value_of("etamin"))
      r.cosine_last = *v;
    else if (const auto v = value_of("betas"); v && i + 1 < words.size()) {
      r.beta1 = *v;
      r.beta2 = number(name, words[++i]);
    } else {
      throw Error("case " + name + ": unknown word '" + word + "'");
    }
  }
  return r;
}

std::unique_ptr<Optimizer> make(const Recipe& r, std::vector<NamedParameter> parameters) {
  if (r.optimizer == "sgd")
    return std::make_unique<Sgd>(std::move(parameters),
                                 Sgd::Options{.learning_rate = r.learning_rate,
                                              .momentum = r.momentum,
                                              .dampening = r.dampening,
                                              .weight_decay = r.weight_decay.value_or(0),
                                              .nesterov = r.nesterov});
  const Adam::Options adam{.learning_rate = r.learning_rate,
                           .beta1 = r.beta1,
                           .beta2 = r.beta2,
                           .eps = r.eps,
                           .weight_decay = r.weight_decay.value_or(0),
                           .amsgrad = r.amsgrad};
  if (r.optimizer == "adam") return std::make_unique<Adam>(std::move(parameters), adam);
  if (r.optimizer != "adamw") throw Error("no optimizer named '" + r.optimizer + "'");
  AdamW::Options adamw{.learning_rate = r.learning_rate,
                       .beta1 = r.beta1,
                       .beta2 = r.beta2,
                       .eps = r.eps,
                       .amsgrad = r.amsgrad};
  if (r.weight_decay) adamw.weight_decay = *r.weight_decay;
  return std::make_unique<AdamW>(std::move(parameters), adamw);
}

TEST_SUITE("optim golden") {
  TEST_CASE("every trajectory is PyTorch's") {
    const Golden golden("optim.safetensors");
    for (const auto& c : golden.cases) {
      const std::string name = c["name"];
      CAPTURE(name);
      REQUIRE(c["loss"] == "mean((p0@m-p1)^2) + 0.1*sum(sin(p0))");
      Recipe recipe = parse(name);
      if (!c["clip_grad_norm"].is_null()) recipe.clip = c["clip_grad_norm"].get<double>();
      const Variable p0(golden[name + "/p0"].clone(), true), p1(golden[name + "/p1"].clone(), true);
      const Variable m(golden[name + "/m"]);
      const auto optimizer = make(recipe, {{"p0", p0}, {"p1", p1}});
      for (int step = 0; step < c["steps"]; ++step) {
        if (recipe.cosine_steps > 0)
          optimizer->set_learning_rate(recipe.learning_rate *
                                       cosine_annealing(step, recipe.cosine_steps,
                                                        recipe.cosine_last / recipe.learning_rate));
        optimizer->zero_grad();
        const Variable loss = mean(square(matmul(p0, m) - p1)) + sum(sin(p0)) * 0.1;
        loss.backward();
        double scale = 1;
        if (recipe.clip) scale = clip_scale(grad_norm(optimizer->parameters()), *recipe.clip);
        optimizer->step({.grad_scale = scale});
        const std::string at = fmt::format("{}/step{:02}", name, step);
        ebb::test::check_close(at + "/p0", p0.value(), golden[at + "/p0"], 1e-12);
        ebb::test::check_close(at + "/p1", p1.value(), golden[at + "/p1"], 1e-12);
      }
    }
  }

  TEST_CASE("a name that cannot be read is a failure, not a pass") {
    CHECK_THROWS_AS(parse("adam_lr1e-2_lookahead5"), Error);
    CHECK_THROWS_AS(parse("adam_lr1e-2x"), Error);
    CHECK_THROWS_AS(make(parse("lion_lr1"), {}), Error);
    CHECK(parse("adam_lr1e-2_betas0.8_0.95_wd0.1").beta2 == 0.95);
  }
}

}  // namespace
