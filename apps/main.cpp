#include <ebb/apps/commands/commands.h>
#include <ebb/apps/system/console.h>
#include <ebb/apps/system/openblas_choice.h>
#include <ebb/tensor/threads.h>
#include <malloc.h>

#include <algorithm>
#include <cerrno>
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

// What the parser lets through: NaN passes every check of a range, no option means an infinity, and
// a whole number that does not fit becomes the largest that does, any number is true.
void check_numbers(CLI::App& command) {
  const auto validator = [](auto is_good, const char* what) {
    return CLI::Validator(
        [=](const std::string& text) -> std::string {
          return is_good(text.c_str()) ? "" : text + " is no " + what;
        },
        "");
  };
  const auto finite = [](const char* text) { return std::isfinite(std::strtod(text, nullptr)); };
  const auto fits = [](const char* text) {
    errno = 0;
    std::strtoll(text, nullptr, 10);
    return errno != ERANGE;
  };
  const auto fits_unsigned = [](const char* text) {
    errno = 0;
    std::strtoull(text, nullptr, 10);
    return errno != ERANGE && text[0] != '-';
  };
  for (CLI::Option* option : command.get_options()) {
    const std::string type = option->get_type_name();
    if (type.starts_with("FLOAT")) option->check(validator(finite, "finite number"));
    if (type.starts_with("INT")) option->check(validator(fits, "number of 64 bits"));
    if (type.starts_with("UINT"))
      option->check(validator(fits_unsigned, "number of 64 bits from 0 on"));
    if (type.starts_with("BOOLEAN"))
      option->check(CLI::IsMember({"true", "false", "1", "0", "yes", "no", "on", "off"}));
  }
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
    check_numbers(*command);
    for (CLI::App* inner : command->get_subcommands({})) {
      inner->fallthrough();
      check_numbers(*inner);
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
#if defined(__GLIBC__)
  mallopt(M_ARENA_MAX, 1);  // else a thread that makes batches has 64 MB of addresses of its own
#endif
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
