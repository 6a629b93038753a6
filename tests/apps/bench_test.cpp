#include <doctest/doctest.h>
#include <tests/apps/program.h>
#include <tests/temporary_folder.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

using namespace ebb;
using test::Outcome;
using test::run_program;

TEST_SUITE_BEGIN("apps bench");

TEST_CASE("a case is timed beside the machine, and the file says the same as the table") {
  const test::TemporaryFolder folder;
  const std::string file = folder / "bench.json";
  const Outcome outcome =
      run_program({"bench", "--filter", "gemm 64x1156x128", "--seconds", "0", "--json", file});
  CHECK(outcome.code == 0);
  CHECK(outcome.err.empty());
  CHECK(outcome.out.find("gemm 64x1156x128") != std::string::npos);
  const nlohmann::json results = nlohmann::json::parse(std::ifstream(file));
  CHECK(results.at("threads") >= 1);
  REQUIRE(results.at("cases").size() == 1);
  const nlohmann::json& row = results["cases"][0];
  CHECK(row.at("work") == nlohmann::json{{"op", "gemm"}, {"a", {64, 1156}}, {"b", {1156, 128}}});
  CHECK(row.at("calls") >= 1);
  CHECK(row.at("min_ms") > 0);
  CHECK(row.at("min_ms") <= row.at("median_ms"));
  const double seconds = row["min_ms"].get<double>() / 1e3;
  CHECK(row.at("gflops").get<double>() * seconds == doctest::Approx(2.0 * 64 * 1156 * 128 / 1e9));
  CHECK(row.at("of_peak").get<double>() * row.at("peak_gflops").get<double>() ==
        doctest::Approx(row["gflops"].get<double>()));
}

TEST_CASE("cases have names of their own; a filter that none has is refused") {
  std::istringstream names(run_program({"bench", "--list"}).out);
  std::set<std::string> all;
  std::size_t count = 0;
  for (std::string name; std::getline(names, name); ++count) all.insert(name);
  CHECK(all.size() == count);
  CHECK(all.count("tutorial step 16x64x64x3") == 1);
  const Outcome outcome = run_program({"bench", "--filter", "no such case"});
  CHECK(outcome.code == 2);
  CHECK(outcome.err.find("no such case") != std::string::npos);
}

TEST_CASE("--calls runs a case and says nothing") {
  const Outcome outcome = run_program({"bench", "--filter", "64x10", "--calls", "1"});
  CHECK(outcome.code == 0);
  CHECK(outcome.out.empty());
}

TEST_SUITE_END();
