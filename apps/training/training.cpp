#include <ebb/apps/images/grid.h>
#include <ebb/apps/runs/run_plots.h>
#include <ebb/apps/system/console.h>
#include <ebb/apps/system/progress.h>
#include <ebb/apps/training/metrics_log.h>
#include <ebb/apps/training/training.h>
#include <ebb/diffusion/samplers/sampler.h>
#include <ebb/nn/training/batch_loader.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

namespace ebb::apps {
namespace {

// A run whose steps are again and again not finite has no use for more of them.
constexpr int most_skipped = 100, most_rollbacks = 5;

class Training {
 public:
  Training(RunFolder& run, const TrainingPlan& plan, const TrainingTask& task, Trainer& trainer,
           double seconds)
      : run_(run),
        plan_(plan),
        task_(task),
        trainer_(trainer),
        watch_(seconds),
        log_(run, seconds),
        order_(task.size, run.config().batch, run.config().training.seed),
        batches_([this](std::int64_t step) { return task_.batch(order_.indices(step)); },
                 plan.device),
        saved_(trainer.steps() > 0 ? trainer.steps() : -1),
        kept_(times_kept()) {}

  void run() {
    catch_interrupts();
    const std::int64_t first = trainer_.steps();
    try {
      take_steps();
      save(plan_.keep_every > 0 && !interrupted());
    } catch (const std::exception& error) {
      if (trainer_.steps() == first || saved_ == trainer_.steps() || !save_after(error)) throw;
      fail("{}; step {} is saved; go on with: ebb train --resume --out {}", error.what(),
           trainer_.steps(), run_.path());
    }
    check(!interrupted(),
          "stopped after step {}, which is saved; go on with: ebb train --resume --out {}",
          trainer_.steps(), run_.path());
    preview();
    print("{}\n", picture());
  }

 private:
  // The share of the plan that is done; training ends at 1.
  double done() const {
    double share = 0;
    if (plan_.steps > 0)
      share = static_cast<double>(trainer_.steps()) / static_cast<double>(plan_.steps);
    if (plan_.minutes > 0) share = std::max(share, watch_.seconds() / (60 * plan_.minutes));
    return std::min(share, 1.0);
  }
  // How many times --keep-every-minutes have passed.
  double times_kept() const {
    return plan_.keep_every > 0 ? std::floor(watch_.seconds() / (60 * plan_.keep_every)) : 0;
  }
  std::string picture() const {
    return run_.file(fmt::format("samples/step-{:08}.png", trainer_.steps()));
  }

  void take_steps() {
    const std::int64_t batch = run_.config().batch;
    Progress progress("train", "images");
    while (done() < 1 && !interrupted()) {
      const std::optional<StepReport> report = take_step();
      if (!report) continue;
      const std::int64_t step = trainer_.steps();
      log_.add(*report, batch);
      if (step % plan_.log_every == 0 || done() >= 1) write_metrics();
      const bool for_good = times_kept() > kept_;
      kept_ = times_kept();
      if (for_good || step % plan_.save_every == 0) save(for_good);
      if (step % plan_.preview_every == 0 && done() < 1) preview();
      progress.update(done(), step * batch,
                      fmt::format("step {}  loss {:.4f}", step, log_.shown_loss(report->loss)));
    }
    write_metrics();
  }

  // None where the step was not finite and the plan goes on all the same.
  std::optional<StepReport> take_step() {
    try {
      const StepReport report = trainer_.step(batches_.batch(trainer_.steps()), done());
      skipped_ = 0;
      return report;
    } catch (const NotFinite& error) {
      if (plan_.on_nan == TrainingPlan::OnNan::skip && error.weights_are_good &&
          ++skipped_ <= most_skipped) {
        note(fmt::format("{}; skipped", error.what()));
        trainer_.skip();
        return {};
      }
      if (plan_.on_nan != TrainingPlan::OnNan::rollback || saved_ < 0 ||
          ++rollbacks_ > most_rollbacks)
        throw;
      roll_back(error);
      return {};
    }
  }

  void roll_back(const NotFinite& error) {
    const double rate = trainer_.config().learning_rate / 2;
    run_.lower_learning_rate(rate);
    trainer_.set_learning_rate(rate);
    // From where it went wrong at once, one further back.
    run_.load_checkpoint(trainer_, saved_ == trainer_.steps() ? saved_ - 1 : saved_);
    run_.trim_metrics(trainer_.steps());
    saved_ = trainer_.steps();
    note(fmt::format("{}; back to step {} at learning rate {}", error.what(), saved_, rate));
  }

  void save(bool for_good) {
    if (saved_ == trainer_.steps()) return;
    run_.save_checkpoint(trainer_, watch_.seconds(), plan_.keep, for_good);
    saved_ = trainer_.steps();
  }

  // Whether what was trained until `error` could be saved.
  bool save_after(const std::exception& error) {
    try {
      save(false);
      return true;
    } catch (const std::exception& other) {
      if (std::string(other.what()) != error.what())
        note(fmt::format("step {} could not be saved: {}", trainer_.steps(), other.what()));
      return false;
    }
  }

  void write_metrics() {
    unless_it_fails("metrics", [&] { log_.write(trainer_.steps(), watch_.seconds()); });
  }

  void preview() {
    unless_it_fails("a preview", [&] {
      const UseEma use_ema(trainer_.ema());
      write_grid(picture(), task_.preview(), {.columns = 10});
    });
    unless_it_fails("loss.png", [&] { write_loss_plot(run_); });
  }

  template <class Work>
  void unless_it_fails(const std::string& what, const Work& work) {
    try {
      work();
    } catch (const Cancelled&) {
      // The loop sees it next.
    } catch (const std::exception& error) {
      if (told_.insert(what).second)
        note(fmt::format("without {}: {} (training goes on; said once)", what, error.what()));
    }
  }

  RunFolder& run_;
  const TrainingPlan& plan_;
  const TrainingTask& task_;
  Trainer& trainer_;
  Stopwatch watch_;
  MetricsLog log_;
  DataOrder order_;  // the loader's alone
  BatchLoader batches_;
  std::int64_t saved_;  // the step of the last checkpoint; -1: none yet
  double kept_;
  int skipped_ = 0, rollbacks_ = 0;
  std::set<std::string> told_;
};

}  // namespace

void train_run(RunFolder& run, const TrainingPlan& plan, const TrainingTask& task, Trainer& trainer,
               double seconds) {
  Training(run, plan, task, trainer, seconds).run();
}

}  // namespace ebb::apps
