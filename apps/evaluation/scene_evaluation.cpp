#include <ebb/apps/evaluation/scene_evaluation.h>
#include <ebb/apps/evaluation/scene_judge.h>
#include <ebb/apps/images/grid.h>
#include <ebb/apps/system/console.h>
#include <ebb/apps/system/progress.h>
#include <ebb/diffusion/metrics/metrics.h>
#include <ebb/tensor/io/atomic_file.h>
#include <ebb/tensor/ops/layout.h>
#include <ebb/tensor/ops/pointwise.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

namespace ebb::apps {
namespace {

struct KindName {
  SceneKind kind;
  const char* name;
};
constexpr std::array<KindName, 3> scene_kinds{{{SceneKind::seen, "seen in training"},
                                               {SceneKind::unseen_thing, "things never seen"},
                                               {SceneKind::unseen_pair, "pairs never seen"}}};

constexpr std::int64_t compared_with = 2000;

// Standard deviations of x, y and radius, summed.
double spread(const std::vector<SceneThing>& things) {
  double total = 0;
  const auto n = static_cast<double>(things.size());
  for (const auto of : {&SceneThing::x, &SceneThing::y, &SceneThing::radius}) {
    double sum = 0, squares = 0;
    for (const SceneThing& thing : things) {
      sum += thing.*of;
      squares += thing.*of * thing.*of;
    }
    total += std::sqrt(std::max(0.0, squares / n - sum * sum / (n * n)));
  }
  return total;
}

struct Column {
  const char* name;
  double SceneShares::*value;
};
constexpr std::array columns{Column{"colours", &SceneShares::colors},
                             Column{"shapes", &SceneShares::shapes},
                             Column{"things", &SceneShares::things},
                             Column{"relation", &SceneShares::relation},
                             Column{"whole", &SceneShares::whole},
                             Column{"one", &SceneShares::one},
                             Column{"alike", &SceneShares::alike},
                             Column{"related", &SceneShares::related},
                             Column{"three", &SceneShares::three},
                             Column{"clean", &SceneShares::clean},
                             Column{"diverse", &SceneShares::diversity},
                             Column{"things*", &SceneShares::classified_things},
                             Column{"whole*", &SceneShares::classified_whole},
                             Column{"frechet", &SceneShares::frechet_distance}};

void print_head() {
  print("{:<34}", "share of samples right");
  for (const Column& column : columns) print("{:>9}", column.name);
  print("\n");
}

void print_shares(const std::string& name, const SceneShares& shares) {
  print("{:<34}", name);
  for (const Column& column : columns) print("{:>9.3f}", shares.*column.value);
  print("\n");
  flush_out();
}

// Which of the shares of whole scenes a scene counts in.
double SceneShares::*sort_of(const Scene& scene) {
  if (scene.things.size() == 1) return &SceneShares::one;
  if (scene.relation != SceneRelation::none) return &SceneShares::related;
  const bool alike =
      std::all_of(scene.things.begin(), scene.things.end(),
                  [&](const SceneThing& thing) { return thing.kind() == scene.things[0].kind(); });
  return alike ? &SceneShares::alike : &SceneShares::three;
}

Tensor draw_asked(const Model& model, const RunConfig& config, SampleRequest request,
                  const std::vector<Scene>& asked) {
  request.prompts.clear();
  for (const Scene& scene : asked) request.prompts.push_back(caption_of(scene));
  Progress progress("sample", "images");
  return draw_samples(model, config, request, [&](const SamplingView& view) {
    if (interrupted()) throw Cancelled();
    const double in_batch = static_cast<double>(view.step.step + 1) / view.step.steps;
    const auto batch = static_cast<double>(view.step.x.size(0));
    progress.update((static_cast<double>(view.first) + in_batch * batch) / view.count,
                    view.first + static_cast<std::int64_t>(in_batch * batch));
  });
}

}  // namespace

nlohmann::json to_json(const SceneShares& shares) {
  nlohmann::json json;
  for (const Column& column : columns) json[column.name] = shares.*column.value;
  return json;
}

std::vector<Scene> asked_scenes(SceneKind kind, std::int64_t count) {
  std::vector<Scene> scenes;
  for (std::int64_t i = 0; i < count; ++i)
    scenes.push_back(make_scene(scene_asked, static_cast<std::uint64_t>(i), kind));
  return scenes;
}

SceneShares judge_scenes(const std::vector<Scene>& asked, const Tensor& images,
                         const SceneClassifier& classifier) {
  check(images.size(0) == std::ssize(asked), "scene judge: {} images for {} scenes", images.size(0),
        asked.size());
  SceneShares sums;
  std::vector<SceneThing> alone, drawn_alone;
  SceneShares asked_of_sort;
  for (std::int64_t i = 0; i < images.size(0); ++i) {
    const Scene& scene = asked[static_cast<std::size_t>(i)];
    const SceneReading reading = read_scene(select(images, 0, i));
    const SceneVerdict verdict = judge_scene(scene, reading);
    sums.colors += verdict.colors;
    sums.shapes += verdict.shapes;
    sums.things += verdict.things;
    sums.relation += verdict.relation;
    sums.whole += verdict.whole;
    sums.clean += verdict.clean;
    sums.*sort_of(scene) += verdict.whole;
    ++(asked_of_sort.*sort_of(scene));
    if (scene.things.size() != 1 || scene.size != SceneSize::unsaid || !verdict.things) continue;
    alone.push_back(reading.things[0]);
    drawn_alone.push_back(scene.things[0]);
  }
  if (alone.size() > 1) sums.diversity = spread(alone) / spread(drawn_alone);
  for (const auto share : {&SceneShares::colors, &SceneShares::shapes, &SceneShares::things,
                           &SceneShares::relation, &SceneShares::whole, &SceneShares::clean})
    sums.*share /= static_cast<double>(asked.size());
  for (const auto share :
       {&SceneShares::one, &SceneShares::alike, &SceneShares::related, &SceneShares::three})
    sums.*share /= std::max(1.0, asked_of_sort.*share);
  const Tensor clean = clamp(images, -1, 1);
  for (const SceneOpinion& opinion : classifier.judge(asked, clean)) {
    sums.classified_things += opinion.things / static_cast<double>(asked.size());
    sums.classified_whole += opinion.whole / static_cast<double>(asked.size());
  }
  std::vector<Scene> others;
  for (std::int64_t i = 0; i < compared_with; ++i)
    others.push_back(make_scene(scene_test, static_cast<std::uint64_t>(i), kind_of(asked[0])));
  sums.frechet_distance = frechet_distance(
      classifier.features(clean), classifier.features(drawn_scenes(others, images.size(1))));
  return sums;
}

void evaluate_scenes(const SceneSweep& sweep, const Model& model, const RunConfig& config,
                     SampleRequest request, const FeatureClassifierOptions& judge,
                     nlohmann::json head, const std::string& out) {
  check_usage(sweep.over != "checkpoints",
              "--sweep checkpoints: of scenes there are guidance and steps; give --checkpoint");
  check_usage(
      sweep.over != "guidance" || !config.student,
      "--sweep guidance: a student knows the guidance that it was taught alone; sweep steps");
  std::vector<double> values = sweep.values;
  if (values.empty() && sweep.over == "guidance") values = {1, 1.5, 2, 3, 5, 8};
  if (values.empty() && sweep.over == "steps") values = {50, 20, 10, 4, 2, 1};
  if (sweep.over.empty()) values = {request.guidance};
  const SceneClassifier classifier(config.image.width, judge);
  print_head();
  std::vector<Tensor> shown_rows;
  head["rows"] = nlohmann::json::array();
  for (const auto& [kind, name] : scene_kinds) {
    const std::vector<Scene> asked = asked_scenes(kind, request.count);
    const SceneShares ceiling =
        judge_scenes(asked, drawn_scenes(asked, config.image.width), classifier);
    print_shares(fmt::format("{}: as drawn", name), ceiling);
    head["rows"].push_back({{"scenes", name}, {"drawn", true}, {"shares", to_json(ceiling)}});
    for (const double value : values) {
      if (sweep.over == "steps")
        request.steps = static_cast<std::int64_t>(value);
      else
        request.guidance = value;
      const Tensor images = draw_asked(model, config, request, asked);
      const SceneShares shares = judge_scenes(asked, images, classifier);
      print_shares(fmt::format("  guidance {}, {} steps", request.guidance, request.steps), shares);
      head["rows"].push_back({{"scenes", name},
                              {"guidance", request.guidance},
                              {"steps", request.steps},
                              {"shares", to_json(shares)}});
      if (value == values.front())
        shown_rows.push_back(slice(images, 0, 0, std::min<std::int64_t>(20, request.count)));
    }
  }
  const std::string picture = std::filesystem::path(out).replace_extension(".png").string();
  write_grid(picture, clip_x0(cat(shown_rows, 0), {Clip::Kind::range}), {.columns = 20});
  write_file(out, head.dump(2) + "\n");
  print("* by a network that was trained on scenes\n{}\n{}\n", out, picture);
}

}  // namespace ebb::apps
