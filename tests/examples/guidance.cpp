// A diffusion model of points in the plane, with classes: trained, then sampled with guidance.
#include <ebb/ebb.h>

using namespace ebb;

// Told the time and the class by their embeddings; points are images (N, 1, 1, 2).
struct PointModel final : Model {
  explicit PointModel(Generator& g)
      : classes({.count = 4, .width = 32}, g),
        time({.in = 32, .out = 32}, g),
        in({.in = 2, .out = 64}, g),
        told({.in = 32, .out = 64}, g),
        middle({.in = 64, .out = 64}, g),
        out({.in = 64, .out = 2}, g) {}
  Variable operator()(const Variable& x, const Tensor& t,
                      const Conditioning& given) const override {
    const Tensor labels = labels_or_null(given, x.size(0), x.device());
    const Variable about = silu(time(Variable(timestep_embedding(t, 32))) + classes(labels));
    const Variable h = silu(in(x.reshape({-1, 2})) + told(about));
    return reshape(out(silu(middle(h))), x.shape().vector());
  }
  void visit(Visitor& v) override {
    v("classes", classes), v("time", time), v("in", in), v("told", told);
    v("middle", middle), v("out", out);
  }
  std::int64_t num_classes() const override { return 3; }

  Embedding classes;
  Linear time, in, told, middle, out;
};

// Class k lies about a point of its own.
const Tensor centres = Tensor::from<float>({1, 0, -0.5, 0.8, -0.5, -0.8}, {3, 2});

int main() {
  PhiloxGenerator random(1);
  PointModel model(random);
  const Path path = Path::discrete(alphas_cumprod(cosine_betas(100)));
  Trainer trainer(named_parameters(model), diffusion_objective(model, path), {.warmup_steps = 20});
  for (std::int64_t step = 0; step < 400; ++step) {
    const PhiloxAddress here{.seed = 3, .step = static_cast<std::uint64_t>(step)};
    const Tensor labels = philox_integers({128}, 0, 3, here);
    const Tensor points = index_select(centres, 0, labels) + philox_normal({128, 2}, here) * 0.1;
    trainer.step({points.reshape({128, 1, 1, 2}), labels}, static_cast<double>(step) / 400);
  }

  const NoGrad no_grad;
  const Tensor labels = repeat_interleave(Tensor::arange(3), 100, 0);
  const auto predict = [&](const Tensor& x, const Level& level, const Conditioning& given) {
    return model(x, times_of(level, x), given).value();
  };
  const Denoiser denoiser = make_denoiser(
      classifier_free(predict, labels, model.null_conditioning(300), 1.5), Prediction::v);
  const Tensor x = ddim({denoiser, path, make_grid(path, 30), {}, {}},
                        start_noise(path, {300, 1, 1, 2}, /*seed=*/5));
  const Tensor means = mean(x.reshape({3, 100, 2}), {1});
  fmt::print("centres\n{}\nmeans of samples\n{}\n", centres, means);
  return relative_error(means, centres) < 0.25 ? 0 : 1;
}
