// The latents of a data set's images, computed once and kept in a file.
#pragma once

#include <ebb/apps/data/dataset.h>
#include <ebb/diffusion/latent/autoencoder_kl.h>

namespace ebb::apps {

// Names an autoencoder by what it holds: a checksum (XXH3) of its weights and its scale, 16 digits.
std::string content_hash(AutoencoderKL& autoencoder);

// The means of all images' latents, (N, h, w, C) float32, not scaled. They are read from `path`
// where that file is of this autoencoder, by its hash, and of as many images, else computed under a
// line of progress. An Error where memory does not hold them.
Tensor latents_of(const Dataset& data, AutoencoderKL& autoencoder, const std::string& path);
void write_latents(const std::string& path, const Tensor& latents, const std::string& hash);

// Gives the autoencoder the scale by which these latents have mean 0 and standard deviation 1.
void measure_scale(AutoencoderKL& autoencoder, const Tensor& latents);

constexpr std::int64_t latents_at_once = 32;
// Scaled latents (N, h, w, C) to images in [-1, 1], not clamped, latents_at_once at a time.
Tensor decode_latents(const AutoencoderKL& autoencoder, const Tensor& scaled);

}  // namespace ebb::apps
