// The second half of the tutorial, each part of it for a step or two.
#include <doctest/doctest.h>
#include <ebb/apps/tutorial/second_part.h>
#include <tests/temporary_folder.h>

#include <filesystem>

namespace ebb::test {

TEST_CASE("tutorial, part 2: every picture and figure, runs that are there are taken") {
  const TemporaryFolder folder;
  apps::SecondPart part{.out = folder / "out",
                        .minutes = 0.001,
                        .judged = 4,
                        .steps = 2,
                        .judge = {folder / "cache", 2}};
  std::filesystem::create_directory(part.out);
  apps::second_part(part);
  for (const char* name : {"reconstructions.png", "reconstructions.json", "latents.png",
                           "prompts.png", "words.png", "scenes.png", "scenes.json", "steps.png"})
    CHECK_MESSAGE(std::filesystem::exists(part.out + "/" + name), name);
  const auto written = std::filesystem::last_write_time(part.out + "/text/config.json");
  std::filesystem::remove(part.out + "/words.png");
  apps::second_part(part);
  CHECK(std::filesystem::exists(part.out + "/words.png"));
  CHECK(std::filesystem::last_write_time(part.out + "/text/config.json") == written);
}

}  // namespace ebb::test
