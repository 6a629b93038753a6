#include <ebb/apps/commands.h>
#include <ebb/apps/console.h>
#include <ebb/apps/plots.h>

#include <memory>

namespace ebb::apps {

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
