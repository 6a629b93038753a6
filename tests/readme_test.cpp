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
  for (const char* folder : {"", "tensor", "autograd", "nn", "diffusion", "apps", "tests"}) {
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
