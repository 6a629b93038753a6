#include <ebb/apps/commands.h>
#include <ebb/apps/console.h>
#include <ebb/apps/openblas_choice.h>
#include <ebb/tensor/threads.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <new>

namespace {

// Every error is one line.
int report(std::string message, int exit_code) {
  std::replace(message.begin(), message.end(), '\n', ' ');
  ebb::apps::note(message);
  return exit_code;
}

// NaN passes every check of a range, and no option here means an infinity.
void refuse_not_finite(CLI::App& command) {
  const CLI::Validator finite(
      [](const std::string& text) -> std::string {
        const double value = std::strtod(text.c_str(), nullptr);
        return std::isfinite(value) ? "" : text + " is no finite number";
      },
      "");
  for (CLI::Option* option : command.get_options())
    if (option->get_type_name().find("FLOAT") != std::string::npos) option->check(finite);
}

int run(int argc, char** argv) {
  CLI::App app("ebb: diffusion models from scratch: train, sample, look inside", "ebb");
  app.require_subcommand(0, 1);
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.set_version_flag("--version", "ebb " EBB_VERSION);
  app.add_option_function<int>("--threads", ebb::set_thread_count,
                               "CPU threads (default: all this process may use)")
      ->check(CLI::Range(1, 1024));
  ebb::apps::add_train_command(app);
  ebb::apps::add_sample_command(app);
  ebb::apps::add_evaluate_command(app);
  ebb::apps::add_plot_command(app);
  ebb::apps::add_inspect_command(app);
  ebb::apps::add_import_command(app);
  ebb::apps::add_export_command(app);
  ebb::apps::add_info_command(app);
  ebb::apps::add_bench_command(app);
  ebb::apps::add_tutorial_command(app);
  for (CLI::App* command : app.get_subcommands({})) {
    command->fallthrough();
    refuse_not_finite(*command);
    for (CLI::App* inner : command->get_subcommands({})) {
      inner->fallthrough();
      refuse_not_finite(*inner);
    }
  }
  app.callback([&] {
    if (app.get_subcommands().empty()) throw CLI::RequiredError("A command");
  });

  std::string help = "ebb --help";
  try {
    app.parse(argc, argv);
    ebb::apps::flush_out();
    return 0;
  } catch (const CLI::Success& answer) {  // --help, --version
    app.exit(answer);
    ebb::apps::flush_out();
    return 0;
  } catch (const CLI::ParseError& error) {
    const auto chosen = app.get_subcommands();
    if (!chosen.empty()) help = "ebb " + chosen.back()->get_name() + " --help";
    return report(fmt::format("{}; see {}", error.what(), help), 2);
  } catch (const ebb::apps::UsageError& error) {
    return report(error.what(), 2);
  }
}

}  // namespace

int main(int argc, char** argv) {
  ebb::apps::mend_openblas_choice(argv);
  // A closed pipe is a failed write; a training run whose progress nobody reads any more goes on.
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return run(argc, argv);
  } catch (const ebb::apps::PipeClosed&) {
    return 1;
  } catch (const std::bad_alloc&) {
    return report("out of memory; use a smaller batch or model", 1);
  } catch (const std::exception& error) {
    return report(error.what(), 1);
  }
}
