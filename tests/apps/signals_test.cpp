// Every phase of the program by every signal that asks it to stop, once and twice: it stops soon,
// leaves nothing half done, and a run goes on from where it was.
#include <doctest/doctest.h>
#include <ebb/apps/runs/run_folder.h>
#include <ebb/tensor/io/atomic_file.h>
#include <signal.h>
#include <tests/apps/program.h>
#include <tests/temporary_folder.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

namespace ebb::test::signals {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

struct Phase {
  std::string name;
  Arguments arguments;       // of the program, which without a signal would take minutes
  std::string begun_by;      // a file or folder that is there when the phase has begun; "": at once
  int delay = 0;             // milliseconds after that
  bool stops_itself = true;  // at the first signal, with a word; else that ends the process
};

// Whether any name in `folder` begins so.
bool begun(const std::string& prefix) {
  const fs::path path = prefix;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(path.parent_path(), error))
    if (entry.path().filename().string().starts_with(path.filename().string())) return true;
  return false;
}

// Whether `process` has a handler for `signal`.
bool catches(pid_t process, int signal) {
  std::ifstream status(fmt::format("/proc/{}/status", process));
  for (std::string word; status >> word;) {
    if (word != "SigCgt:") continue;
    std::string mask;
    status >> mask;
    return (std::stoull(mask, nullptr, 16) >> (signal - 1) & 1) != 0;
  }
  return false;
}

// Until `what` holds, at most a minute: machines are busy.
void wait_for(const std::function<bool()>& what) {
  for (int tries = 0; tries < 30000 && !what(); ++tries)
    std::this_thread::sleep_for(milliseconds(2));
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    names.push_back(entry.path().string());
  return names;
}

void check_run(const std::string& run) {
  if (!fs::exists(run)) return;
  const Outcome outcome = run_program({"train", "--resume", "--out", run, "--minutes", "0.001"});
  CHECK_MESSAGE(outcome.code == 0, outcome.err);
  for (const std::string& name : names_in(run)) {
    CAPTURE(name);
    CHECK_FALSE(is_temporary(fs::path(name).filename().string()));
  }
}

TEST_SUITE_BEGIN("apps signals");

TEST_CASE("every phase by every signal, once and twice") {
  const TemporaryFolder given;
  const std::string base = given / "base", images = given / "images";
  const Arguments tiny{"train", "--data",  "shapes", "--size",   "8",   "--channels",
                       "1",     "--batch", "4",      "--preset", "tiny"};
  const Arguments endless{"--steps", "100000000"};
  succeed(tiny + Arguments{"--out", base, "--steps", "1"});
  fs::create_directories(images);
  for (int i = 0; i < 2000; ++i)
    fs::create_hard_link(base + "/samples/step-00000001.png", images + fmt::format("/{}.png", i));

  for (const int signal : {SIGINT, SIGTERM, SIGHUP})
    for (const int times : {1, 2}) {
      const TemporaryFolder folder;
      const std::string run = folder / "run", steps = run + "/checkpoints/step-0000000";
      const Arguments out{"--out", run};
      const std::string none = "100000000";
      for (const Phase& phase : {
               Phase{"start", tiny + out + endless, "", 1, false},
               Phase{"loading", Arguments{"train", "--data", images} + out + endless, "", 15,
                     false},
               Phase{"training", tiny + out + endless + Arguments{"--preview-every", none}, run,
                     40},
               Phase{"preview", tiny + out + endless + Arguments{"--preview-every", "1"},
                     run + "/samples/step-00000001.png", 5},
               Phase{"save",
                     tiny + out + endless + Arguments{"--save-every", "1", "--preview-every", none},
                     steps + "2", 3},
               Phase{"resume", Arguments{"train", "--resume"} + out + endless, "", 15, false},
               Phase{"sampling",
                     {"sample", base, "--count", "9000000", "--out", folder / "x.npy"},
                     folder / "x.npy.part",
                     20},
               Phase{"sampling a picture",
                     {"sample", base, "--count", "90000", "--out", folder / "x.png"},
                     "",
                     200},
               Phase{"evaluate",
                     {"evaluate", base, "--count", "5000", "--classifier-steps", "90000", "--cache",
                      folder / "cache", "--out", folder / "report.json"},
                     "",
                     200,
                     false},
               Phase{"tutorial", {"tutorial", "--out", folder / "notes"}, "", 200, false},
           }) {
        CAPTURE(phase.name);
        CAPTURE(signal);
        CAPTURE(times);
        // Each starts anew, but "resume", which goes on with the run before it.
        if (phase.name != "resume") fs::remove_all(run);
        const auto stop = [&](pid_t child) {
          if (!phase.begun_by.empty()) wait_for([&] { return begun(phase.begun_by); });
          if (phase.stops_itself) wait_for([&] { return catches(child, signal); });
          std::this_thread::sleep_for(milliseconds(phase.delay));
          ::kill(child, signal);
          if (times == 1) return;
          std::this_thread::sleep_for(milliseconds(2));  // or the two become one
          ::kill(child, signal);
        };
        const auto start = std::chrono::steady_clock::now();
        const Outcome outcome = run_program(phase.arguments, {.meanwhile = stop});
        CHECK(std::chrono::steady_clock::now() - start < std::chrono::minutes(3));
        CAPTURE(outcome.err);
        CHECK((outcome.code == 1 || outcome.code == -signal));
        if (phase.stops_itself && times == 1) {
          CHECK(outcome.code == 1);
          CHECK(outcome.err.find("ebb: ") != std::string::npos);
        }
        check_run(run);
        CHECK_FALSE(fs::exists(folder / "x.npy"));
        CHECK_FALSE(fs::exists(folder / "x.png"));
        if (outcome.code == 1) CHECK_FALSE(begun(folder / "x."));
        // Ended at once, it may leave its temporary file.
        for (const std::string& name : names_in(folder.path()))
          if (is_temporary(fs::path(name).filename().string())) fs::remove_all(name);
      }
    }
}

TEST_SUITE_END();

}  // namespace ebb::test::signals
