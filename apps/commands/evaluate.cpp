#include <ebb/apps/commands/commands.h>
#include <ebb/apps/commands/device_flag.h>
#include <ebb/apps/commands/sampler_flags.h>
#include <ebb/apps/evaluation/evaluation.h>
#include <ebb/apps/evaluation/reconstruction.h>
#include <ebb/apps/evaluation/scene_evaluation.h>
#include <ebb/apps/evaluation/sweep.h>
#include <ebb/apps/images/grid.h>
#include <ebb/apps/runs/run_folder.h>
#include <ebb/apps/system/console.h>
#include <ebb/apps/system/progress.h>
#include <ebb/tensor/io/atomic_file.h>
#include <ebb/tensor/ops/layout.h>

#include <filesystem>
#include <memory>

namespace ebb::apps {
namespace {

using Json = nlohmann::json;

struct EvaluateOptions {
  SamplerFlags sampler;
  FeatureClassifierOptions classifier;
  SweepOptions sweep;
  std::string run, out, weights = "ema";
  std::int64_t checkpoint = -1;
};

RunFolder::Weights weights_of(const EvaluateOptions& options) {
  return options.weights == "raw" ? RunFolder::Weights::raw : RunFolder::Weights::ema;
}

// A row of samples over a row of their nearest training images, four times.
void write_neighbours(const std::string& path, const Evaluation& evaluation, const Tensor& samples,
                      const Neighbours& neighbours) {
  constexpr std::int64_t columns = 10, rows = 4;
  std::vector<Tensor> parts;
  for (std::int64_t first = 0; first + columns <= samples.size(0) && first < rows * columns;
       first += columns) {
    parts.push_back(clip_x0(slice(samples, 0, first, first + columns), {Clip::Kind::range}));
    parts.push_back(evaluation.training_images(
        {neighbours.index.begin() + first, neighbours.index.begin() + first + columns}));
  }
  write_grid(path, cat(parts, 0), {.columns = columns});
}

void print_row(const char* name, const Json& json, const char* key, int digits) {
  const auto cell = [&](const Json& from) {
    return from.contains(key) ? fmt::format("{:.{}f}", from[key].get<double>(), digits)
                              : std::string("-");
  };
  print("{:<42}{:>12}{:>12}\n", name, cell(json["samples"]), cell(json["floor"]));
}

void print_table(const Json& json) {
  print("{:<42}{:>12}{:>12}\n", "", "samples", "floor");
  print_row("class-conditional accuracy", json, "accuracy", 4);
  print_row("Frechet distance", json, "frechet_distance", 3);
  print_row("kernel distance (KID), unbiased", json, "kernel_distance", 5);
  print_row("precision", json, "precision", 4);
  print_row("recall", json, "recall", 4);
  print_row("distance to nearest training image, median", json, "nearest_distance", 3);
  print_row("nearer than 99% of new images: memorised?", json, "memorised", 4);
  print_row("bits per dimension, bound", json, "bits_per_dimension", 3);
}

double share_below(const Neighbours& neighbours, double limit) {
  double count = 0;
  for (const double distance : neighbours.distance) count += distance < limit;
  return count / static_cast<double>(neighbours.distance.size());
}

void evaluate_samples(const EvaluateOptions& options, const RunFolder& run, const RunConfig& config,
                      const Evaluation& evaluation, Json json) {
  const Device device = options.sampler.request.device;
  const std::unique_ptr<Model> model =
      run.load_model(weights_of(options), options.checkpoint, device);
  const Tensor samples = draw_for(evaluation, *model, config, options.sampler.request);
  json["samples"] = to_json(evaluation.measure(samples));
  json["floor"] = to_json(evaluation.floor());

  const Neighbours near = evaluation.nearest_training_images(samples);
  const Neighbours fresh = evaluation.nearest_training_images_of_test();
  const double limit = hundredth(fresh.distance);
  json["samples"]["nearest_distance"] = median(near.distance);
  json["floor"]["nearest_distance"] = median(fresh.distance);
  json["samples"]["memorised"] = share_below(near, limit);
  json["floor"]["memorised"] = share_below(fresh, limit);
  if (const auto bits = evaluation.bits_per_dimension(*model, device, Split::test)) {
    json["samples"]["bits_per_dimension"] = *bits;
    json["floor"]["bits_per_dimension"] =
        *evaluation.bits_per_dimension(*model, device, Split::train);
  }

  const std::string picture = std::filesystem::path(options.out).replace_extension(".png").string();
  write_neighbours(picture, evaluation, samples, near);
  write_file(options.out, json.dump(2) + "\n");
  print_table(json);
  print("{}\n{}\n", options.out, picture);
}

void evaluate_autoencoder(EvaluateOptions& options, const RunFolder& run) {
  check_usage(options.sweep.over.empty(),
              "--sweep {}: {} holds an autoencoder, whose reconstructions are judged; leave it out",
              options.sweep.over, run.path());
  if (options.checkpoint < 0) options.checkpoint = run.newest_checkpoint();
  const std::unique_ptr<AutoencoderKL> autoencoder =
      run.load_autoencoder(weights_of(options), options.checkpoint);
  evaluate_reconstructions(*autoencoder, run.config(), options.classifier,
                           options.sampler.request.count,
                           {{"run", run.path()},
                            {"weights", options.weights},
                            {"checkpoint", options.checkpoint},
                            {"minutes", run.seconds_at(options.checkpoint) / 60}},
                           options.out);
}

void evaluate(EvaluateOptions& options) {
  const bool sweeps = !options.sweep.over.empty();
  SampleRequest& request = options.sampler.request;
  const RunFolder run = RunFolder::open(options.run);
  if (options.out.empty())
    options.out =
        run.file(sweeps ? fmt::format("sweep-{}.json", options.sweep.over) : "evaluation.json");
  check_usage(options.out.ends_with(".json"), "--out {}: give a name that ends in .json",
              options.out);
  if (run.config().model == "autoencoder") return evaluate_autoencoder(options, run);
  RunConfig config = run.config();
  settle(options.sampler, config);
  try {
    for (const std::string& name : options.sweep.samplers) find_sampler(name);
  } catch (const Error& error) {
    throw UsageError(error.what());
  }
  if (options.checkpoint < 0) options.checkpoint = run.newest_checkpoint();

  Json json{{"run", run.path()},
            {"weights", options.weights},
            {"count", request.count},
            {"seed", request.seed},
            {"guidance", request.guidance},
            {"sampler", request.sampler},
            {"steps", request.steps},
            {"checkpoint", options.checkpoint},
            {"minutes", run.seconds_at(options.checkpoint) / 60}};
  if (request.spacing) json["spacing"] = name_of(*request.spacing);  // else the samplers' usual
  if (config.text && config.data.data == "scenes") {
    catch_interrupts();
    const std::unique_ptr<Model> model =
        run.load_model(weights_of(options), options.checkpoint, request.device);
    evaluate_scenes({options.sweep.over, options.sweep.values}, *model, config, request,
                    options.classifier, std::move(json), options.out);
    return;
  }
  const Evaluation evaluation(run.config(), options.classifier, request.count, request.seed);
  if (evaluation.classifier_accuracy()) {
    json["judge"] = {{"file", evaluation.classifier_file()},
                     {"test_accuracy", *evaluation.classifier_accuracy()}};
    note(fmt::format("the classifier is right on {:.2f}% of the test images{}",
                     100 * *evaluation.classifier_accuracy(),
                     evaluation.classifier_file().empty()
                         ? ""
                         : "; it is kept in " + evaluation.classifier_file()));
  }
  if (sweeps)
    run_sweep(options.sweep, run, config, weights_of(options), evaluation, request,
              options.checkpoint, json, options.out);
  else
    evaluate_samples(options, run, config, evaluation, json);
}

}  // namespace

void add_evaluate_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand("evaluate", "How good a run's samples are");
  const auto o = std::make_shared<EvaluateOptions>();
  o->sampler.request.count = 1000;
  o->classifier.cache = default_cache();
  command->option_defaults()->always_capture_default();
  command->add_option("RUN", o->run, "Folder of the run")->required();
  command->add_option("--count", o->sampler.request.count, "Samples; compare at equal numbers only")
      ->check(CLI::Range(10, 1'000'000));
  add_sampler_flags(*command, o->sampler);
  add_device_option(*command, o->sampler.request.device);
  command->add_option("--seed", o->sampler.request.seed,
                      "Of the samples and the real images chosen");
  command->add_option("--checkpoint", o->checkpoint, "Step of the checkpoint; -1: the newest");
  command->add_option("--weights", o->weights, "ema (average) or raw")
      ->check(CLI::IsMember({"ema", "raw"}));
  command->add_option("--cache", o->classifier.cache,
                      "Folder where the classifier of the run's data set is kept");
  command
      ->add_option("--classifier-steps,--judge-steps", o->classifier.steps,
                   "Steps of its training, 128 images each (default: 2000, or 50 passes over the "
                   "images if that is less)")
      ->check(CLI::Range(1, 1'000'000))
      ->default_str("");
  command->add_option("--out", o->out,
                      "The figures (default: evaluation.json in the run), a picture beside them");
  command
      ->add_option("--sweep", o->sweep.over,
                   "Instead a curve: over steps (of several samplers), over guidance, or over "
                   "checkpoints (ebb train --keep-every-minutes)")
      ->check(CLI::IsMember({"steps", "guidance", "checkpoints"}));
  command->add_option("--values", o->sweep.values, "Steps or guidance to try")->delimiter(',');
  command->add_option("--samplers", o->sweep.samplers, "Samplers of --sweep steps")->delimiter(',');
  command->callback([o] { evaluate(*o); });
}

}  // namespace ebb::apps
