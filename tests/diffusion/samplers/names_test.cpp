// A sampler that bears another library's name gives that library's numbers.
#include <doctest/doctest.h>

#include <fstream>
#include <set>
#include <sstream>

#include "tests/golden.h"
#include "tests/interop/sampler_case.h"

namespace ebb::test {
namespace {

// Names of our own, which no other library has.
const std::set<std::string_view> ours{"dpmpp_3m_exact"};

TEST_CASE("every sampler gives the numbers of the library that its name is known from") {
  const Golden golden("samplers.safetensors");
  std::set<std::string> seen;
  for (const Json& entry : golden.cases) {
    const std::string name = entry.at("name");
    seen.insert(entry.at("sampler"));
    try {
      const double error = sampler_case_error(golden, entry);
      CHECK_MESSAGE(error <= entry.at("tolerance").get<double>(), name << ": error " << error);
    } catch (const std::exception& problem) {
      FAIL_CHECK(name << ": " << problem.what());
    }
  }
  for (const SamplerInfo& info : samplers())
    CHECK_MESSAGE(seen.count(std::string(info.name)) + ours.count(info.name) == 1, info.name);
}

TEST_CASE("the table of names has every sampler") {
  std::ifstream stream(source_folder() + "/diffusion/README.md");
  std::stringstream text;
  text << stream.rdbuf();
  for (const SamplerInfo& info : samplers())
    CHECK_MESSAGE(text.str().find("\n| `" + std::string(info.name) + "` |") != std::string::npos,
                  info.name << " has no row in diffusion/README.md");
}

}  // namespace
}  // namespace ebb::test
