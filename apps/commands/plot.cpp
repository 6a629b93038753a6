#include <ebb/apps/commands/commands.h>
#include <ebb/apps/evaluation/comparison.h>
#include <ebb/apps/runs/run_plots.h>
#include <ebb/apps/system/console.h>
#include <ebb/apps/system/progress.h>

#include <cmath>
#include <memory>

namespace ebb::apps {
namespace {

struct SamplersOptions {
  ComparisonRequest request;
  std::string run, out, classes;
};

void plot_samplers(SamplersOptions& options) {
  const RunFolder run = RunFolder::open(options.run);
  const std::unique_ptr<Model> model = run.load_model();
  const std::int64_t classes = model->num_classes();
  if (!options.classes.empty() || classes > 0)
    options.request.labels =
        parse_classes(options.classes.empty() ? "all" : options.classes, classes);
  if (options.out.empty()) options.out = run.file("samplers.png");
  catch_interrupts();
  Progress progress("samplers", "cells");
  const auto cells = static_cast<double>(samplers().size() * options.request.steps.size());
  const Image image = compare_samplers(*model, run.config(), options.request, [&](double fraction) {
    if (interrupted()) throw Cancelled();
    progress.update(fraction, std::llround(fraction * cells));
  });
  write_png(options.out, image);
  print("{}\n", options.out);
}

void add_samplers(CLI::App* plot) {
  const auto o = std::make_shared<SamplersOptions>();
  CLI::App* samplers =
      plot->add_subcommand("samplers", "Every sampler on a trained model, at several steps");
  samplers->add_option("RUN", o->run, "Folder of the run")->required();
  samplers->add_option("--out", o->out, "The picture (default: samplers.png in the run)");
  samplers->add_option("--steps", o->request.steps, "Numbers of steps")
      ->delimiter(',')
      ->capture_default_str()
      ->check(CLI::Range(1, 100'000));
  samplers->add_option("--count", o->request.count, "Images of each")
      ->capture_default_str()
      ->check(CLI::Range(1, 100));
  samplers->add_option("--guidance", o->request.guidance, "1: the classes as they are")
      ->capture_default_str();
  samplers->add_option("--classes", o->classes, "Class numbers, in turn (default: all)");
  samplers->add_option("--seed", o->request.seed, "All start from its noise")
      ->capture_default_str();
  samplers->callback([o] { plot_samplers(*o); });
}

}  // namespace

void add_plot_command(CLI::App& app) {
  CLI::App* plot = app.add_subcommand("plot", "Schedules and losses as pictures");
  plot->require_subcommand(1);

  struct Options {
    std::string out = "schedules.png", run;
    std::int64_t timesteps = 1000;
  };
  const auto options = std::make_shared<Options>();
  CLI::App* schedules = plot->add_subcommand("schedules", "Every noise schedule");
  schedules->add_option("--out", options->out, "The picture")->capture_default_str();
  schedules->add_option("--timesteps", options->timesteps, "T")
      ->capture_default_str()
      ->check(CLI::Range(2, 100'000));
  schedules->callback([options] {
    write_schedule_plot(options->out, options->timesteps);
    print("{}\n", options->out);
  });

  add_samplers(plot);
  CLI::App* loss = plot->add_subcommand("loss", "Loss, gradient norm and learning rate of a run");
  loss->add_option("RUN", options->run, "Folder of the run")->required();
  loss->callback([options] {
    const RunFolder run = RunFolder::open(options->run);
    check(!run.metrics().empty(), "{}: no metrics yet; train it first", run.path());
    write_loss_plot(run);
    print("{}\n", run.file("loss.png"));
  });
}

}  // namespace ebb::apps
