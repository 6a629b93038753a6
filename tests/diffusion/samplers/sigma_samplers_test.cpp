// Every row of tests/golden/sigma_samplers.csv, in float64.
#include "tests/diffusion/samplers/sigma_rows.h"
#include "tests/golden.h"

namespace ebb::test {
namespace {

TEST_CASE("golden sigma_samplers.csv") {
  for (const CsvRow& row : read_csv(golden_path("sigma_samplers.csv"))) {
    const std::string what = row.at("scheduler") + " " + row.at("prediction") + " karras " +
                             row.at("karras") + " start " + row.at("start_index");
    try {
      const Tensor x = run_sigma(row.at("scheduler"), prediction_named(row.at("prediction")),
                                 row.at("karras") == "1" || row.at("karras") == "true",
                                 std::stoll(row.at("start_index")), std::stoll(row.at("steps")));
      const double total = sum(abs(x)).item(), expected = std::stod(row.at("exp_sum_abs"));
      const double mean = std::stod(row.at("exp_mean_abs"));
      CHECK_MESSAGE(total == doctest::Approx(expected).epsilon(1e-7), what);
      CHECK_MESSAGE(total / static_cast<double>(x.numel()) == doctest::Approx(mean).epsilon(1e-7),
                    what);
    } catch (const std::exception& error) {
      FAIL_CHECK(what << ": " << error.what());
    }
  }
}

}  // namespace
}  // namespace ebb::test
