#include <ebb/apps/console.h>
#include <ebb/apps/gnuplot.h>
#include <ebb/nn/atomic_file.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <sstream>

namespace ebb::apps {
namespace {

namespace fs = std::filesystem;

std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    if (c != '\n') result += c;
  }
  return result + '"';
}

std::string script(const std::string& output, const std::vector<Plot>& plots) {
  std::string text = fmt::format(
      "set terminal pngcairo noenhanced size {},480 font 'Sans,10'\nset output {}\n"
      "set multiplot layout 1,{}\nset grid lc rgb '#dddddd'\nset key outside bottom center horizontal\n",
      640 * plots.size(), quoted(output), plots.size());
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

bool have_gnuplot() {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path ? path : "");
  for (std::string folder; std::getline(folders, folder, ':');)
    if (access((folder + "/gnuplot").c_str(), X_OK) == 0) return true;
  return false;
}

}  // namespace

bool write_plots(const std::string& path, const std::vector<Plot>& plots) {
  const std::string beside = fs::path(path).replace_extension(".gp").string();
  if (!have_gnuplot()) {
    write_file(beside, script(path, plots));
    note(
        fmt::format("no gnuplot here, so no {0}; the script is {1}: install gnuplot-nox and run "
                    "gnuplot {1}",
                    path, beside));
    return false;
  }
  const std::string drawn = fmt::format("{}.part{}", path, getpid());
  std::FILE* gnuplot = popen("gnuplot >/dev/null 2>&1", "w");
  check(gnuplot != nullptr, "plot: cannot start gnuplot for {}; free some memory", path);
  const std::string text = script(drawn, plots);
  std::fwrite(text.data(), 1, text.size(), gnuplot);
  std::error_code error;
  const bool good = pclose(gnuplot) == 0 && fs::file_size(drawn, error) > 0 && !error;
  if (good) fs::rename(drawn, path, error);
  if (!good || error) fs::remove(drawn);
  check(good && !error,
        "plot: gnuplot could not write {}; is its folder there and the disk not full?", path);
  return true;
}

}  // namespace ebb::apps
