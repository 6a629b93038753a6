// Layout: what is to be seen in which part of a picture.
#pragma once

#include <ebb/diffusion/guidance/denoiser.h>

#include <vector>

namespace ebb {

// A part of a picture, in shares of its width and height from the left and the top.
struct Box {
  double left = 0, top = 0, width = 1, height = 1;
};
// (N, height, width, 1) float32: 1 for the pixels whose middle is in the sample's box, else 0.
Tensor box_masks(const std::vector<Box>& boxes, std::int64_t height, std::int64_t width);

// The predictors' outputs, each where its mask (N, H, W, 1) says, together their mean weighted by
// the masks (MultiDiffusion: Bar-Tal et al. 2023, eq. 5). `everywhere` has the weight `share`
// wherever it is not alone, and 1 where no mask is.
struct RegionalPredictor {
  Predictor predictor;
  Tensor mask;
};
Predictor regional(Predictor everywhere, double share, std::vector<RegionalPredictor> regions);

}  // namespace ebb
