// Many images in one picture, with words beside its rows and above its columns.
#pragma once

#include <ebb/apps/images/grid.h>

#include <string>

namespace ebb::apps {

struct GridLabels {
  std::vector<std::string> rows = {};     // from the first row down
  std::vector<std::string> columns = {};  // each over `span` columns
  std::int64_t span = 1;
};
// images as make_grid's.
Image labelled_grid(const Tensor& images, std::int64_t columns, std::int64_t scale,
                    const GridLabels& labels);

}  // namespace ebb::apps
