#include <doctest/doctest.h>
#include <ebb/apps/data/scenes.h>
#include <ebb/apps/evaluation/scene_judge.h>

#include <set>

using namespace ebb;
using namespace ebb::apps;

namespace {

Tensor drawn(const Scene& scene, std::int64_t size) {
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(size * size * 3));
  draw_scene(scene, size, pixels.data());
  std::vector<float> values;
  for (const std::uint8_t byte : pixels) values.push_back(to_float(byte));
  return Tensor::from(values).reshape({size, size, 3});
}

}  // namespace

TEST_CASE("scenes: the judge reads what was drawn, and nothing else passes for it") {
  for (const std::int64_t size : {32, 64})
    for (const SceneKind kind :
         {SceneKind::seen, SceneKind::unseen_thing, SceneKind::unseen_pair}) {
      int right = 0, mistaken = 0, others = 0;
      constexpr int count = 300;
      for (int i = 0; i < count; ++i) {
        const Scene scene = make_scene(7, static_cast<std::uint64_t>(i), kind);
        const SceneReading reading = read_scene(drawn(scene, size));
        right += judge_scene(scene, reading).whole;
        const Scene other = make_scene(8, static_cast<std::uint64_t>(i), kind);
        if (caption_of(other) == caption_of(scene)) continue;
        ++others;
        mistaken += judge_scene(other, reading).whole;
      }
      CAPTURE(size);
      CHECK(right >= 0.99 * count);
      // A scene may well be what another caption says: "a red circle" and "a large red circle".
      CHECK(mistaken <= 0.03 * others);
    }
}

TEST_CASE("scenes: what a verdict says of a scene that is nearly right") {
  Scene asked;
  asked.things = {{0, SceneShape::circle, -0.5, 0, 0.3}, {2, SceneShape::cross, 0.5, 0.1, 0.3}};
  asked.relation = SceneRelation::left_of;
  CHECK(caption_of(asked) == "a red circle left of a blue cross");
  CHECK(judge_scene(asked, read_scene(drawn(asked, 32))).whole);

  Scene swapped = asked;
  std::swap(swapped.things[0].shape, swapped.things[1].shape);
  SceneVerdict verdict = judge_scene(asked, read_scene(drawn(swapped, 32)));
  CHECK(verdict.colors);
  CHECK(verdict.shapes);
  CHECK(!verdict.things);

  Scene mirrored = asked;
  std::swap(mirrored.things[0].x, mirrored.things[1].x);
  verdict = judge_scene(asked, read_scene(drawn(mirrored, 32)));
  CHECK(verdict.things);
  CHECK(!verdict.relation);

  Scene more = asked;
  more.things.push_back({0, SceneShape::circle, 0, -0.7, 0.2});
  verdict = judge_scene(asked, read_scene(drawn(more, 32)));
  CHECK(!verdict.colors);

  Scene placed;
  placed.things = {{2, SceneShape::cross, -0.2, 0.6, 0.3}};
  for (const auto& [relation, words, right] :
       {std::tuple(SceneRelation::left_of, "a blue cross on the left", true),
        std::tuple(SceneRelation::right_of, "a blue cross on the right", false),
        std::tuple(SceneRelation::above, "a blue cross at the top", false),
        std::tuple(SceneRelation::below, "a blue cross at the bottom", true)}) {
    placed.relation = relation;
    CHECK(caption_of(placed) == words);
    CHECK(judge_scene(placed, read_scene(drawn(placed, 32))).whole == right);
  }

  Scene large;
  large.things = {{5, SceneShape::triangle, 0, 0, 0.55}};
  large.size = SceneSize::large;
  CHECK(judge_scene(large, read_scene(drawn(large, 32))).whole);
  large.size = SceneSize::small;
  verdict = judge_scene(large, read_scene(drawn(large, 32)));
  CHECK(verdict.relation);
  CHECK(!verdict.size);
}

TEST_CASE("scenes: nothing that is kept out occurs in training or in tests") {
  const Scenes train({.data = "scenes"}, Split::train), test({.data = "scenes"}, Split::test);
  std::set<std::string> captions;
  for (std::int64_t i = 0; i < 2000; ++i) {
    CHECK(kind_of(train.scene(i)) == SceneKind::seen);
    CHECK(kind_of(test.scene(i)) == SceneKind::seen);
    captions.insert(train.caption(i));
  }
  CHECK(captions.size() > 700);
  for (const char* never : {"red triangle", "green cross", "blue square", "yellow circle"})
    for (const std::string& caption : captions) CHECK(caption.find(never) == std::string::npos);
  CHECK(train.caption(5) == train.caption(5));
  CHECK(train.info().captions);
  CHECK(train.classes() == 0);
}
