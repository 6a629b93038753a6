// Runs on captions and on latents, by the program itself: tiny networks on a few pictures.
#include <doctest/doctest.h>
#include <ebb/apps/data/caption_files.h>
#include <ebb/apps/data/latents.h>
#include <ebb/apps/images/png.h>
#include <ebb/apps/runs/run_folder.h>
#include <ebb/tensor/io/atomic_file.h>
#include <ebb/tensor/io/npy.h>
#include <ebb/tensor/io/safetensors.h>
#include <tests/apps/program.h>
#include <tests/capture.h>
#include <tests/temporary_folder.h>

#include <filesystem>

namespace ebb::test {
namespace text_run {

namespace fs = std::filesystem;

// 110 pictures of 16 x 16 with captions of both kinds.
const std::string& pictures() {
  static const TemporaryFolder folder;
  static const std::string path = [] {
    fs::create_directory(folder / "pictures");
    std::string metadata;
    for (int i = 0; i < 110; ++i) {
      const bool red = i % 2 == 0;
      apps::Image image{16, 16, 3, std::vector<std::uint8_t>(16 * 16 * 3)};
      for (std::size_t k = 0; k < image.pixels.size(); ++k)
        image.pixels[k] =
            static_cast<std::uint8_t>(k % 3 == (red ? 0U : 2U) ? 200 + i % 50 : 2 * i);
      const std::string name = fmt::format("{:02}", i);
      apps::write_png(folder / ("pictures/" + name + ".png"), image);
      const std::string caption = red ? "A red picture." : "A blue picture.";
      if (i < 10)
        write_file(folder / ("pictures/" + name + ".txt"), caption + "\r\nde=Ein Bild.\n");
      else
        metadata += fmt::format(R"({{"file_name": "{}.png", "text": "{}"}})", name, caption) + "\n";
    }
    write_file(folder / "pictures/metadata.jsonl", metadata);
    return folder / "pictures";
  }();
  return path;
}

Arguments training(const std::string& out, const Arguments& more) {
  return Arguments{"train", "--data",   pictures(), "--batch",     "4", "--out",
                   out,     "--preset", "tiny",     "--log-every", "1", "--save-every",
                   "1",     "--keep",   "10"} +
         more;
}

const std::string& captioned_run() {
  static const TemporaryFolder folder;
  static const std::string path = [] {
    succeed(training(folder / "run", {"--steps", "4"}));
    return folder / "run";
  }();
  return path;
}

struct LatentRuns {
  TemporaryFolder folder;
  std::string autoencoder = folder / "autoencoder", run = folder / "run";
  LatentRuns() {
    succeed(training(autoencoder, {"--model", "autoencoder", "--steps", "3"}));
    succeed(training(run, {"--latent", autoencoder, "--steps", "4"}));
  }
};
const LatentRuns& latent_runs() {
  static const LatentRuns runs;
  return runs;
}

void check_same_weights(const std::string& a, const std::string& b, const std::string& step) {
  for (const char* file : {"raw", "ema", "state"}) {
    const std::string name = "/checkpoints/" + step + "/" + file + ".safetensors";
    const Safetensors x = read_safetensors(a + name), y = read_safetensors(b + name);
    REQUIRE(x.tensors.size() == y.tensors.size());
    for (const NamedTensor& t : x.tensors) {
      CAPTURE(t.name);
      CHECK(t.tensor.to_vector<double>() == y[t.name].to_vector<double>());
    }
  }
}

// Stopped after its second step, resumed, and the same bits.
void check_resumes(const std::string& run, const std::string& last) {
  const TemporaryFolder folder;
  const std::string copy = folder / "copy";
  fs::copy(run, copy, fs::copy_options::recursive);
  for (const auto& entry : fs::directory_iterator(copy + "/checkpoints"))
    if (entry.path().filename() > "step-00000002") fs::remove_all(entry.path());
  fs::remove(copy + "/latents.safetensors");  // they are computed again
  succeed({"train", "--resume", "--out", copy, "--steps", last.substr(last.size() - 1)});
  check_same_weights(run, copy, last);
}

}  // namespace text_run

TEST_CASE("text runs: the usual recipe, in whole or in part") {
  using namespace text_run;
  const TemporaryFolder folder;
  const auto config = [&](const std::string& name, const Arguments& more) {
    succeed(Arguments{"train", "--data", pictures(), "--preset", "tiny", "--steps", "1", "--out",
                      folder / name} +
            more);
    return apps::RunFolder::open(folder / name).config();
  };
  const apps::RunConfig usual = config("usual", {});
  CHECK(usual.schedule == "flow");
  CHECK(usual.objective.prediction == Prediction::flow);
  CHECK(usual.objective.times == TrainingTimes::logit_normal);
  CHECK(usual.shift == 2);
  CHECK(usual.batch == 16);
  CHECK(config("even", {"--times", "uniform"}).objective.times == TrainingTimes::uniform);
  const apps::RunConfig table = config("table", {"--schedule", "linear"});
  CHECK(table.objective.prediction == Prediction::v);
  CHECK(table.objective.times == TrainingTimes::uniform);
}

TEST_CASE("captions: from metadata.jsonl and from files beside the pictures") {
  using namespace text_run;
  const std::vector<std::string> captions = apps::read_captions(
      pictures(), {pictures() + "/01.png", pictures() + "/10.png", pictures() + "/no.png"});
  CHECK(captions == std::vector<std::string>{"A blue picture.", "A red picture.", ""});

  const TemporaryFolder folder;
  fs::create_directory(folder / "a");
  write_file(folder / "a/b.png", "");
  const auto metadata = [&](const std::string& text) {
    write_file(folder / "metadata.jsonl", text);
    return apps::read_captions(folder.path().string(), {folder / "a/b.png"});
  };
  CHECK(metadata("\n{\"file_name\": \"a/b.png\", \"text\": \" x \", \"more\": 1}\n")[0] == "x");
  for (const char* bad :
       {"x", "[]", "{}", "{\"file_name\": \"a\"}", "{\"file_name\": 1, \"text\": \"x\"}",
        "{\"file_name\": \"a\", \"text\": 1}"})
    CHECK_THROWS_WITH_AS(metadata(std::string("\n") + bad), doctest::Contains("line 2"), Error);
  const std::string line = R"({"file_name": "a/b.png", "text": "x"})";
  CHECK(metadata(line + "\n" + line)[0] == "x");
  CHECK_THROWS_WITH_AS(metadata(line + "\n" + R"({"file_name": "a/../a/b.png", "text": "z"})"),
                       doctest::Contains("is 'z', a line before says 'x'"), Error);
  CHECK_THROWS_WITH_AS(metadata(line + "\n" + R"({"file_name": "a/c.png", "text": "x"})"),
                       doctest::Contains("a/c.png is not there; remove the line"), Error);
  write_file(folder / "a/b.txt", "y");
  CHECK_THROWS_WITH_AS(metadata(line), doctest::Contains("'x', its .txt file 'y'"), Error);
}

TEST_CASE("text runs: the folder, and the same bits after a stop") {
  using namespace text_run;
  const apps::RunFolder run = apps::RunFolder::open(captioned_run());
  REQUIRE(run.config().text);
  CHECK(run.config().text->tokenizer->words() ==
        std::set<std::string>{".", "a", "blue", "picture", "red"});
  CHECK(run.config().text->encoder.vocab_size == run.config().text->tokenizer->vocab_size());
  CHECK(run.load_model()->has_null_class());
  check_resumes(captioned_run(), "step-00000004");
}

TEST_CASE("text runs: prompts") {
  using namespace text_run;
  const TemporaryFolder folder;
  const Arguments sample{"sample", captioned_run(), "--steps", "2", "--out"};
  Outcome outcome =
      succeed(sample + Arguments{folder / "a.npy", "--count", "3", "--prompt", "a red picture",
                                 "--prompt", "a bleu xyzzy picture"});
  CHECK(outcome.err.find("'bleu' (near: blue)") != std::string::npos);
  CHECK(outcome.err.find("'xyzzy'") != std::string::npos);
  CHECK(outcome.err.find("'red'") == std::string::npos);
  const Tensor images = read_npy(folder / "a.npy");
  CHECK(images.shape() == Shape{3, 16, 16, 3});
  // Sample i has the prompt i mod 2, whatever the batch.
  succeed(sample + Arguments{folder / "b.npy", "--count", "3", "--batch", "1", "--prompt",
                             "a red picture", "--prompt", "a bleu xyzzy picture"});
  CHECK(images.to_vector<float>() == read_npy(folder / "b.npy").to_vector<float>());
  succeed(sample + Arguments{folder / "c.npy", "--count", "3", "--prompt", "a red picture",
                             "--negative", "blue"});
  CHECK(images.to_vector<float>() != read_npy(folder / "c.npy").to_vector<float>());
  outcome = succeed(sample + Arguments{folder / "d.png", "--count", "1", "--prompt",
                                       "a red picture a red picture a red picture"});
  CHECK(outcome.err.find("the rest is left out") != std::string::npos);
  CHECK(succeed(sample + Arguments{folder / "e.png", "--count", "1"}).err.find("no --prompt") !=
        std::string::npos);

  check_refused(sample + Arguments{folder / "x.png", "--classes", "0"}, 2, "--prompt");
  check_refused(sample + Arguments{folder / "x.png", "--negative", "blue"}, 2, "--prompt");
  check_refused({"export", captioned_run(), "--out", folder / "x"}, 1, "plain U-Nets");
  CHECK(!fs::exists(folder / "x.png"));
}

TEST_CASE("text runs: what cannot be is said before anything is made") {
  using namespace text_run;
  const TemporaryFolder folder;
  const auto refused = [&](const Arguments& more, const std::string& words) {
    check_refused(
        Arguments{"train", "--out", folder / "x", "--steps", "1", "--preset", "tiny"} + more, 2,
        words);
    CHECK(!fs::exists(folder / "x"));
  };
  refused({"--data", "shapes", "--size", "16", "--condition", "text"}, "no captions");
  refused({"--data", pictures(), "--condition", "class"}, "no classes");
  refused({"--data", pictures(), "--condition", "text", "--model", "simple"}, "knows no text");
  refused({"--data", "scenes", "--size", "8"}, "16 are needed");
  refused({"--data", "scenes", "--channels", "1"}, "coloured");
}

TEST_CASE("text runs: a folder that holds what a run is made of is nobody's but its owner's") {
  using namespace text_run;
  const TemporaryFolder folder;
  for (const char* name : {"tokenizer.json", "words.txt", "teacher.safetensors", "autoencoder/x"}) {
    const std::string out = folder / fs::path(name).stem().string();
    fs::create_directories(fs::path(out + "/" + name).parent_path());
    write_file(out + "/" + name, "precious");
    check_refused(training(out, {"--steps", "1"}), 1, "no empty folder");
    CHECK(contents_of(out + "/" + name) == "precious");
  }
}

TEST_CASE("text runs: judged by what training images' captions ask for") {
  using namespace text_run;
  const TemporaryFolder folder;
  const std::string curve = succeed({"evaluate", captioned_run(), "--count", "10", "--steps", "2",
                                     "--sweep", "guidance", "--values", "1,3", "--classifier-steps",
                                     "1", "--cache", folder / "cache", "--out", folder / "e.json"})
                                .out;
  const std::size_t second = curve.find('\n') + 1;
  const auto distance = [](const std::string& line) {
    return nlohmann::json::parse(line)["frechet_distance"].get<double>();
  };
  // Guidance does something only to samples that are told something.
  CHECK(distance(curve.substr(0, second)) !=
        distance(curve.substr(second, curve.find('\n', second) - second)));
}

TEST_CASE("latent runs: the folder, and the same bits after a stop") {
  using namespace text_run;
  const TemporaryFolder usual;
  succeed({"train", "--data", pictures(), "--model", "autoencoder", "--steps", "1", "--out",
           usual / "run"});
  CHECK(apps::RunFolder::open(usual / "run").config().batch == 16);
  check_resumes(latent_runs().autoencoder, "step-00000003");
  const std::string figures = succeed({"evaluate", latent_runs().autoencoder, "--count", "10"}).out;
  CHECK(figures.find("PSNR of test images") != std::string::npos);
  CHECK(fs::exists(latent_runs().autoencoder + "/evaluation.png"));
  check_refused({"evaluate", latent_runs().autoencoder, "--sweep", "steps"}, 2, "--sweep steps");
  check_resumes(latent_runs().run, "step-00000004");
  const apps::RunFolder run = apps::RunFolder::open(latent_runs().run);
  REQUIRE(run.config().latent);
  AutoencoderKL& autoencoder = *run.config().latent->autoencoder;
  // What the model learns has mean 0 and deviation 1.
  const Tensor latents =
      autoencoder.scaled(read_safetensors(run.file("latents.safetensors"))["latents"]);
  double sum = 0, squares = 0;
  for (const double v : latents.to_vector<double>()) sum += v, squares += v * v;
  const auto count = static_cast<double>(latents.numel());
  CHECK(latents.shape() == Shape{99, 4, 4, 4});
  CHECK(std::abs(sum / count) < 1e-4);
  CHECK(std::abs(squares / count - 1) < 1e-3);
  CHECK(run.load_model()->sample.shape(2) == Shape{2, 4, 4, 4});

  const TemporaryFolder folder;
  succeed({"sample", latent_runs().run, "--steps", "2", "--count", "2", "--prompt", "red",
           "--trajectory", folder / "t.png", "--out", folder / "a.npy"});
  CHECK(read_npy(folder / "a.npy").shape() == Shape{2, 16, 16, 3});
}

TEST_CASE("students: the same bits after a stop, drawn as they were taught") {
  using namespace text_run;
  const TemporaryFolder folder;
  for (const std::string method : {"progressive", "consistency", "consistency-training"})
    for (const std::string& teacher : {captioned_run(), latent_runs().run}) {
      CAPTURE(method);
      const std::string run = folder / (method + (teacher == captioned_run() ? "" : "-latent"));
      succeed({"train", "--distil", teacher, "--method", method, "--student-steps", "3",
               "--teacher-guidance", method == "consistency-training" ? "1" : "2", "--out", run,
               "--lr", "0.0003", "--steps", "3", "--save-every", "1", "--log-every", "1"});
      const apps::RunConfig student = apps::RunFolder::open(run).config();
      CHECK(student.training.learning_rate == 0.0003);
      CHECK(student.batch == 4);  // its teacher's
      check_resumes(run, "step-00000003");
      succeed({"sample", run, "--prompt", "red", "--count", "2", "--out", run + ".npy"});
      const bool halves = method == "progressive";
      succeed({"sample", run, "--prompt", "red", "--count", "2", "--out", run + "-said.npy",
               "--sampler", halves ? "ddim" : "consistency", "--steps", halves ? "3" : "2",
               "--guidance", "1"});
      CHECK(read_npy(run + ".npy").to_vector<float>() ==
            read_npy(run + "-said.npy").to_vector<float>());
    }
  succeed(training(folder / "untaught",
                   {"--method", "consistency-training", "--student-steps", "3", "--steps", "3"}));
  check_resumes(folder / "untaught", "step-00000003");
  const std::string run = folder / "progressive";
  check_refused({"sample", run, "--guidance", "3", "--out", folder / "x.png"}, 2, "was taught");
  const std::string weights = run + "/teacher.safetensors";
  std::vector<NamedTensor> changed = read_safetensors(weights).tensors;
  changed[0].tensor.copy_(changed[0].tensor.clone() + 1e-3);
  write_safetensors(weights, changed);
  check_refused({"train", "--resume", "--out", run, "--steps", "9"}, 1, "was taught by");
  const auto refused = [&](const Arguments& more, const std::string& words) {
    check_refused(Arguments{"train", "--out", folder / "x", "--steps", "1"} + more, 2, words);
    CHECK(!fs::exists(folder / "x"));
  };
  const TemporaryFolder usual;
  succeed({"train", "--distil", captioned_run(), "--steps", "1", "--out", usual / "student"});
  CHECK(apps::RunFolder::open(usual / "student").config().training.learning_rate == 0.0005);
  refused({"--distil", captioned_run(), "--data", "scenes"}, "as its teacher");
  refused({"--distil", latent_runs().autoencoder}, "no images that a student");
  refused({"--data", "shapes", "--method", "progressive"}, "it needs a teacher");
  refused(
      {"--distil", captioned_run(), "--method", "consistency-training", "--teacher-guidance", "2"},
      "no teacher to be guided");
  refused({"--data", "shapes", "--model", "autoencoder", "--method", "consistency-training"},
          "trained by its reconstructions");
}

TEST_CASE("latent runs: what does not belong together is refused") {
  using namespace text_run;
  const TemporaryFolder folder;
  const std::string copy = folder / "copy";
  fs::copy(latent_runs().run, copy, fs::copy_options::recursive);
  const std::string weights = copy + "/autoencoder/diffusion_pytorch_model.safetensors";
  std::vector<NamedTensor> changed = read_safetensors(weights).tensors;
  changed[0].tensor.copy_(changed[0].tensor.clone() + 1e-3);
  write_safetensors(weights, changed);
  check_refused({"sample", copy, "--out", folder / "x.png"}, 1, "was trained behind");
  check_refused({"train", "--resume", "--out", copy, "--steps", "9"}, 1, "was trained behind");

  check_refused({"sample", latent_runs().autoencoder, "--out", folder / "x.png"}, 2, "--latent");
  const auto train = [&](const Arguments& more, const std::string& words) {
    check_refused(training(folder / "x", Arguments{"--steps", "1"} + more), 2, words);
    CHECK(!fs::exists(folder / "x"));
  };
  train({"--latent", captioned_run()}, "no autoencoder");
  train({"--latent", latent_runs().autoencoder, "--model", "simple"}, "--model unet");
  train({"--latent", latent_runs().autoencoder, "--channels", "1"}, "--channels 3");
  train({"--latent", latent_runs().autoencoder, "--flip", "true"}, "--flip");
  train({"--latent", latent_runs().autoencoder, "--size", "18"}, "no multiple of 4");
  train({"--model", "autoencoder", "--size", "18"}, "no multiple of 4");
  check_refused({"sample", latent_runs().run, "--out", folder / "x.png", "--from", "data",
                 "--strength", "0.5", "--prompt", "red"},
                2, "latents");
}

}  // namespace ebb::test
