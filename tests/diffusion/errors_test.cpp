// What diffusion says of arguments that do not fit.
#include <ebb/diffusion/guidance/guidance.h>
#include <ebb/diffusion/losses/loss.h>
#include <ebb/diffusion/losses/objective.h>
#include <ebb/diffusion/losses/variational_bound.h>
#include <ebb/diffusion/metrics/metrics.h>
#include <ebb/diffusion/models/classifier.h>
#include <ebb/diffusion/models/time_embedding.h>
#include <ebb/diffusion/samplers/editing.h>
#include <ebb/diffusion/samplers/samplers.h>
#include <ebb/diffusion/schedules/schedule.h>

#include <cmath>

#include "tests/check_message.h"
#include "tests/normals.h"

namespace ebb::test {
namespace {

Path table_of(std::int64_t T) { return Path::discrete(alphas_cumprod(linear_betas(T))); }

TEST_CASE("the bound: a table, its own times, one shape") {
  const Tensor x = normals({2, 3}, 1), wide = normals({2, 4}, 2);
  const auto times = [](double a, double b) { return Tensor::from(std::vector<double>{a, b}); };
  const auto bound = [](const Path& path, const BoundInputs& inputs, const Tensor& output) {
    bound_terms(path, Prediction::epsilon, inputs, Variable(output));
  };
  check_message(
      [&] {
        bound(Path::flow(), {x, x, times(0, 1)}, x);
      },
      "a table of at least 2 steps");
  check_message([&] { bound(table_of(9), {x, x, times(1, 2.5)}, x); }, "t = 2.5; the steps of a");
  check_message(
      [&] {
        bound(table_of(9), {x, x, times(1, 2)}, wide);
      },
      "x_0 (2, 3), x_t (2, 3) and output (2, 4) must have one shape");
}

TEST_CASE("the classifier and the measures: images, features and labels that fit") {
  PhiloxGenerator generator(0);
  check_message([&] { Classifier(1, 1, generator); }, "Classifier: 1 classes; two or more");
  const Classifier classifier(1, 2, generator);
  check_message(
      [&] {
        classifier.features(Variable(Tensor::zeros({1, 3, 4, 1})));
      },
      "images of shape (1, 3, 4, 1)");
  check_message([&] { classify(classifier, Tensor::zeros({0, 4, 4, 1})); }, "at least one image");
  const Tensor a = normals({9, 4}, 1), b = normals({9, 3}, 2);
  check_message([&] { frechet_distance(a, b); }, "rows of 4 and of 3 numbers");
  check_message([&] { kernel_distance(normals({1, 4}, 1), a); }, "N at least 2 is needed");
  check_message([&] { precision_recall(a, a, 0); }, "precision_recall: k is 0");
  check_message([&] { nearest(normals({4}, 1), a); }, "nearest: (4,) among (9, 4)");
  check_message([&] { accuracy(a, Tensor::arange(8)); }, "logits (9, 4) and labels (8,)");
}

TEST_CASE("guidance: scales are numbers, labels are as many as images") {
  const Path path = table_of(10);
  const Tensor x = normals({2, 1}, 1), labels = Tensor::from(std::vector<std::int64_t>{0, 1});
  const Predictor same = [](const Tensor& y, const Level&) { return y; };
  const GuidanceScale wrong = [](const Level&) { return NAN; };
  check_message([&] { autoguided(same, same, wrong)(x, path.at(0)); }, "the scale is nan");
  check_message([&] { guide(x, x, INFINITY); }, "the scale is inf");
  check_message([&] { ramped_scale(path, NAN, 1); }, "from nan to 1");

  const Denoiser plain = make_denoiser(same, Prediction::epsilon);
  const NoisyClassifier logits = [](const Variable& y, const Level&) { return y; };
  const auto guided = [&](const Tensor& some, const GuidanceScale& scale) {
    classifier_guided(plain, logits, some, scale)(x, path.at(5));
  };
  check_message([&] { guided(labels, wrong); }, "the scale is nan");
  check_message([&] { guided(Tensor::arange(3), [](const Level&) { return 1.0; }); },
                "logits (2, 1) and labels (3,) for images (2, 1)");
}

TEST_CASE("denoisers, noise and edits: shapes that fit") {
  const Path path = table_of(10);
  const Tensor x = normals({2, 3}, 1), y = normals({2, 4}, 2);
  const Predictor same = [](const Tensor& z, const Level&) { return z; };
  DenoiserOptions learned;
  learned.learned_variance = true;
  check_message([&] { make_denoiser(same, Prediction::epsilon, learned)(x, path.at(3)); },
                "output (2, 3) for x (2, 3); a learned variance needs twice the channels");
  check_message([&] { slerp(x, y, 0.5); }, "latents (2, 3) and (2, 4)");
  const Sampling sampling{
      make_denoiser(same, Prediction::epsilon), path, make_grid(path, 2), philox_noise(1), {}};
  check_message([&] { repaint(sampling, x, y, Tensor::ones({1})); },
                "the known image is (2, 4) but x (2, 3)");
  check_message([&] { timestep_embedding(Tensor::zeros({2, 1}), 8); }, "t has shape (2, 1)");
  check_message([&] { philox_noise(1, std::vector<std::int64_t>{0})(x, 0); },
                "a batch of 2 for 1 sample numbers");
  check_message([&] { weighted_mse(Variable(x), y); }, "output (2, 3) but target (2, 4)");
}

TEST_CASE("predictions: one shape, a time for each image, a way to clip") {
  const Path path = table_of(10);
  const Tensor x = normals({2, 3}, 1), y = normals({2, 4}, 2);
  const Tensor times = Tensor::zeros({3}, DType::float64);
  check_message([&] { x0_eps_of(Prediction::v, x, y, path.at(1)); },
                "x is (2, 3) but the model's output is (2, 4)");
  check_message([&] { add_noise(path, x, y, times); }, "images (2, 3) but noise (2, 4)");
  check_message([&] { add_noise(path, x, x, times); }, "add_noise: ");
  check_message([&] { per_sample({1, 2, 3}, x); }, "3 ");
  check_message([&] { clip_x0(x, {.kind = Clip::Kind::dynamic, .percentile = 1.5}); }, "1.5");
  check_message([&] { clip_x0(x, {.kind = Clip::Kind::dynamic, .maximum = 0}); },
                "maximum 0 positive");
}

TEST_CASE("samplers: numbers that they cannot take") {
  const Path path = Path::edm();
  const Denoiser zero = [](const Tensor& y, const Level&) { return Estimate{y * 0.0, y, {}}; };
  const Sampling s{zero, path, make_grid(path, 2, Spacing::karras), philox_noise(1), {}};
  const Tensor x = normals({2, 3}, 1);
  check_message([&] { consistency(s, x, -0.5); }, "consistency: s_min = -0.5");
  check_message([&] { lcm(s, x, {.sigma_data = 0}); }, "lcm: sigma_data = 0");
  check_message([&] { ddpm(s, x, DdpmVariance::learned_range); }, "the model predicts no variance");
  check_message([&] { deis(s, x, {.order = 5}); }, "deis: order 5");
  check_message([&] { unipc(s, x, {.order = 4}); }, "unipc: order 4");
}

TEST_CASE("paths: ratios and ends that there are") {
  const Path path = table_of(10);
  check_message([&] { path.at_ratio(-1); }, "ratio sigma / alpha = -1");
  check_message([&] { path.at_ratio(NAN); }, "ratio sigma / alpha = nan");
  check_message([&] { Path::edm().at_ratio(INFINITY); }, "pure noise");
  const auto ratio = [](double t) { return t; };
  check_message([&] { Path::continuous(Scaling::flow, ratio, ratio, 2, 1); },
                "times from 2 (data) to 1 (noise); they must grow");
  check_message([] { Path::edm(2, 1); }, "sigma from 2 to 1");
  check_message([] { Path::edm(0.1, INFINITY); }, "sigma from 0.1 to inf");
}

TEST_CASE("schedules and spacings: numbers of which there is one") {
  check_message([] { sigmoid_alpha_bar_betas(9, 3, -3); }, "start 3 must be below end -3");
  check_message([] { exponential_betas(9, 0); }, "rate 0 must be positive");
  check_message([] { laplace_betas(9, 0, 0); }, "width b = 0 must be positive");
  check_message([] { zero_terminal_snr({0.5}); }, "1 steps; at least 2 are needed");
  check_message([] { karras_ratios(5, 0.1, 10, 0); }, "rho = 0; it must be positive");
  check_message([] { lms_coefficients({}, 2, 1); }, "lms: 0 nodes");
}

}  // namespace
}  // namespace ebb::test
