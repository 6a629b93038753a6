#include <ebb/autograd/ops.h>
#include <ebb/diffusion/guidance/guidance.h>

#include <cmath>

namespace ebb {

Denoiser classifier_guided(Denoiser denoiser, NoisyClassifier classifier, Tensor labels,
                           GuidanceScale scale) {
  return [=](const Tensor& x, const Level& level) {
    Estimate e = denoiser(x, level);
    const double w = scale(level);
    check(std::isfinite(w), "guidance: the scale is {}; it must be a finite number", w);
    if (w == 0 || level.alpha == 0) return e;
    const GradMode record(true);
    const Variable input(x, /*requires_grad=*/true);
    const Variable logits = classifier(input, level);
    check(logits.rank() == 2 && labels.shape() == Shape{x.size(0)},
          "classifier guidance: logits {} and labels {} for images {}; needs (N, classes) and (N)",
          logits.shape(), labels.shape(), x.shape());
    sum(gather(log_softmax(logits, 1), 1, labels.reshape({-1, 1}))).backward();
    e.eps = axpby(1, e.eps, -w * level.sigma, input.grad());
    e.x0 = axpby(1, e.x0, w * level.sigma * level.sigma / level.alpha, input.grad());
    return e;
  };
}

}  // namespace ebb
