#include <ebb/apps/commands/commands.h>
#include <ebb/apps/system/console.h>
#include <ebb/tensor/io/npy.h>
#include <ebb/tensor/io/safetensors.h>
#include <ebb/tensor/ops/reduce.h>

#include <algorithm>
#include <cmath>
#include <memory>

namespace ebb::apps {
namespace {

// What is said of a tensor's values; infinite and NaN ones are only counted.
std::string summary(const Tensor& tensor) {
  std::vector<double> values = tensor.to_vector<double>();
  const auto all = values.size();
  std::erase_if(values, [](double v) { return !std::isfinite(v); });
  const std::size_t lost = all - values.size();
  const std::string warning = lost == 0 ? "" : fmt::format("  {} not finite", lost);
  if (values.empty()) return fmt::format("{:>12}{:>12}{:>12}{:>12}{}", "-", "-", "-", "-", warning);
  const Tensor finite = Tensor::from(values);
  return fmt::format("{:>12.4g}{:>12.4g}{:>12.4g}{:>12.4g}{}", mean(finite).item(),
                     std(finite, {}, /*unbiased=*/false).item(), amin(finite).item(),
                     amax(finite).item(), warning);
}

void list_tensors(const std::vector<NamedTensor>& tensors) {
  std::size_t widest = 4;
  constexpr std::size_t most = 100;
  for (const NamedTensor& t : tensors) widest = std::max(widest, shown(t.name, most).size());
  print("{:{}}  {:8}{:20}{:>12}{:>12}{:>12}{:>12}\n", "name", widest, "type", "shape", "mean",
        "std", "min", "max");
  std::int64_t count = 0, bytes = 0;
  for (const NamedTensor& t : tensors) {
    print("{:{}}  {:8}{:20}{}\n", shown(t.name, most), widest, t.tensor.dtype(), t.tensor.shape(),
          summary(t.tensor));
    count += t.tensor.numel();
    bytes += t.tensor.numel() * static_cast<std::int64_t>(size_of(t.tensor.dtype()));
  }
  print("{} tensors, {} values, {} bytes\n", tensors.size(), count, bytes);
}

void inspect(const std::string& path) {
  if (path.ends_with(".npy")) return list_tensors({{"array", read_npy(path)}});
  const Safetensors file = read_safetensors(path);
  for (const auto& [key, value] : file.metadata) print("{}: {}\n", shown(key), shown(value, 2000));
  list_tensors(file.tensors);
}

}  // namespace

void add_inspect_command(CLI::App& app) {
  const auto path = std::make_shared<std::string>();
  CLI::App* command =
      app.add_subcommand("inspect", "What is in a checkpoint: names, shapes, values");
  command->add_option("FILE", *path, "A .safetensors or .npy file")->required();
  command->callback([path] { inspect(*path); });
}

}  // namespace ebb::apps
