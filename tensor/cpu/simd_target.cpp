#include <ebb/tensor/cpu/simd.h>
// Highway's headers read those settings.
#include <ebb/tensor/cpu/environment.h>
#include <ebb/tensor/cpu/simd_target.h>
#include <ebb/tensor/error.h>
#include <hwy/highway.h>

#include <cstdint>

namespace ebb::cpu {

namespace {

struct Choice {
  std::string_view name;
  std::int64_t targets;  // acceptable ones, of which Highway takes the best
};
constexpr std::int64_t portable = HWY_SCALAR | HWY_EMU128 | HWY_NEON;
constexpr Choice choices[] = {
    {"avx512", HWY_AVX3 | HWY_AVX3_DL}, {"avx2", HWY_AVX2}, {"portable", portable}};

std::string_view choose() {
  const std::string wanted = environment("EBB_SIMD");
  const std::int64_t supported = hwy::SupportedTargets() & HWY_TARGETS;
  if (!wanted.empty()) {
    const Choice* choice = nullptr;
    for (const Choice& candidate : choices)
      if (candidate.name == wanted) choice = &candidate;
    check(choice != nullptr, "EBB_SIMD is \"{}\"; use avx512, avx2 or portable", wanted);
    check((supported & choice->targets) != 0,
          "EBB_SIMD is \"{}\", which this processor or build lacks; use portable", wanted);
    hwy::DisableTargets(~choice->targets);
  }
  // The lowest bit is the best target.
  const std::int64_t left = hwy::SupportedTargets() & HWY_TARGETS;
  const std::int64_t best = left & -left;
  for (const Choice& choice : choices)
    if ((choice.targets & best) != 0) return choice.name;
  return hwy::TargetName(best);
}

}  // namespace

std::string_view simd_target() {
  static const std::string_view name = choose();
  return name;
}

}  // namespace ebb::cpu
