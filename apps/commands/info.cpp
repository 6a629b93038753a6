#include <ebb/apps/commands/commands.h>
#include <ebb/apps/system/console.h>
#include <ebb/tensor/backend/backend.h>
#include <ebb/tensor/cpu/gemm/openblas.h>
#include <ebb/tensor/cpu/runtime/environment.h>
#include <ebb/tensor/cpu/runtime/simd_target.h>
#include <ebb/tensor/threads.h>

#include <fstream>

namespace ebb::apps {
namespace {

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  return "unknown";
}

void info() {
  print("ebb        {}\n", EBB_VERSION);
  print("processor  {}\n", processor_name());
  print("kernels    {}\n", cpu::simd_target());
  print("OpenBLAS   {}\n", cpu::openblas_core());
  print("threads    {}\n", thread_count());
  print("devices    cpu{}\n", cuda::present() ? "" : " (built without cuda)");
  for (const std::string& device : cuda::describe()) print("           {}\n", device);
  print("environment variables:\n");
  for (const cpu::EnvironmentVariable& variable : cpu::environment_variables)
    print("  {:18} {}: {}\n", variable.name, variable.values, variable.meaning);
}

}  // namespace

void add_info_command(CLI::App& app) {
  app.add_subcommand("info", "Processor, SIMD target, BLAS kernels, threads, devices")
      ->callback(info);
}

}  // namespace ebb::apps
