// Data flows one way: tensor <- autograd <- nn <- diffusion <- apps.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <regex>
#include <string>

#include "tests/paths.h"

TEST_CASE("layering: nothing includes upward") {
  const std::array<std::string, 5> floors{"tensor", "autograd", "nn", "diffusion", "apps"};
  const std::regex include(R"(^\s*#\s*include\s*[<"](?:ebb/|(?:\.\./)+)?(\w+)/)");
  int files = 0;
  for (std::size_t own = 0; own < floors.size(); ++own) {
    const std::filesystem::path folder = ebb::test::source_folder() + "/" + floors[own];
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
      if (!entry.is_regular_file()) continue;
      ++files;
      std::ifstream file(entry.path());
      std::smatch found;
      for (std::string line; std::getline(file, line);) {
        if (!std::regex_search(line, found, include)) continue;
        const auto floor = std::find(floors.begin(), floors.end(), found[1].str());
        if (floor == floors.end()) continue;
        CHECK_MESSAGE(static_cast<std::size_t>(floor - floors.begin()) <= own,
                      entry.path().string() << " includes upward: " << line);
      }
    }
  }
  CHECK(files > 50);
}
