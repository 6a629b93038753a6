// What the READMEs name is there.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <string>

#include "tests/paths.h"

namespace fs = std::filesystem;

TEST_CASE("every file and folder that a README names exists") {
  const fs::path root = ebb::test::source_folder();
  // In code or as a link: a path of this tree, of a README's own folder, or of one beside it.
  const std::regex path(
      R"(((?:[a-z0-9_]+/)+[a-z0-9_-]*(?:\.(?:h|cpp|sh|py|md|png|csv|safetensors))?)(?=[`)\s,:"]))");
  const std::regex ours(R"(^(tensor|autograd|nn|diffusion|apps|tests)/.*)");
  int named = 0;
  for (const char* folder :
       {"", "tensor", "autograd", "nn", "diffusion", "apps", "tests", "tests/examples"}) {
    const fs::path readme = root / folder / "README.md";
    REQUIRE_MESSAGE(fs::exists(readme), readme.string());
    std::ifstream file(readme);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    for (std::sregex_iterator it(text.begin(), text.end(), path), end; it != end; ++it) {
      const std::string name = (*it)[1];
      const bool whole = std::regex_match(name, ours);
      if (!whole && name.find('.') == std::string::npos) continue;
      ++named;
      CHECK_MESSAGE((fs::exists(root / name) || fs::exists(root / folder / name)),
                    readme.string() << " names " << name);
    }
  }
  CHECK(named > 60);
}

TEST_CASE("the reading path: its files have the lines that the README says, in all under 4,000") {
  const fs::path root = ebb::test::source_folder();
  std::ifstream readme(root / "README.md");
  const std::string text{std::istreambuf_iterator<char>(readme), {}};
  const std::regex entry(R"(`([a-z0-9_/]+\.(?:h|cpp))` ([0-9]+))");
  int files = 0, total = 0;
  for (std::sregex_iterator it(text.begin(), text.end(), entry), end; it != end; ++it) {
    std::ifstream file(root / std::string((*it)[1]));
    int lines = 0;
    for (std::string line; std::getline(file, line);) ++lines;
    CHECK_MESSAGE(lines == std::stoi((*it)[2]), (*it)[1] << " has " << lines);
    ++files;
    total += lines;
  }
  CHECK(files > 40);
  CHECK(total <= 4000);
}
