#include <doctest/doctest.h>
#include <ebb/tensor/cpu/gemm/gemm.h>
#include <ebb/tensor/cpu/gemm/openblas.h>
#include <ebb/tensor/cpu/runtime/environment.h>
#include <ebb/tensor/cpu/runtime/simd_target.h>

#include <cmath>
#include <vector>

using namespace ebb::cpu;

TEST_CASE("simd: the target is the one that EBB_SIMD asks for") {
  const std::string wanted = environment("EBB_SIMD");
  if (!wanted.empty()) CHECK(simd_target() == wanted);
  CHECK(!simd_target().empty());
}

TEST_CASE("OpenBLAS agrees with our products") {
  const std::int64_t m = 37, n = 41, k = 29;
  std::vector<float> a(m * k), b(k * n), got(m * n), want(m * n);
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = std::sin(static_cast<float>(i));
  for (std::size_t i = 0; i < b.size(); ++i) b[i] = std::cos(static_cast<float>(i));
  gemm(m, n, k, {a.data(), k, 1}, {b.data(), n, 1}, got.data(), n);
  openblas_gemm(m, n, k, a.data(), b.data(), want.data());
  for (std::size_t i = 0; i < want.size(); ++i) CHECK(std::abs(got[i] - want[i]) < 1e-5);
  CHECK(!openblas_core().empty());
}
