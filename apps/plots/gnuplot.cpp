#include <ebb/apps/plots/gnuplot.h>
#include <ebb/apps/system/console.h>
#include <ebb/tensor/io/atomic_file.h>
#include <ebb/tensor/io/input_file.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <sstream>

namespace ebb::apps {
namespace {

namespace fs = std::filesystem;

// All but letters, digits and spaces as octal escapes, which gnuplot undoes after it has looked for
// anything to expand. Control characters, which no label has a use for, are left out.
std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) || c == ' ')
      result += c;
    else if (byte > 32 && byte != 127)
      result += fmt::format("\\{:03o}", byte);
  }
  return result + '"';
}

// Where gnuplot runs, and the names of what it reads and writes there: ours, whatever the user's.
constexpr const char* picture_name = "plot.png";
constexpr const char* script_name = "plot.gp";

class ScratchFolder {
 public:
  ScratchFolder() : path_((fs::temp_directory_path() / "ebb-plot-XXXXXX").string()) {
    check(mkdtemp(path_.data()) != nullptr, "plot: no temporary folder {}: {}", path_,
          std::strerror(errno));
  }
  ~ScratchFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  std::string file(const char* name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string script(const std::vector<Plot>& plots) {
  std::string text = fmt::format(
      "set terminal pngcairo noenhanced size {},480 font 'Sans,10'\nset output {}\n"
      "set multiplot layout 1,{}\nset grid lc rgb '#dddddd'\nset key outside bottom center "
      "horizontal\n",
      640 * plots.size(), quoted(picture_name), plots.size());
  constexpr const char* colors[] = {"#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee",
                                    "#aa3377", "#000000", "#ee7733", "#999933", "#bbbbbb"};
  for (std::size_t i = 0; i < std::size(colors); ++i)
    text += fmt::format("set linetype {} lc rgb '{}'\n", i + 1, colors[i]);
  text += "set linetype cycle 10\n";
  int data = 0;
  for (const Plot& plot : plots) {
    std::string commands;
    for (const Curve& curve : plot.curves) {
      check(curve.x.size() == curve.y.size(),
            "plot: curve '{}' has {} x and {} y; give one a point", curve.label, curve.x.size(),
            curve.y.size());
      std::string points;
      for (std::size_t i = 0; i < curve.x.size(); ++i)
        if (std::isfinite(curve.x[i]) && std::isfinite(curve.y[i]))
          points += fmt::format("{} {}\n", curve.x[i], curve.y[i]);
      if (points.empty()) continue;
      text += fmt::format("$curve{} << EOD\n{}EOD\n", data, points);
      commands +=
          fmt::format("{}$curve{} with {} lw 2 title {}", commands.empty() ? "" : ", ", data++,
                      curve.points ? "linespoints pt 7 ps 0.7" : "lines", quoted(curve.label));
    }
    check(!commands.empty(), "plot: '{}' has no points to draw; run it longer", plot.title);
    text += fmt::format("set title {}\nset xlabel {}\nset ylabel {}\n", quoted(plot.title),
                        quoted(plot.x_label), quoted(plot.y_label));
    text += plot.log_x ? "set logscale x\n" : "unset logscale x\n";
    text += plot.log_y ? "set logscale y\n" : "unset logscale y\n";
    text += plot.y_range
                ? fmt::format("set yrange [{}:{}]\n", plot.y_range->first, plot.y_range->second)
                : "set yrange [*:*]\n";
    text += "plot " + commands + "\n";
  }
  return text + "unset multiplot\n";
}

// The program's path; empty if there is none.
std::string find_gnuplot() {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path ? path : "");
  for (std::string folder; std::getline(folders, folder, ':');)
    if (!folder.empty() && access((folder + "/gnuplot").c_str(), X_OK) == 0)
      return folder + "/gnuplot";
  return {};
}

// In a session of its own, so that Ctrl-C, which is for this program, does not reach it; without
// the user's start-up file. Whether it ended well.
bool run_gnuplot(const std::string& program, const std::string& folder) {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&files);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addchdir_np(&files, folder.c_str());
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
  std::string arguments[] = {program, "-d", script_name};
  char* argv[] = {arguments[0].data(), arguments[1].data(), arguments[2].data(), nullptr};
  pid_t child = 0;
  const int error = posix_spawn(&child, program.c_str(), &files, &attributes, argv, environ);
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  check(error == 0, "plot: cannot start {}: {}", program, std::strerror(error));
  int status = 0;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return false;
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

bool write_plots(const std::string& path, const std::vector<Plot>& plots) {
  const std::string gnuplot = find_gnuplot();
  if (gnuplot.empty()) {
    const std::string beside = fs::path(path).replace_extension(".gp").string();
    write_file(beside, script(plots));
    note(
        fmt::format("no gnuplot here, so no {}; the script is {}: install gnuplot-nox and run "
                    "gnuplot on it, which draws {}",
                    path, beside, picture_name));
    return false;
  }
  const ScratchFolder scratch;
  write_file(scratch.file(script_name), script(plots));
  check(run_gnuplot(gnuplot, scratch.path()) && fs::exists(scratch.file(picture_name)),
        "plot: gnuplot could not draw {}; is there space in {}?", path, scratch.path());
  write_file(path, read_file(scratch.file(picture_name)));
  return true;
}

}  // namespace ebb::apps
