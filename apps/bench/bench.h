// What `ebb bench` times.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace ebb::apps {

struct BenchCase {
  std::string name;     // no name is part of another
  nlohmann::json work;  // "op" and its sizes: bench_pytorch.py does the same work by them
  // Multiplications and additions that the definition asks for, and bytes that must at least come
  // and go; 0: not counted.
  double flops = 0, bytes = 0;
  // Allocates the operands and returns what is timed.
  std::function<std::function<void()>()> prepare;
};

std::vector<BenchCase> bench_operators();
std::vector<BenchCase> bench_models();
std::vector<BenchCase> bench_text_and_latents();

}  // namespace ebb::apps
