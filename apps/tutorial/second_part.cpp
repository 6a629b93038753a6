#include <ebb/apps/data/latents.h>
#include <ebb/apps/evaluation/reconstruction.h>
#include <ebb/apps/evaluation/scene_evaluation.h>
#include <ebb/apps/images/labelled_grid.h>
#include <ebb/apps/runs/run_folder.h>
#include <ebb/apps/system/console.h>
#include <ebb/apps/training/start.h>
#include <ebb/apps/tutorial/second_part.h>
#include <ebb/diffusion/text/word_maps.h>
#include <ebb/tensor/ops/layout.h>
#include <ebb/tensor/ops/pointwise.h>
#include <ebb/tensor/ops/pool.h>
#include <ebb/tensor/ops/reduce.h>

#include <chrono>
#include <filesystem>

namespace ebb::apps {
namespace {

constexpr std::int64_t side_by_side = 8;
constexpr double guidance = 2;

struct Tutorial : SecondPart {
  std::string at(const std::string& name) const { return out + "/" + name; }

  // The run `name`, trained for a share of the minutes if it is not there.
  RunFolder run(const std::string& name, double share, TrainOptions options) const {
    if (!std::filesystem::exists(at(name + "/config.json"))) {
      options.out = at(name);
      options.plan.minutes = share * minutes;
      if (options.teacher.empty()) options.config.data.data = "scenes";
      train(options);
    }
    return RunFolder::open(at(name));
  }

  void autoencoder() const {
    print("8. An autoencoder: pictures small enough to be learned quickly\n");
    TrainOptions options;
    options.config.model = "autoencoder";
    const RunFolder folder = run("autoencoder", 0.15, options);
    const std::unique_ptr<AutoencoderKL> network = folder.load_autoencoder();
    evaluate_reconstructions(*network, folder.config(), judge, judged, {},
                             at("reconstructions.json"));

    const auto data = open_dataset(folder.config().data, Split::test);
    const Tensor images = data->batch({0, 1, 2, 3, 4, 5, 6, 7}).images;
    const NoGrad no_grad;
    const Tensor latents = network->encode(images).mean.value();
    measure_scale(*network, latents);
    // Three of the channels as colours, at three standard deviations full.
    const Tensor colors = clamp(slice(network->scaled(latents), 3, 0, 3) * (1.0 / 3), -1, 1);
    const Tensor large =
        interpolate(colors, images.size(1), images.size(2), Interpolation::nearest);
    picture("latents.png", cat({images, large, clamp(network->decode(latents).value(), -1, 1)}, 0),
            {{"image", "latents", "decoded"}, {}, 1});
  }

  void words(const TextToImage& model, const RunConfig& config) const {
    const std::vector<std::string> prompts{
        "a red circle", "three green triangles", "a large blue cross",
        "a white square left of a purple circle", "a yellow circle above a red square"};
    std::vector<Tensor> rows;
    for (const std::string& prompt : prompts)
      rows.push_back(draw_samples(model, config, request({prompt}, side_by_side)));
    picture("prompts.png", clamp(cat(rows, 0), -1, 1), {prompts, {}, 1});
  }

  void maps(TextToImage& model, const RunConfig& config) const {
    print("\n10. Where it looks for a word, at half of the noise\n");
    const std::string prompt = "a white square left of a purple circle";
    const std::vector<std::string> shown{"white", "square", "left", "purple", "circle"};
    const Tensor images = draw_samples(model, config, request({prompt}, 4));
    const Path path = make_path(config);
    const Level half = path.at(0.5 * (path.t_data() + path.t_noise()));
    const Tensor eps = philox_normal(images.shape(), {0, Purpose::noise});
    const Tensor x = axpby(half.alpha, images, half.sigma, eps);
    const Tensor tokens = model.told(std::vector<std::string>(4, prompt)).text_tokens;
    const Tensor maps = interpolate(word_maps(model, x, times_of(half, x), tokens), images.size(1),
                                    images.size(2), Interpolation::bilinear);
    const std::vector<std::int64_t> row = select(tokens, 0, 0).to_vector<std::int64_t>();
    std::vector<Tensor> columns{clamp(images, -1, 1)};
    for (const std::string& word : shown)
      for (std::size_t i = 0; i < row.size(); ++i)
        if (row[i] < model.tokenizer().start() && model.tokenizer().bytes_of(row[i]) == word) {
          const Tensor map =
              slice(maps, 3, static_cast<std::int64_t>(i), static_cast<std::int64_t>(i) + 1);
          const Tensor most = amax(map, {1, 2}, true);
          columns.push_back(broadcast_to(map / most * 2.0 - 1.0, images.shape()));
        }
    // (columns, rows, ...) to (rows, columns, ...).
    const Tensor all = stack(columns, 1);
    const Shape& s = all.shape();
    std::vector<std::string> names{"image"};
    names.insert(names.end(), shown.begin(), shown.end());
    picture("words.png", all.reshape({s[0] * s[1], s[2], s[3], s[4]}), {{}, names, 1}, s[1]);
  }

  void fewer_steps(const Model& teacher, const RunConfig& config) const {
    print("\n12. Fewer steps: students, each of the one before it\n");
    print("{:<28}{:>10}{:>10}{:>16}\n", "", "things", "whole", "seconds/image");
    const SceneClassifier classifier(config.image.width, judge);
    const std::vector<Scene> asked = asked_scenes(SceneKind::seen, judged);
    std::vector<Tensor> rows;
    std::vector<std::string> names;
    const auto see = [&](const std::string& name, const Model& model, const RunConfig& of,
                         SampleRequest how) {
      how.prompts.clear();
      for (const Scene& scene : asked) how.prompts.push_back(caption_of(scene));
      const auto start = std::chrono::steady_clock::now();
      const Tensor images = draw_samples(model, of, how);
      const double seconds =
          std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      const SceneShares shares = judge_scenes(asked, images, classifier);
      print("{:<28}{:>10.3f}{:>10.3f}{:>16.4f}\n", name, shares.things, shares.whole,
            seconds / static_cast<double>(judged));
      rows.push_back(clamp(slice(images, 0, 0, side_by_side), -1, 1));
      names.push_back(name);
    };
    for (const std::int64_t few : {steps, std::int64_t{4}, std::int64_t{2}, std::int64_t{1}}) {
      SampleRequest how = request({}, judged);
      how.steps = few;
      see(fmt::format("teacher {} steps", few), teacher, config, how);
    }
    TrainOptions options;
    options.teacher = at("text");
    options.teacher_guidance = guidance;
    for (const std::int64_t few : {4, 2, 1}) {
      options.student_steps = few;
      const RunFolder folder = run(fmt::format("steps-{}", few), 0.1, options);
      SampleRequest how;
      use_as_taught(how, *folder.config().student);
      how.count = judged;
      see(fmt::format("student {} steps", few), *folder.load_model(), folder.config(), how);
      options.teacher = folder.path();
      options.teacher_guidance = 1;
    }
    picture("steps.png", cat(rows, 0), {names, {}, 1});
  }

  SampleRequest request(std::vector<std::string> prompts, std::int64_t count) const {
    SampleRequest request;
    request.steps = steps;
    request.prompts = std::move(prompts);
    request.count = count;
    request.guidance = guidance;
    return request;
  }

  void picture(const std::string& name, const Tensor& images, const GridLabels& labels,
               std::int64_t columns = side_by_side) const {
    write_png(at(name), labelled_grid(images, columns, 2, labels));
    print("  -> {}\n", at(name));
  }
};

}  // namespace

void second_part(const SecondPart& options) {
  const Tutorial tutorial{options};
  tutorial.autoencoder();
  print("\n9. Words: a text encoder and a U-Net that attends to it, trained together\n");
  const RunFolder run = tutorial.run("text", 0.55, {});
  const RunConfig& config = run.config();
  const std::unique_ptr<Model> model = run.load_model();
  auto& text = dynamic_cast<TextToImage&>(*model);
  tutorial.words(text, config);
  tutorial.maps(text, config);
  print("\n11. What was in training, and what never was; at more and more guidance\n");
  evaluate_scenes({"guidance", {1, guidance, 4}}, *model, config,
                  tutorial.request({}, options.judged), options.judge, {},
                  tutorial.at("scenes.json"));
  tutorial.fewer_steps(*model, config);
}

}  // namespace ebb::apps
