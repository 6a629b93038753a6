// Weights by name: a network's file as PyTorch reads and writes it, and training of a part alone.
#include <ebb/ebb.h>

#include <filesystem>

using namespace ebb;

int main() {
  const std::string file =
      (std::filesystem::temp_directory_path() / "ebb-finetune.safetensors").string();
  PhiloxGenerator random(1);
  ConditionalUNet pretrained(10, {.channels = 1}, random);
  write_safetensors(file, state_dict(pretrained));  // torch: load_file(file), load_state_dict

  ConditionalUNet model(10, {.channels = 1}, random);  // other weights
  load_state_dict(model, read_safetensors(file).tensors);
  std::filesystem::remove(file);

  // The last layers alone.
  std::vector<NamedParameter> trained;
  for (NamedParameter& p : named_parameters(model))
    if (p.name.starts_with("up")) {
      trained.push_back(p);
    } else {
      p.variable.set_requires_grad(false);
    }
  AdamW optimizer(trained, {.learning_rate = 1e-3});
  const Tensor x = philox_normal({2, 16, 16, 1}, {.seed = 2});
  const Tensor t = Tensor::from<float>({0.1F, 0.9F}), labels = Tensor::from<std::int64_t>({3, 7});
  double first = 0, last = 0;
  for (int step = 0; step < 20; ++step) {
    const Variable loss = mse_loss(model(x, t, labels), x);
    loss.backward();
    optimizer.step();
    optimizer.zero_grad();
    (step == 0 ? first : last) = loss.item();
  }
  fmt::print("loss {:.4f} -> {:.4f}\n", first, last);

  bool kept = true;
  const std::vector<NamedTensor> before = state_dict(pretrained), after = state_dict(model);
  for (std::size_t i = 0; i < after.size(); ++i) {
    const bool same = relative_error(after[i].tensor, before[i].tensor) == 0;
    fmt::print("{:16} {}\n", after[i].name, same ? "kept" : "trained");
    kept = kept && same == !after[i].name.starts_with("up");
  }
  return kept && last < first ? 0 : 1;
}
