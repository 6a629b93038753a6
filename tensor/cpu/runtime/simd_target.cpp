#include <ebb/tensor/cpu/runtime/simd.h>
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ebb/tensor/cpu/runtime/simd_target.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// Highway's headers in this order.
#include <ebb/tensor/cpu/runtime/environment.h>
#include <ebb/tensor/cpu/runtime/simd_target.h>
#include <ebb/tensor/error.h>

#include <cstdint>

HWY_BEFORE_NAMESPACE();
namespace ebb::cpu {
namespace HWY_NAMESPACE {

std::int64_t running_target() { return HWY_TARGET; }

}  // namespace HWY_NAMESPACE
}  // namespace ebb::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ebb::cpu {

HWY_EXPORT(running_target);

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
  // To ask which targets are left is to choose among all of them: what was disabled must be told
  // again.
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  const std::int64_t best = HWY_DYNAMIC_DISPATCH(running_target)();
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
#endif
