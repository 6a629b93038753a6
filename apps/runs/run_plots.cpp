#include <ebb/apps/plots/gnuplot.h>
#include <ebb/apps/runs/run_plots.h>
#include <ebb/diffusion/schedules/schedule.h>

#include <cmath>

namespace ebb::apps {

void write_loss_plot(const RunFolder& run) {
  Curve loss{"loss"}, smooth{"smoothed"}, norm{"gradient norm"}, rate{"learning rate"};
  double average = 0;
  for (const nlohmann::json& line : run.metrics()) {
    // JSON has no NaN: null stands for it.
    const auto number = [&](const char* key) {
      return line.contains(key) && line[key].is_number() ? line[key].get<double>() : std::nan("");
    };
    const double step = number("step"), value = number("loss");
    average = loss.x.empty() ? value : average + 0.2 * (value - average);
    for (Curve* curve : {&loss, &smooth, &norm, &rate}) curve->x.push_back(step);
    loss.y.push_back(value);
    smooth.y.push_back(average);
    norm.y.push_back(number("grad_norm"));
    rate.y.push_back(number("learning_rate"));
  }
  if (loss.x.empty()) return;
  write_plots(run.file("loss.png"),
              {{.title = "Loss", .x_label = "step", .curves = {loss, smooth}, .log_y = true},
               {.title = "Gradient norm", .x_label = "step", .curves = {norm}, .log_y = true},
               {.title = "Learning rate", .x_label = "step", .curves = {rate}}});
}

void write_schedule_plot(const std::string& path, std::int64_t timesteps) {
  Plot signal{.title = "Signal left: alpha_bar", .x_label = "t"};
  Plot snr{.title = "Signal to noise, decibels", .x_label = "t"};
  for (const std::string& name : schedule_names()) {
    Curve a{name}, b{name};
    const std::vector<double> alpha_bar = alphas_cumprod_named(name, timesteps);
    for (std::size_t t = 0; t < alpha_bar.size(); ++t) {
      a.x.push_back(static_cast<double>(t));
      a.y.push_back(alpha_bar[t]);
      b.y.push_back(10 * std::log10(alpha_bar[t] / (1 - alpha_bar[t])));
    }
    b.x = a.x;
    signal.curves.push_back(a);
    snr.curves.push_back(b);
  }
  signal.y_range = {{0, 1}};
  snr.y_range = {{-60, 60}};
  write_plots(path, {signal, snr});
}

}  // namespace ebb::apps
