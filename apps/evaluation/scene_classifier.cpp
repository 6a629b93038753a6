#include <ebb/apps/evaluation/kept_judge.h>
#include <ebb/apps/evaluation/scene_classifier.h>
#include <ebb/apps/system/content_hash.h>
#include <ebb/apps/system/progress.h>
#include <ebb/autograd/ops.h>
#include <ebb/nn/training/trainer.h>

#include <algorithm>

namespace ebb::apps {
namespace {

constexpr std::int64_t thing_kinds = std::ssize(scene_colors) * std::ssize(scene_shapes);
constexpr std::int64_t most_alike = 3, count_values = most_alike + 1, relations = 4;
constexpr std::int64_t scene_batch = 128, look_at_once = 256, least_size = 4;
constexpr std::uint64_t judge_seed = 1, judge_stream = 3;

std::vector<std::int64_t> counts_of(const Scene& scene) {
  std::vector<std::int64_t> result(thing_kinds);
  for (const SceneThing& thing : scene.things) ++result[static_cast<std::size_t>(thing.kind())];
  return result;
}

// Of the thing of lower kind to the other; of two alike, left or above; of one, as it is said.
std::int64_t relation_of(const Scene& scene) {
  const int first = scene.things.front().kind(), second = scene.things.back().kind();
  const bool mirrored = is_mirrored(scene.relation);
  const bool after =
      scene.things.size() == 1 ? mirrored : first != second && mirrored != (first > second);
  return (is_horizontal(scene.relation) ? 0 : 2) + (after ? 1 : 0);
}

Scene scene_of_any_kind(std::int64_t index) {
  constexpr std::array<SceneKind, 3> all{SceneKind::seen, SceneKind::unseen_thing,
                                         SceneKind::unseen_pair};
  const auto i = static_cast<std::uint64_t>(index);
  return make_scene(judge_stream, i, all[i % all.size()]);
}

// Rows of the scenes whose relation is said.
std::vector<std::int64_t> related_rows(const std::vector<Scene>& scenes) {
  std::vector<std::int64_t> rows;
  for (std::int64_t i = 0; i < std::ssize(scenes); ++i)
    if (scenes[static_cast<std::size_t>(i)].relation != SceneRelation::none) rows.push_back(i);
  return rows;
}

Variable loss_of(const SceneNetwork& network, const std::vector<Scene>& scenes,
                 const Tensor& images) {
  std::vector<std::int64_t> wanted, wanted_relations;
  for (const Scene& scene : scenes) {
    const std::vector<std::int64_t> found = counts_of(scene);
    wanted.insert(wanted.end(), found.begin(), found.end());
    if (scene.relation != SceneRelation::none) wanted_relations.push_back(relation_of(scene));
  }
  const Variable logits = network.logits(network.features(images));
  const Variable counted =
      reshape(slice(logits, 1, 0, thing_kinds * count_values), {-1, count_values});
  const Variable loss =
      static_cast<double>(thing_kinds) * cross_entropy(counted, Tensor::from(wanted));
  if (wanted_relations.empty()) return loss;
  const Variable placed = index_select(
      slice(logits, 1, thing_kinds * count_values, thing_kinds * count_values + relations), 0,
      Tensor::from(related_rows(scenes)));
  return loss + cross_entropy(placed, Tensor::from(wanted_relations));
}

void train(SceneNetwork& network, std::int64_t size, std::int64_t steps) {
  const auto scenes_at = [](std::int64_t step) {
    std::vector<Scene> scenes;
    for (std::int64_t i = 0; i < scene_batch; ++i)
      scenes.push_back(scene_of_any_kind(step * scene_batch + i));
    return scenes;
  };
  std::vector<Scene> scenes;
  Trainer trainer(
      named_parameters(network),
      [&](const Batch& batch, const StepDraws&) { return loss_of(network, scenes, batch.images); },
      {.seed = judge_seed});
  Progress progress("classifier of scenes", "images");
  for (std::int64_t step = 0; step < steps; ++step) {
    const double done = static_cast<double>(step) / static_cast<double>(steps);
    scenes = scenes_at(step);
    const StepReport report = trainer.step({drawn_scenes(scenes, size), {}}, done);
    progress.update(done, step * scene_batch, fmt::format("loss {:.4f}", report.loss));
  }
}

}  // namespace

SceneNetwork::SceneNetwork(std::int64_t size, Generator& generator)
    : hidden({.in = 1, .out = 1}, generator), head({.in = 1, .out = 1}, generator) {
  std::int64_t channels = 3, width = 32;
  for (; size > least_size; size = (size + 1) / 2) {
    convs.emplace_back(
        Conv2d::Options{.in = channels, .out = width, .stride = {2, 2}, .padding = {1, 1}},
        generator);
    norms.push_back(GroupNorm({.groups = 8, .channels = width}));
    channels = width;
    width = std::min<std::int64_t>(128, 2 * width);
  }
  hidden = Linear({.in = channels * size * size, .out = 128}, generator);
  head = Linear({.in = 128, .out = thing_kinds * count_values + relations}, generator);
}

Variable SceneNetwork::features(const Variable& images) const {
  Variable h = images;
  for (std::size_t i = 0; i < convs.size(); ++i) h = norms[i](convs[i](h), /*silu=*/true);
  return silu(hidden(reshape(h, {h.size(0), -1})));
}

Variable SceneNetwork::logits(const Variable& features) const { return head(features); }

void SceneNetwork::visit(Visitor& v) {
  v("convs", convs);
  v("norms", norms);
  v("hidden", hidden);
  v("head", head);
}

SceneClassifier::SceneClassifier(std::int64_t size, const FeatureClassifierOptions& options)
    : network_([&] {
        PhiloxGenerator generator(judge_seed);
        return SceneNetwork(size, generator);
      }()) {
  const std::string file = fmt::format("{}/scenes-{}x{}.safetensors", options.cache, size, size);
  // Scenes are a formula, which may change.
  std::vector<Scene> some;
  for (std::int64_t i = 0; i < look_at_once; ++i) some.push_back(scene_of_any_kind(i));
  const std::int64_t steps = options.steps > 0 ? options.steps : usual_judge_steps;
  const std::string wanted = fmt::format("scenes {} {} {}", size, steps,
                                         content_hash({{"some", drawn_scenes(some, size)}}));
  if (load_judge(state_dict(network_), file, wanted)) return;
  train(network_, size, steps);
  save_judge(state_dict(network_), file, wanted);
}

Tensor SceneClassifier::features(const Tensor& images) const {
  const NoGrad no_grad;
  std::vector<Tensor> parts;
  for (std::int64_t first = 0; first < images.size(0); first += look_at_once)
    parts.push_back(network_.features(slice(images, 0, first, first + look_at_once)).value());
  return cat(parts, 0);
}

std::vector<SceneOpinion> SceneClassifier::judge(const std::vector<Scene>& asked,
                                                 const Tensor& images) const {
  const NoGrad no_grad;
  const Tensor logits = network_.logits(features(images)).value();
  const auto counted =
      argmax(
          slice(logits, 1, 0, thing_kinds * count_values).reshape({-1, thing_kinds, count_values}),
          2)
          .to_vector<std::int64_t>();
  const auto placed =
      argmax(slice(logits, 1, thing_kinds * count_values, thing_kinds * count_values + relations),
             1)
          .to_vector<std::int64_t>();
  std::vector<SceneOpinion> opinions;
  for (std::size_t i = 0; i < asked.size(); ++i) {
    const auto first = counted.begin() + static_cast<std::ptrdiff_t>(i) * thing_kinds;
    const std::vector<std::int64_t> wanted = counts_of(asked[i]);
    const bool things = std::equal(wanted.begin(), wanted.end(), first);
    const bool unsaid = asked[i].relation == SceneRelation::none;
    opinions.push_back({things, things && (unsaid || placed[i] == relation_of(asked[i]))});
  }
  return opinions;
}

Tensor drawn_scenes(const std::vector<Scene>& scenes, std::int64_t size) {
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(size * size * 3));
  std::vector<float> values;
  values.reserve(scenes.size() * pixels.size());
  for (const Scene& scene : scenes) {
    draw_scene(scene, size, pixels.data());
    for (const std::uint8_t byte : pixels) values.push_back(to_float(byte));
  }
  return Tensor::from(values).reshape({std::ssize(scenes), size, size, 3});
}

}  // namespace ebb::apps
