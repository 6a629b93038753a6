#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <tests/apps/program.h>
#include <tests/nn/temporary_folder.h>
#include <tests/paths.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <iterator>

namespace ebb::test {
namespace {

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void redirect(const std::string& path, int descriptor) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  ::dup2(file, descriptor);
  ::close(file);
}

}  // namespace

Outcome run_program(const std::vector<std::string>& arguments, const RunOptions& options) {
  const TemporaryFolder folder;
  const std::string out = options.stdout_to.empty() ? folder / "out" : options.stdout_to;
  std::vector<char*> argv{const_cast<char*>("ebb")};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);

  const pid_t child = ::fork();
  if (child == 0) {
    redirect(out, STDOUT_FILENO);
    redirect(folder / "err", STDERR_FILENO);
    for (const std::string& variable : options.environment)
      ::putenv(const_cast<char*>(variable.c_str()));
    if (options.largest_file > 0) {
      const rlimit limit{options.largest_file, options.largest_file};
      ::setrlimit(RLIMIT_FSIZE, &limit);
      std::signal(SIGXFSZ, SIG_IGN);  // so that the write fails, as on a full disk
    }
    ::execv(program().c_str(), argv.data());
    ::_exit(127);
  }
  if (options.meanwhile) options.meanwhile(child);
  int status = 0;
  ::waitpid(child, &status, 0);
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  return {code, options.stdout_to.empty() ? contents(out) : "", contents(folder / "err")};
}

}  // namespace ebb::test
