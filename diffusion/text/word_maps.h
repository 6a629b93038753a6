// Where a network that is told a text looks for each of its tokens.
#pragma once

#include <ebb/diffusion/text/text_to_image.h>

namespace ebb {

// The attention of every place to every token of `tokens` (N, L) at x (N, H, W, C) and times t (N):
// the mean over the heads and all attentions of the network, each enlarged to the largest (DAAM:
// Tang et al. 2023, eq. 3), (N, h, w, L). Over the tokens a place's sum is 1.
Tensor word_maps(TextToImage& model, const Tensor& x, const Tensor& t, const Tensor& tokens);

}  // namespace ebb
