#include <ebb/apps/evaluation/sweep.h>
#include <ebb/apps/plots/gnuplot.h>
#include <ebb/apps/system/console.h>
#include <ebb/apps/system/progress.h>
#include <ebb/tensor/io/atomic_file.h>

#include <cmath>
#include <filesystem>

namespace ebb::apps {
namespace {

using Json = nlohmann::json;

// One point of a curve, and its line on stdout.
Json row(const Evaluation& evaluation, const Model& model, const RunConfig& config,
         const SampleRequest& request, Json where) {
  const SampleMetrics metrics = evaluation.measure(draw_for(evaluation, model, config, request));
  where.update(to_json(metrics));
  print("{}\n", where.dump());
  flush_out();
  return where;
}

std::vector<Json> over_steps(const SweepOptions& options, const Evaluation& evaluation,
                             const Model& model, const RunConfig& config, SampleRequest request) {
  const std::vector<double> values =
      options.values.empty() ? std::vector<double>{5, 10, 20, 50} : options.values;
  std::vector<Json> rows;
  for (const std::string& sampler : options.samplers)
    for (const double value : values) {
      check_usage(value >= 1 && value == std::floor(value),
                  "--values {}: steps are whole numbers, 1 or more", value);
      request.sampler = sampler;
      request.steps = static_cast<std::int64_t>(value);
      const int evaluations = find_sampler(sampler).evaluations;
      rows.push_back(row(evaluation, model, config, request,
                         {{"sampler", sampler},
                          {"steps", request.steps},
                          {"evaluations", request.steps * evaluations}}));
    }
  return rows;
}

std::vector<Json> over_guidance(const SweepOptions& options, const Evaluation& evaluation,
                                const Model& model, const RunConfig& config,
                                SampleRequest request) {
  check_usage(model.num_classes() > 0 || config.text,
              "--sweep guidance: this model has no classes or captions to guide to");
  const std::vector<double> values =
      options.values.empty() ? std::vector<double>{0, 0.5, 1, 1.5, 2, 3, 4, 6, 8} : options.values;
  std::vector<Json> rows;
  for (const double value : values) {
    request.guidance = value;
    rows.push_back(row(evaluation, model, config, request, {{"guidance", value}}));
  }
  return rows;
}

std::vector<Json> over_checkpoints(const RunFolder& run, const RunConfig& config,
                                   RunFolder::Weights weights, const Evaluation& evaluation,
                                   const SampleRequest& request) {
  std::vector<Json> rows;
  for (const std::int64_t step : run.checkpoints())
    rows.push_back(row(evaluation, *run.load_model(weights, step, request.device), config, request,
                       {{"step", step}, {"minutes", run.seconds_at(step) / 60}}));
  return rows;
}

// The figure `y` of the rows whose "sampler" is `sampler`, or of all.
Curve curve(const std::string& label, const std::vector<Json>& rows, const char* x, const char* y,
            const std::string& sampler = {}) {
  Curve result{.label = label, .points = true};
  for (const Json& r : rows) {
    if (!r.contains(y) || (!sampler.empty() && r["sampler"] != sampler)) continue;
    result.x.push_back(r[x]);
    result.y.push_back(r[y]);
  }
  return result;
}

// The same figure of the training images: a level line under the curves.
Curve floor_line(const Json& floor, const std::vector<Json>& rows, const char* x, const char* y) {
  Curve result{.label = "training images"};
  for (const Json& r : rows)
    if (floor.contains(y)) {
      result.x.push_back(r[x]);
      result.y.push_back(floor[y]);
    }
  return result;
}

std::vector<Plot> plots(const SweepOptions& options, const std::vector<Json>& rows,
                        const Json& floor) {
  const bool by_steps = options.over == "steps", by_guidance = options.over == "guidance";
  const char* x = by_steps ? "evaluations" : by_guidance ? "guidance" : "minutes";
  const char* x_label = by_steps      ? "evaluations of the network"
                        : by_guidance ? "guidance"
                                      : "minutes of training";
  Plot distance{.title = "Frechet distance to the test images",
                .x_label = x_label,
                .log_x = by_steps,
                .log_y = by_steps || by_guidance};
  Plot shares{.title = "Accuracy, precision, recall", .x_label = x_label, .log_x = by_steps};
  const char *frechet = "frechet_distance", *accuracy = "accuracy", *recall = "recall";
  if (by_steps) {
    shares.title = "Accuracy";
    for (const std::string& sampler : options.samplers) {
      distance.curves.push_back(curve(sampler, rows, x, frechet, sampler));
      shares.curves.push_back(
          curve(sampler, rows, x, floor.contains(accuracy) ? accuracy : recall, sampler));
    }
  } else {
    distance.curves.push_back(curve("samples", rows, x, frechet));
    for (const char* name : {accuracy, "precision", recall})
      if (floor.contains(name)) shares.curves.push_back(curve(name, rows, x, name));
  }
  distance.curves.push_back(floor_line(floor, rows, x, frechet));
  if (!by_steps) {
    Curve line = floor_line(floor, rows, x, recall);
    line.label = "recall of training images";
    shares.curves.push_back(line);
  }
  return {distance, shares};
}

}  // namespace

Json to_json(const SampleMetrics& metrics) {
  Json json{{"frechet_distance", metrics.frechet_distance},
            {"kernel_distance", metrics.kernel_distance},
            {"precision", metrics.precision},
            {"recall", metrics.recall}};
  if (metrics.accuracy) json["accuracy"] = *metrics.accuracy;
  return json;
}

Tensor draw_for(const Evaluation& evaluation, const Model& model, const RunConfig& config,
                SampleRequest request) {
  request.count = evaluation.count();
  if (model.num_classes() > 0) request.labels = evaluation.labels();
  request.prompts = evaluation.captions();
  Progress progress("samples", "images");
  return draw_samples(model, config, request, [&](const SamplingView& view) {
    const double part = static_cast<double>(view.step.step + 1) /
                        static_cast<double>(view.step.steps) *
                        static_cast<double>(view.step.x.size(0));
    const double images = static_cast<double>(view.first) + part;
    progress.update(images / static_cast<double>(view.count), std::llround(images));
  });
}

void run_sweep(const SweepOptions& options, const RunFolder& run, const RunConfig& config,
               RunFolder::Weights weights, const Evaluation& evaluation, SampleRequest request,
               std::int64_t checkpoint, Json head, const std::string& out) {
  std::vector<Json> rows;
  if (options.over == "checkpoints") {
    rows = over_checkpoints(run, config, weights, evaluation, request);
  } else {
    const std::unique_ptr<Model> model = run.load_model(weights, checkpoint, request.device);
    rows = options.over == "steps" ? over_steps(options, evaluation, *model, config, request)
                                   : over_guidance(options, evaluation, *model, config, request);
  }
  head["sweep"] = options.over;
  head["floor"] = to_json(evaluation.floor());
  head["rows"] = rows;
  write_file(out, head.dump(2) + "\n");
  const std::string picture = std::filesystem::path(out).replace_extension(".png").string();
  write_plots(picture, plots(options, rows, head["floor"]));
  print("{}\n{}\n", out, picture);
}

}  // namespace ebb::apps
