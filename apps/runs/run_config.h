// What a training run is: config.json in its folder. Everything that fixes its bits is here.
#pragma once

#include <ebb/apps/data/dataset.h>
#include <ebb/diffusion/losses/autoencoder_objective.h>
#include <ebb/diffusion/losses/distillation.h>
#include <ebb/diffusion/losses/objective.h>
#include <ebb/diffusion/models/unet2d_config.h>
#include <ebb/diffusion/text/text_to_image.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace ebb::apps {

// What a network that is told captions has beside its U-Net.
struct TextConfig {
  CLIPTextConfig encoder;
  std::shared_ptr<const BpeTokenizer> tokenizer;  // tokenizer.json and words.txt of the run
};

// What a network that works on latents is trained behind.
struct LatentConfig {
  std::shared_ptr<AutoencoderKL> autoencoder;  // of the run's folder autoencoder/
  std::string hash;                            // its content_hash (data/latents.h)
};

// What a student was taught.
struct StudentConfig {
  DistillationConfig distillation;
  // The content_hash (system/content_hash.h) of teacher.safetensors in the run; empty: untaught.
  std::string teacher;
  std::vector<NamedTensor> weights = {};  // the teacher's, of a run that is being made
};

struct RunConfig {
  DatasetOptions data;
  DatasetInfo image;  // of the data set; sampling needs no more of it

  std::string model = "unet";          // model_names
  UNet2DConfig unet;                   // for unet
  std::optional<TextConfig> text;      // for unet: it is told captions
  std::optional<LatentConfig> latent;  // for unet: it works on latents
  std::optional<StudentConfig> student;
  AutoencoderKLConfig autoencoder;  // for autoencoder
  AutoencoderObjective reconstruction;
  std::int64_t time_features = 0;  // for the tutorial's two: 0 is the tutorial's plain t

  // A schedule's name (diffusion/schedules/schedule.h), or "flow" for the straight path.
  std::string schedule = "cosine";
  std::int64_t timesteps = 1000;
  bool zero_terminal_snr = false;  // of a table (diffusion/schedules/schedule.h)
  double shift = 1;                // of flow (diffusion/schedules/path.h)
  ObjectiveConfig objective;

  TrainingConfig training;
  std::int64_t batch = 64;
};

inline constexpr std::string_view model_names = "unet, simple, conditional, autoencoder";

// A value that is missing, of the wrong type or out of range is an Error that names it. The
// tokenizer and the autoencoder behind latents are left out.
nlohmann::json to_json(const RunConfig& config);
RunConfig run_config_from_json(const nlohmann::json& json);

// The network, with parameters drawn from training.seed. A name that is not in model_names, and
// images that the network cannot take, are an Error; so is the name autoencoder.
std::unique_ptr<Model> make_model(const RunConfig& config, Device device = Device::cpu);
// The network of a run of model autoencoder.
std::unique_ptr<AutoencoderKL> make_autoencoder(const RunConfig& config,
                                                Device device = Device::cpu);
// An Error for a prediction that the schedule leaves undefined.
Path make_path(const RunConfig& config);
// A flow's shift as the command line gives it: a number above 0, or "dynamic", by the tokens that
// the network sees of an image; else a UsageError.
double parse_shift(const std::string& text, const RunConfig& config);
// What RunConfig::schedule can be.
std::vector<std::string> usable_schedules();

}  // namespace ebb::apps
