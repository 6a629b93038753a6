// Data flows one way: from floor to floor, tensor <- autograd <- nn <- diffusion <- apps, and on a
// floor from room to room.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <string>
#include <vector>

#include "tests/paths.h"

namespace {

namespace fs = std::filesystem;

// A folder may include what stands before it, and itself. Folders that are not named here belong
// to the nearest one above them that is.
const std::vector<std::string> rooms{
    "tensor",
    "tensor/ops",
    "tensor/random",
    "tensor/backend",
    "tensor/reference",
    "tensor/cpu/runtime",
    "tensor/cpu/common",
    "tensor/cpu",
    "tensor/cpu/random",
    "tensor/cpu/pointwise",
    "tensor/cpu/reduce",
    "tensor/cpu/gemm",
    "tensor/cpu/attention",
    "tensor/cpu/norm",
    "tensor/cpu/resize",
    "tensor/cpu/optim",
    "tensor/cpu/conv",
    "tensor/cuda",
    "tensor/cuda/runtime",
    "tensor/cuda/common",
    "tensor/cuda/random",
    "tensor/cuda/pointwise",
    "tensor/cuda/reduce",
    "tensor/cuda/gemm",
    "tensor/cuda/attention",
    "tensor/cuda/norm",
    "tensor/cuda/resize",
    "tensor/cuda/optim",
    "tensor/cuda/conv",
    "tensor/io",
    "autograd",
    "autograd/ops",
    "nn",
    "nn/layers",
    "nn/optim",
    "nn/training",
    "diffusion/schedules",
    "diffusion/models",
    "diffusion/text",
    "diffusion/latent",
    "diffusion/guidance",
    "diffusion/samplers",
    "diffusion/losses",
    "diffusion/metrics",
    "diffusion",
    "apps/system",
    "apps/images",
    "apps/data",
    "apps/plots",
    "apps/exchange",
    "apps/runs",
    "apps/training",
    "apps/evaluation",
    "apps/tutorial",
    "apps/bench",
    "apps/commands",
    "apps",
};

// The place of `folder` in that list, -1 for one that is in none of them.
int place(fs::path folder) {
  for (; !folder.empty(); folder = folder.parent_path()) {
    const auto found = std::find(rooms.begin(), rooms.end(), folder.string());
    if (found != rooms.end()) return static_cast<int>(found - rooms.begin());
  }
  return -1;
}

// What a table of kernels is reached by stands above the functions that use it, and a GPU's mark
// stands before the functions that it shares.
bool is_seam(const std::string& included, const fs::path& includer) {
  return (included == "tensor/backend/backend.h" || included == "tensor/cuda/host_device.h") &&
         includer.string().starts_with("tensor");
}

}  // namespace

TEST_CASE("layering: no room includes one that stands after it") {
  const std::regex include(R"(^\s*#\s*include\s*[<"](?:ebb/|(?:\.\./)+)?([\w/.-]+)[>"])");
  const fs::path root = ebb::test::source_folder();
  int files = 0, includes = 0;
  for (const char* floor : {"tensor", "autograd", "nn", "diffusion", "apps"})
    for (const auto& entry : fs::recursive_directory_iterator(root / floor)) {
      const std::string ending = entry.path().extension().string();
      if (!entry.is_regular_file() || (ending != ".h" && ending != ".cpp" && ending != ".cu"))
        continue;
      ++files;
      const fs::path own = fs::relative(entry.path(), root);
      const int own_place = place(own.parent_path());
      REQUIRE_MESSAGE(own_place >= 0, own.string() << " is in no room of this list");
      std::ifstream file(entry.path());
      std::smatch found;
      for (std::string line; std::getline(file, line);) {
        if (!std::regex_search(line, found, include)) continue;
        const std::string included = found[1];
        const int other = place(fs::path(included).parent_path());
        if (other < 0 || is_seam(included, own)) continue;
        ++includes;
        CHECK_MESSAGE(other <= own_place, own.string() << " includes upward: " << line);
      }
    }
  CHECK(files > 200);
  CHECK(includes > 500);
}

TEST_CASE("no file has over 400 lines, no folder over 20 sources") {
  const fs::path root = ebb::test::source_folder();
  for (const char* floor : {"tensor", "autograd", "nn", "diffusion", "apps", "tests"}) {
    std::vector<fs::path> folders{root / floor};
    for (const auto& entry : fs::recursive_directory_iterator(root / floor))
      if (entry.is_directory()) folders.push_back(entry.path());
    for (const fs::path& folder : folders) {
      int sources = 0;
      for (const auto& entry : fs::directory_iterator(folder)) {
        const std::string ending = entry.path().extension().string();
        if (ending != ".h" && ending != ".cpp") continue;
        ++sources;
        std::ifstream file(entry.path());
        int lines = 0;
        for (std::string line; std::getline(file, line);) ++lines;
        CHECK_MESSAGE(lines <= 400, entry.path().string() << " has " << lines << " lines");
      }
      CHECK_MESSAGE(sources <= 20, folder.string() << " has " << sources << " sources");
    }
  }
}
