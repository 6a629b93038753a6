// What `ebb sample` does beside drawing from noise (diffusion/samplers/editing.h).
#pragma once

#include <ebb/apps/runs/sampling.h>

#include <memory>
#include <string>
#include <vector>

namespace ebb::apps {

struct EditOptions {
  std::int64_t interpolate = 0;  // columns of a row from one noise to another
  // A PNG, or "data" for the run's first test images: what the others start from.
  std::string from = {};
  double strength = 0;    // image-to-image
  std::string mask = {};  // inpainting: source_mask
  std::int64_t resample = 10;
  bool reconstruct = false;  // inversion and back
};

// (1, H, W, 1): 1 where an image is kept, 0 where it is painted anew. `mask` is a PNG whose black
// is painted anew, or left, right, top, bottom or center, the part to paint.
Tensor source_mask(const std::string& mask, std::int64_t height, std::int64_t width);

class Editing {
 public:
  // Gives `request` the drawing that the options ask for, none if they ask for nothing. Options
  // that contradict each other are a UsageError.
  Editing(const EditOptions& options, SampleRequest& request, const RunConfig& config);

  // The results with what they came from: in rows of `columns`, sources (what is painted anew in
  // gray), latents, results.
  Tensor picture(const Tensor& results, std::int64_t& columns) const;

 private:
  Tensor shown_;  // (count, H, W, C), or undefined
  std::shared_ptr<std::vector<Tensor>> latents_ = std::make_shared<std::vector<Tensor>>();
  std::int64_t columns_ = 0;
};

}  // namespace ebb::apps
