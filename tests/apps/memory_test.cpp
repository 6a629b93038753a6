// How much memory training and sampling take: what they say before is what they then use, and a
// machine that has less is told so or served in smaller pieces.
#include <doctest/doctest.h>
#include <ebb/apps/images/png.h>
#include <ebb/apps/system/memory.h>
#include <ebb/tensor/io/npy.h>
#include <tests/apps/program.h>
#include <tests/temporary_folder.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

namespace ebb::test::memory {

Arguments training(const std::string& out, const Arguments& more) {
  return Arguments{"train", "--data", "shapes", "--channels", "1", "--steps", "2", "--out", out} +
         more;
}

// X of "at most about X GB of memory", in bytes.
double said(const Outcome& outcome) {
  const std::string words = "at most about ";
  const std::size_t at = outcome.err.find(words);
  REQUIRE_MESSAGE(at != std::string::npos, outcome.err);
  return 1e9 * std::stod(outcome.err.substr(at + words.size()));
}

// The most memory that `process` had, in bytes: looked up until it ends. (A child's resource usage
// counts what its parent had when it forked.)
double watch(pid_t process) {
  double peak = 0;
  for (;; std::this_thread::sleep_for(std::chrono::milliseconds(1))) {
    std::ifstream status(fmt::format("/proc/{}/status", process));
    double kilobytes = -1;
    for (std::string word; status >> word;)
      if (word == "VmHWM:") status >> kilobytes;
    if (kilobytes < 0) return peak;  // it has ended
    peak = 1024 * kilobytes;
  }
}

void check_close(const Arguments& arguments) {
  double peak = 0;
  const Outcome outcome =
      run_program(arguments, {.environment = {"OMP_NUM_THREADS=2"},
                              .meanwhile = [&](pid_t process) { peak = watch(process); }});
  REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
  // It says "at most"; two digits after the point are shown.
  CHECK(peak < 1.15 * said(outcome) + 10e6);
  CHECK(peak > 0.7 * said(outcome) - 15e6);
}

// AddressSanitizer takes memory of its own.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool sanitized = true;
#else
constexpr bool sanitized = false;
#endif

TEST_SUITE_BEGIN("apps memory");

TEST_CASE("the memory that a program says it will take is what it takes" *
          doctest::skip(sanitized)) {
  const TemporaryFolder folder;
  int number = 0;
  for (const Arguments& options :
       {Arguments{"--preset", "tiny", "--size", "8", "--batch", "4"},
        Arguments{"--preset", "tiny", "--size", "32", "--batch", "64"},
        Arguments{"--preset", "tiny", "--size", "96", "--batch", "8"},
        Arguments{"--preset", "tiny", "--size", "32", "--batch", "64", "--accumulation", "8"},
        Arguments{"--model", "simple", "--size", "32", "--batch", "32"}}) {
    CAPTURE(fmt::format("{}", fmt::join(options, " ")));
    const std::string run = folder / fmt::format("run{}", ++number);
    check_close(training(run, options));
    for (const std::string batch : {"2", "30"}) {
      CAPTURE(batch);
      check_close({"sample", run, "--count", "30", "--batch", batch, "--steps", "2", "--out",
                   folder / "x.npy"});
    }
  }
}

TEST_CASE("the memory for pictures of latents has the decoder's in it" * doctest::skip(sanitized)) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "pictures");
  const apps::Image image{128, 128, 1, std::vector<std::uint8_t>(128 * 128, 99)};
  for (int i = 0; i < 10; ++i) apps::write_png(folder / fmt::format("pictures/{}.png", i), image);
  const auto train = [&](const std::string& out, const Arguments& more) {
    return Arguments{"train", "--data", folder / "pictures", "--batch", "4", "--steps", "2",
                     "--out", out} +
           more;
  };
  const std::string autoencoder = folder / "autoencoder", run = folder / "run";
  check_close(train(autoencoder, {"--model", "autoencoder"}));
  check_close(train(run, {"--preset", "tiny", "--latent", autoencoder}));
  check_close({"sample", run, "--count", "20", "--steps", "2", "--out", folder / "x.npy"});
}

TEST_CASE("a batch that memory cannot hold: an error before the run, smaller pieces of samples" *
          doctest::skip(sanitized)) {
  const TemporaryFolder folder;
  const RunOptions little{.most_memory = 800'000'000, .environment = {"OMP_NUM_THREADS=1"}};
  const std::string run = folder / "run";
  const auto with_batch = [&](const Arguments& more) {
    const Arguments options{"--preset", "tiny", "--size", "32", "--batch", "2000"};
    return run_program(training(run, options + more), little);
  };
  const Outcome refused = with_batch({});
  CHECK(refused.code == 1);
  const std::size_t at = refused.err.find("--accumulation ");
  REQUIRE_MESSAGE(at != std::string::npos, refused.err);
  CHECK_FALSE(std::filesystem::exists(run));
  const std::string parts = refused.err.substr(at + 15, refused.err.find(' ', at + 15) - at - 15);
  const Outcome fits = with_batch({"--accumulation", parts});
  CHECK_MESSAGE(fits.code == 0, fits.err);

  const Arguments sample{"sample", run,       "--count", "1500",  "--batch",
                         "1500",   "--steps", "1",       "--out", folder / "x.npy"};
  const Outcome pieces = run_program(sample, little);
  CHECK_MESSAGE(pieces.code == 0, pieces.err);
  CHECK(pieces.err.find("(1500 at a time need") != std::string::npos);
  CHECK(read_npy(folder / "x.npy").size(0) == 1500);
}

TEST_SUITE_END();

}  // namespace ebb::test::memory
