// Settings for Google Highway, to be included before any of its headers: which instruction sets
// one source is compiled for. AVX-512, AVX2 and "portable" (plain C++ on
// x86-64, NEON on Arm); which of them runs is chosen at start.
#pragma once

#include <ebb/tensor/cpu/runtime/simd_target.h>

#if defined(EBB_NO_AVX512)  // of a quick check, for the time that it takes to compile
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3 | HWY_AVX3_DL)
#elif defined(__x86_64__)
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4)
#if defined(__AVX512VBMI__)
#define HWY_WANT_AVX3_DL 1  // -march=native names it as the baseline, which must then exist
#endif
#else
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#endif

// Before a loop whose counter indexes an array of vectors that must stay in registers.
#if defined(__clang__)
#define EBB_UNROLL _Pragma("unroll")
#else
#define EBB_UNROLL _Pragma("GCC unroll 32")
#endif

// HWY_DYNAMIC_DISPATCH of a function, after EBB_SIMD has been read.
#define EBB_DISPATCH(function) (::ebb::cpu::simd_target(), HWY_DYNAMIC_DISPATCH(function))
