#include <ebb/autograd/ops.h>
#include <ebb/diffusion/text/word_maps.h>

#include <algorithm>
#include <cmath>

namespace ebb {

Tensor word_maps(TextToImage& model, const Tensor& x, const Tensor& t, const Tensor& tokens) {
  const NoGrad no_grad;
  std::vector<Variable> attentions;
  Conditioning given;
  given.text_tokens = tokens;
  TextContext text = model.context(given, x.size(0), x.device());
  text.probabilities = &attentions;
  model.unet()(x, t, {}, text);
  check(!attentions.empty(), "word_maps: a network without cross-attention; there is none to show");
  std::int64_t most = 0;
  for (const Variable& p : attentions) most = std::max(most, p.size(2));
  // Places are in rows, as the image's pixels: h w = most, h / w = H / W.
  const double ratio = static_cast<double>(x.size(1)) / static_cast<double>(x.size(2));
  const auto height_of = [ratio](std::int64_t places) {
    return static_cast<std::int64_t>(std::lround(std::sqrt(static_cast<double>(places) * ratio)));
  };
  const std::int64_t height = height_of(most), width = most / height;
  Tensor sum;
  for (const Variable& p : attentions) {
    const std::int64_t h = height_of(p.size(2)), w = p.size(2) / h;
    const Tensor map = mean(p.value(), {1}).reshape({p.size(0), h, w, p.size(3)});
    const Tensor large = interpolate(Variable(map), height, width, Interpolation::bilinear).value();
    sum = sum.defined() ? sum + large : large;
  }
  return sum * (1.0 / static_cast<double>(attentions.size()));
}

}  // namespace ebb
