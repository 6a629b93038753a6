#include <doctest/doctest.h>
#include <ebb/tensor/error.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <tests/apps/program.h>
#include <tests/paths.h>
#include <tests/temporary_folder.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

namespace ebb::test {
namespace {

void redirect(const std::string& path, int descriptor) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  ::dup2(file, descriptor);
  ::close(file);
}

}  // namespace

Arguments operator+(Arguments a, const Arguments& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

Outcome run_program(const std::vector<std::string>& arguments, const RunOptions& options) {
  const TemporaryFolder folder;
  const std::string out = options.stdout_to.empty() ? folder / "out" : options.stdout_to;
  std::vector<char*> argv{const_cast<char*>("ebb")};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);

  // A signal that comes before the program runs is for the program, not for the tests' handlers.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t child = ::fork();
  if (child == 0) {
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) std::signal(signal, SIG_DFL);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    redirect(out, STDOUT_FILENO);
    redirect(folder / "err", STDERR_FILENO);
    for (const std::string& variable : options.environment)
      ::putenv(const_cast<char*>(variable.c_str()));
    if (options.largest_file > 0) {
      const rlimit limit{options.largest_file, options.largest_file};
      ::setrlimit(RLIMIT_FSIZE, &limit);
      std::signal(SIGXFSZ, SIG_IGN);  // so that the write fails, as on a full disk
    }
    if (options.most_memory > 0) {
      const rlimit limit{options.most_memory, options.most_memory};
      ::setrlimit(RLIMIT_AS, &limit);
    }
    ::execv(program().c_str(), argv.data());
    ::_exit(127);
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (options.meanwhile) options.meanwhile(child);
  int status = 0;
  ::waitpid(child, &status, 0);
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  return {code, options.stdout_to.empty() ? contents_of(out) : "", contents_of(folder / "err")};
}

Outcome succeed(const std::vector<std::string>& arguments) {
  const Outcome outcome = run_program(arguments);
  REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
  return outcome;
}

void check_refused(const std::vector<std::string>& arguments, int code, const std::string& words) {
  const Outcome outcome = run_program(arguments);
  CAPTURE(fmt::format("{}", fmt::join(arguments, " ")));
  CHECK(outcome.code == code);
  CHECK(outcome.err.starts_with("ebb: "));
  CHECK(std::count(outcome.err.begin(), outcome.err.end(), '\n') == 1);
  CHECK_MESSAGE(outcome.err.find(words) != std::string::npos, outcome.err);
  CHECK(outcome.out.empty());
}

}  // namespace ebb::test
