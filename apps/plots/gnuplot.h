// Curves as pictures, drawn by gnuplot.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace ebb::apps {

struct Curve {
  std::string label = {};
  std::vector<double> x = {}, y = {};  // equal lengths; points that are not finite are left out
  bool points = false;                 // marks at the points as well as the line
};

struct Plot {
  std::string title = {}, x_label = {}, y_label = {};
  std::vector<Curve> curves = {};
  bool log_x = false, log_y = false;
  std::optional<std::pair<double, double>> y_range = {};
};

// Several plots side by side in one picture.
//
// Writes `path` (.png). gnuplot runs in a folder of its own on files whose names are ours, so no
// path reaches it, and of text from outside only what is quoted. Without gnuplot the script, with
// its data inside, is written beside `path` (with .gp for .png) and a line on stderr says how to
// draw it; returns false then.
bool write_plots(const std::string& path, const std::vector<Plot>& plots);

}  // namespace ebb::apps
