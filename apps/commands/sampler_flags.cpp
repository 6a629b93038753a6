#include <ebb/apps/commands/parsed_by.h>
#include <ebb/apps/commands/sampler_flags.h>
#include <ebb/apps/system/console.h>

#include <charconv>
#include <cmath>

namespace ebb::apps {
namespace {

// "LOW,HIGH", two numbers; the second may be inf.
std::pair<double, double> parse_interval(const std::string& text) {
  double ends[2] = {};
  const char *at = text.data(), *const last = at + text.size();
  for (int i = 0; i < 2; ++i) {
    const auto [next, error] = std::from_chars(at, last, ends[i]);
    const bool good = error == std::errc() && !std::isnan(ends[i]) &&
                      (i == 0 ? next < last && *next == ',' : next == last);
    check_usage(good, "{} is no interval; give two numbers, LOW,HIGH", text);
    at = next + 1;
  }
  check_usage(ends[0] <= ends[1], "{} is no interval: {} is above {}", text, ends[0], ends[1]);
  return {ends[0], ends[1]};
}

}  // namespace

void add_sampler_flags(CLI::App& command, SamplerFlags& flags) {
  SampleRequest& request = flags.request;
  TimeGridOptions& grid = request.grid;
  flags.sampler = command.add_option("--sampler", request.sampler,
                                     "Its name; ebb sample --sampler list shows them all");
  flags.sampler->check(parsed_by([](const std::string& name) {
    if (name != "list") find_sampler(name);
  }));
  flags.steps = command.add_option("--steps", request.steps, "Steps of the sampler");
  command
      .add_option("--spacing", flags.spacing,
                  "Times: trailing, leading, linspace, leading_multistep, "
                  "linspace_multistep, karras, exponential, beta, ays_sd, ays_sdxl, ays_svd "
                  "(default: the sampler's usual)")
      ->check(parsed_by(parse_spacing));
  command
      .add_option("--steps-offset", grid.steps_offset,
                  "Added to the times of leading and leading_multistep")
      ->check(CLI::NonNegativeNumber);
  command
      .add_option("--sigma-min", grid.sigma_min,
                  "Least sigma / alpha of karras, exponential and beta (default: the path's)")
      ->check(CLI::PositiveNumber);
  command.add_option("--sigma-max", grid.sigma_max, "Largest of them")->check(CLI::PositiveNumber);
  command.add_flag("--round-times", grid.round_times,
                   "Tell the model whole times where the spacing is one of sigma");
  command
      .add_option_function<std::string>(
          "--final-alpha-bar",
          [&grid](const std::string& end) { grid.end_at_first = end == "first"; },
          "Where sampling ends: one (clean images, the default) or first (the schedule's first)")
      ->check(CLI::IsMember({"one", "first"}));
  command.add_flag("--zero-terminal-snr", flags.zero_terminal_snr,
                   "Stretch the run's schedule to end in pure noise");
  command.add_option("--shift", flags.shift,
                     "Of schedule flow: a number, or dynamic, by image size (default: the run's)");
  command.add_option("--lower-order-final", request.settings.lower_order_final,
                     "Lower the order of dpmpp, unipc, deis in the last steps (true, false)");
  command.add_option("--eta", request.settings.eta, "Noise of ddim and the ancestral samplers");
  command.add_option("--churn", request.settings.churn, "Noise of heun and edm_euler");
  command
      .add_option("--guidance", flags.guidance,
                  "1: the classes as they are; more: clearer and less varied")
      ->default_str(fmt::format("{}", flags.usual_guidance));
  command.add_option("--guidance-rescale", request.guidance_rescale,
                     "Share of the guided output brought back to the size of the plain one");
  command
      .add_option("--guidance-interval", flags.guidance_interval,
                  "Guide only where sigma / alpha is in LOW,HIGH (default: everywhere)")
      ->check(parsed_by(parse_interval));
  command
      .add_option("--clip", flags.clip,
                  "Of the predicted image: none, range, dynamic (default: the network's)")
      ->check(CLI::IsMember({"none", "range", "dynamic"}));
  command.add_option("--batch", request.batch, "Images drawn at a time; changes no image")
      ->check(CLI::Range(1, 100'000));
}

void settle(SamplerFlags& flags, RunConfig& config) {
  SampleRequest& request = flags.request;
  check_usage(request.sampler != "list", "--sampler list: it is ebb sample that shows them");
  if (!flags.spacing.empty()) request.spacing = parse_spacing(flags.spacing);
  if (!flags.clip.empty())
    request.clip = Clip{flags.clip == "none"    ? Clip::Kind::none
                        : flags.clip == "range" ? Clip::Kind::range
                                                : Clip::Kind::dynamic};
  request.guidance = flags.guidance.value_or(flags.usual_guidance);
  if (config.student) {
    SampleRequest taught;
    use_as_taught(taught, *config.student);
    if (flags.sampler->count() == 0) request.sampler = taught.sampler;
    if (flags.steps->count() == 0) request.steps = taught.steps;
    if (!flags.guidance) request.guidance = taught.guidance;
  }
  if (!flags.guidance_interval.empty())
    request.guidance_interval = parse_interval(flags.guidance_interval);
  if (!flags.shift.empty()) config.shift = parse_shift(flags.shift, config);
  config.zero_terminal_snr |= flags.zero_terminal_snr;
  make_path(config);  // a path that this does not fit is named before any work
}

}  // namespace ebb::apps
