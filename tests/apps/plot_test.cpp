// Pictures by gnuplot: nothing from outside is understood by it.
#include <doctest/doctest.h>
#include <ebb/apps/images/png.h>
#include <ebb/apps/plots/gnuplot.h>
#include <tests/apps/program.h>
#include <tests/temporary_folder.h>

#include <cstdlib>
#include <filesystem>

namespace ebb::test::plots {

namespace fs = std::filesystem;

std::vector<apps::Plot> one_plot(const std::string& text) {
  return {{.title = text,
           .x_label = text,
           .y_label = text,
           .curves = {{.label = text, .x = {0, 1}, .y = {1, 2}}}}};
}

std::size_t names_in(const fs::path& folder) {
  return static_cast<std::size_t>(
      std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

TEST_CASE("plots: every byte may stand in a title, a label or a name") {
  const TemporaryFolder folder;
  const std::string victim = folder / "victim";
  const std::vector<std::string> wild{"`touch " + victim + "`",
                                      "$(touch " + victim + ")",
                                      "\"; system(\"touch " + victim + "\"); \"",
                                      "'; system('touch " + victim + "'); '",
                                      "\nsystem('touch " + victim + "')\n",
                                      "|touch " + victim,
                                      "\\`touch " + victim + "\\`",
                                      "@macro {/*2 big} %s %d ^_&~",
                                      "EOD\nEOD"};
  std::string all;
  for (int byte = 1; byte < 256; ++byte) all += static_cast<char>(byte);
  std::vector<std::string> texts = wild;
  texts.push_back(all);
  std::size_t pictures = 0;
  for (const std::string& text : texts) {
    CAPTURE(text);
    const std::string path = folder / ("plot" + std::to_string(++pictures) + ".png");
    REQUIRE(apps::write_plots(path, one_plot(text)));
    CHECK(apps::read_png(path).width == 640);
  }
  // As the name of the picture, a path's slashes replaced.
  for (std::string name : wild) {
    std::replace(name.begin(), name.end(), '/', '_');
    const std::string path = folder / (name + ".png");
    CAPTURE(name);
    REQUIRE(apps::write_plots(path, one_plot("x")));
    CHECK(apps::read_png(path).width == 640);
    ++pictures;
  }
  CHECK_FALSE(fs::exists(victim));
  CHECK(names_in(folder.path()) == pictures);
}

TEST_CASE("plots: a gnuplot that fails leaves the old picture and nothing else") {
  const TemporaryFolder folder;
  const std::string path = folder / "plot.png";
  REQUIRE(apps::write_plots(path, one_plot("x")));
  const std::string before = contents_of(path);
  check_refused({"plot", "schedules", "--out", folder / "none/plot.png"}, 1, "none/plot.png");
  std::vector<apps::Plot> empty = one_plot("x");
  empty[0].curves[0].y = {NAN, NAN};
  CHECK_THROWS_AS(apps::write_plots(path, empty), Error);
  CHECK(contents_of(path) == before);
  CHECK(names_in(folder.path()) == 1);
}

}  // namespace ebb::test::plots
