#include <ebb/apps/commands/commands.h>
#include <ebb/apps/commands/device_flag.h>
#include <ebb/apps/commands/edit_flags.h>
#include <ebb/apps/commands/sampler_flags.h>
#include <ebb/apps/images/grid.h>
#include <ebb/apps/runs/run_folder.h>
#include <ebb/apps/system/console.h>
#include <ebb/apps/system/progress.h>
#include <ebb/apps/training/captions.h>
#include <ebb/tensor/io/npy.h>
#include <ebb/tensor/ops/layout.h>

#include <filesystem>
#include <memory>

namespace ebb::apps {
namespace {

struct SampleOptions {
  SamplerFlags sampler;
  EditOptions edit;
  std::string run, out = "samples.png", trajectory, classes, negative, weights = "ema";
  std::vector<std::string> prompts;
  std::int64_t checkpoint = -1, columns = 0;
};

constexpr std::int64_t trajectory_rows = 10, trajectory_columns = 12;

// x_t at about `trajectory_columns` moments of the first samples: a row a sample.
class Trajectory {
 public:
  explicit Trajectory(const RunConfig& config) : config_(config) {}
  void see(const SamplingView& view) {
    const std::int64_t every =
        std::max<std::int64_t>(1, view.step.steps / (trajectory_columns - 1));
    const bool last = view.step.step + 1 == view.step.steps;
    if (view.first != 0 || (view.step.step % every != 0 && !last)) return;
    const std::int64_t rows = std::min(view.step.x.size(0), trajectory_rows);
    moments_.push_back(pictures_of(config_, slice(view.step.x, 0, 0, rows).to(Device::cpu)));
  }
  void write(const std::string& path) const {
    // (moments, rows, ...) to (rows, moments, ...).
    const Tensor all = stack(moments_, 1);
    const Shape& s = all.shape();
    write_grid(path, all.reshape({s[0] * s[1], s[2], s[3], s[4]}), {.columns = s[1]});
  }

 private:
  const RunConfig& config_;
  std::vector<Tensor> moments_;
};

// A grid of them, with what they came from.
void write_picture(const std::string& out, const Tensor& images, const SampleRequest& request,
                   const Editing& editing, std::int64_t columns) {
  const Tensor picture = editing.picture(images, columns);
  const std::size_t told = std::max(request.labels.size(), request.prompts.size());
  if (columns == 0 && told > 1 && told <= 20) columns = static_cast<std::int64_t>(told);
  write_grid(out, picture, {.columns = columns});
}

void write_labels(const std::string& out, const SampleRequest& request) {
  if (request.labels.empty()) return;
  const std::filesystem::path path = out;
  std::vector<std::int64_t> labels;
  for (std::int64_t i = 0; i < request.count; ++i) labels.push_back(of_sample(request.labels, i));
  write_npy((path.parent_path() / path.stem()).string() + "_labels.npy", Tensor::from(labels));
}

// The classes and prompts that were asked for.
void tell(SampleOptions& options, const RunConfig& config, const Model& model) {
  SampleRequest& request = options.sampler.request;
  if (!config.text) {
    check_usage(options.prompts.empty(),
                "--prompt: {} was trained without captions; leave it out{}", options.run,
                model.num_classes() > 0 ? ", or choose --classes" : "");
    if (!options.classes.empty() || model.num_classes() > 0)
      request.labels =
          parse_classes(options.classes.empty() ? "all" : options.classes, model.num_classes());
    if (!options.negative.empty())
      request.negative_labels = parse_classes(options.negative, model.num_classes());
    return;
  }
  check_usage(options.classes.empty(), "--classes: {} was trained with captions; give --prompt",
              options.run);
  check_usage(!options.prompts.empty() || options.negative.empty(),
              "--negative: without --prompt there is nothing to be guided to; give one");
  request.prompts = options.prompts;
  if (!options.negative.empty()) request.negative_prompts = {options.negative};
}

void note_prompts(const SampleRequest& request, const RunConfig& config) {
  if (!config.text) return;
  note_unusual(*config.text, request.prompts);
  note_unusual(*config.text, request.negative_prompts);
  if (request.prompts.empty()) note("no --prompt: images of anything");
}

void list_samplers() {
  for (const SamplerInfo& sampler : samplers()) print("{:<22}{}\n", sampler.name, sampler.summary);
}

void sample(SampleOptions& options) {
  check_usage(!options.run.empty(), "sample: name the folder of the run");
  const std::string end = std::filesystem::path(options.out).extension().string();
  check_usage(end == ".png" || end == ".npy", "--out {}: give a name that ends in .png or .npy",
              options.out);
  SampleRequest& request = options.sampler.request;
  const RunFolder run = RunFolder::open(options.run);
  RunConfig config = run.config();
  settle(options.sampler, config);
  const auto weights = options.weights == "raw" ? RunFolder::Weights::raw : RunFolder::Weights::ema;
  const std::unique_ptr<Model> model = run.load_model(weights, options.checkpoint, request.device);
  if (!options.sampler.guidance && !model->has_null_class()) request.guidance = 1;
  tell(options, config, *model);
  const Editing editing(options.edit, request, config);

  const BatchPlan plan = plan_batches(*model, config, request);
  std::string said = fmt::format("{} images, {} at a time; at most about {:.2f} GB of memory",
                                 request.count, plan.batch, plan.bytes / 1e9);
  if (plan.bytes < plan.wanted_bytes)
    said += fmt::format(" ({} at a time need {:.2f})", std::min(request.batch, request.count),
                        plan.wanted_bytes / 1e9);
  note_prompts(request, config);
  note(said);
  catch_interrupts();
  Trajectory trajectory(config);
  {
    Progress progress("sample", "images");
    const auto observe = [&](const SamplingView& view) {
      if (interrupted()) throw Cancelled();
      if (!options.trajectory.empty()) trajectory.see(view);
      const double in_batch = static_cast<double>(view.step.step + 1) / view.step.steps;
      const auto batch = static_cast<double>(view.step.x.size(0));
      progress.update((static_cast<double>(view.first) + in_batch * batch) / view.count,
                      view.first + static_cast<std::int64_t>(in_batch * batch));
    };
    if (end == ".npy") {
      const DatasetInfo& image = config.image;
      NpyWriter file(options.out, {request.count, image.height, image.width, image.channels});
      const auto append = [&](const Tensor& images) {
        file.append(clip_x0(images, {Clip::Kind::range}));
      };
      draw_each(*model, config, request, append, observe);
      file.commit();
      write_labels(options.out, request);
    } else {
      const Tensor images = draw_samples(*model, config, request, observe);
      write_picture(options.out, clip_x0(images, {Clip::Kind::range}), request, editing,
                    options.columns);
    }
  }
  print("{}\n", options.out);
  if (options.trajectory.empty()) return;
  trajectory.write(options.trajectory);
  print("{}\n", options.trajectory);
}

}  // namespace

void add_sample_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand("sample", "Draw images from a trained model");
  const auto o = std::make_shared<SampleOptions>();
  o->sampler.usual_guidance = 2;
  o->sampler.request.count = 100;
  command->option_defaults()->always_capture_default();
  command->add_option("RUN", o->run, "Folder of the run");
  command->add_option("--out", o->out,
                      "Grid of images (.png), or raw images in [-1, 1] (.npy) and their labels");
  add_sampler_flags(*command, o->sampler);
  add_device_option(*command, o->sampler.request.device);
  command->add_option("--prompt", o->prompts,
                      "What the images show, in words, in turn; may be given again");
  command->add_option("--negative", o->negative,
                      "Words, or class numbers in turn, to be guided away from (default: none)");
  command->add_option("--classes", o->classes, "Class numbers, in turn: 0-9, 3,5 (default: all)");
  command->add_option("--count", o->sampler.request.count, "Images")
      ->check(CLI::Range(1, 10'000'000));
  command->add_option("--seed", o->sampler.request.seed, "Image i is a function of the seed and i");
  command->add_option("--first", o->sampler.request.first_index, "Number of the first image")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--weights", o->weights, "ema (average) or raw")
      ->check(CLI::IsMember({"ema", "raw"}));
  command->add_option("--checkpoint", o->checkpoint, "Step of the checkpoint; -1: the newest");
  command->add_option("--columns", o->columns, "Columns of the grid; 0: by itself")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--trajectory", o->trajectory,
                      "Also a picture of the way from noise to image");
  command->add_option("--interpolate", o->edit.interpolate,
                      "Rows of so many images, each from one noise to another");
  command->add_option("--from", o->edit.from,
                      "Image to change: a .png, or \"data\" for test images of the run's data");
  command->add_option("--strength", o->edit.strength,
                      "Image-to-image: the part of the steps to run, up to 1");
  command->add_option("--mask", o->edit.mask,
                      "Inpainting: left, right, top, bottom, center, or a .png: paint its black");
  command->add_option("--resample", o->edit.resample, "Inpainting: passes over each step");
  command->add_flag("--reconstruct", o->edit.reconstruct,
                    "Image to noise and back; best with --guidance 1 --clip none");
  command->callback([o] {
    if (o->sampler.request.sampler == "list")
      list_samplers();
    else
      sample(*o);
  });
}

}  // namespace ebb::apps
