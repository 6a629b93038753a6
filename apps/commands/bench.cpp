#include <ebb/apps/bench/bench.h>
#include <ebb/apps/commands/commands.h>
#include <ebb/apps/system/console.h>
#include <ebb/tensor/cpu/gemm/openblas.h>
#include <ebb/tensor/cpu/runtime/peak.h>
#include <ebb/tensor/cpu/runtime/simd_target.h>
#include <ebb/tensor/io/atomic_file.h>
#include <ebb/tensor/threads.h>

#include <algorithm>
#include <chrono>

namespace ebb::apps {
namespace {

struct BenchRequest {
  std::string filter, json;
  double seconds = 0.5;
  std::int64_t calls = 0;
  bool list = false;
};

double bench_clock() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct BenchTiming {
  std::vector<double> seconds;  // ascending
  cpu::Peak peak{};

  double min() const { return seconds.front(); }
  double median() const { return seconds[seconds.size() / 2]; }
};

// The machine's speed swings within seconds, so it is measured again between short rounds of
// calls, and the best of the calls is compared with the best of the machine.
BenchTiming time_rounds(const std::function<void()>& work, double budget) {
  constexpr double round = 0.03;
  BenchTiming timing;
  const double end = bench_clock() + budget;
  do {
    const cpu::Peak peak = cpu::measure_peak();
    timing.peak.flops = std::max(timing.peak.flops, peak.flops);
    timing.peak.bandwidth = std::max(timing.peak.bandwidth, peak.bandwidth);
    work();  // brings back what the calibration drove out of the caches
    const double round_end = bench_clock() + round;
    double start;
    do {
      start = bench_clock();
      work();
      timing.seconds.push_back(bench_clock() - start);
    } while (start + timing.seconds.back() < round_end);
  } while (bench_clock() < end);
  std::sort(timing.seconds.begin(), timing.seconds.end());
  return timing;
}

nlohmann::json report_case(const BenchCase& task, const BenchTiming& timing) {
  const double flops = task.flops / timing.min(), bytes = task.bytes / timing.min();
  const double of_peak = flops / timing.peak.flops, of_bandwidth = bytes / timing.peak.bandwidth;
  const auto number = [](double value) {
    return value > 0 ? fmt::format("{:.2f}", value) : std::string("-");
  };
  print("{:56} {:>10.3f} {:>10.3f} {:>8} {:>8} {:>8}\n", task.name, timing.min() * 1e3,
        timing.median() * 1e3, task.flops > 0 ? fmt::format("{:.0f}", flops / 1e9) : "-",
        number(of_peak), number(of_bandwidth));
  flush_out();
  return {{"name", task.name},
          {"work", task.work},
          {"calls", timing.seconds.size()},
          {"min_ms", timing.min() * 1e3},
          {"median_ms", timing.median() * 1e3},
          {"gflops", flops / 1e9},
          {"gbytes", bytes / 1e9},
          {"peak_gflops", timing.peak.flops / 1e9},
          {"peak_gbytes", timing.peak.bandwidth / 1e9},
          {"of_peak", of_peak},
          {"of_bandwidth", of_bandwidth}};
}

// Those whose names have `words` in them; all of them without.
std::vector<BenchCase> chosen_cases(const std::string& words) {
  std::vector<BenchCase> cases = bench_models();
  for (auto more : {bench_text_and_latents, bench_operators})
    for (BenchCase& task : more()) cases.push_back(std::move(task));
  std::erase_if(cases, [&](const BenchCase& c) { return c.name.find(words) == std::string::npos; });
  check_usage(!cases.empty(), "bench: no case has '{}' in its name; see ebb bench --list", words);
  return cases;
}

void bench(const BenchRequest& request) {
  const std::vector<BenchCase> cases = chosen_cases(request.filter);
  if (request.list) {
    for (const BenchCase& task : cases) print("{}\n", task.name);
    return;
  }
  if (request.calls > 0) {
    for (const BenchCase& task : cases) {
      const std::function<void()> work = task.prepare();
      for (std::int64_t i = 0; i < request.calls; ++i) work();
    }
    return;
  }
  print("{} kernels, {} threads\n", cpu::simd_target(), thread_count());
  print("{:56} {:>10} {:>10} {:>8} {:>8} {:>8}\n", "", "min ms", "median ms", "GFLOP/s", "of FMA",
        "of mem");
  nlohmann::json results = nlohmann::json::array();
  for (const BenchCase& task : cases) {
    const std::function<void()> work = task.prepare();
    work();  // memory is taken once
    results.push_back(report_case(task, time_rounds(work, request.seconds)));
  }
  if (request.json.empty()) return;
  write_file(request.json, nlohmann::json{{"version", EBB_VERSION},
                                          {"kernels", cpu::simd_target()},
                                          {"openblas", cpu::openblas_core()},
                                          {"threads", thread_count()},
                                          {"cases", results}}
                                   .dump(1) +
                               "\n");
}

}  // namespace

void add_bench_command(CLI::App& app) {
  const auto request = std::make_shared<BenchRequest>();
  CLI::App* command = app.add_subcommand(
      "bench", "Times operators and networks beside what the machine can do at that moment");
  command->add_option("--filter", request->filter, "Only cases with this in their names");
  command->add_option("--seconds", request->seconds, "For each case")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_option("--json", request->json, "Also write the results to this file");
  command
      ->add_option("--calls", request->calls,
                   "Only run each case so many times, untimed: for profilers")
      ->check(CLI::PositiveNumber);
  command->add_flag("--list", request->list, "Names of the cases");
  command->footer(
      "GFLOP/s count what the definition asks for; Winograd's convolutions do with less.\n"
      "of FMA, of mem: as a share of the multiply-adds and of the memory bandwidth that were\n"
      "measured between the calls. bench_pytorch.py times the same work in PyTorch.");
  command->callback([request] { bench(*request); });
}

}  // namespace ebb::apps
