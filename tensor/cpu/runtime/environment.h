// The environment variables that the library obeys: one list, read nowhere else.
#pragma once

#include <array>
#include <string>

namespace ebb::cpu {

struct EnvironmentVariable {
  const char* name;
  const char* values;
  const char* meaning;
};

inline constexpr std::array<EnvironmentVariable, 5> environment_variables{{
    {"EBB_SIMD", "avx512, avx2, portable", "instruction set of the kernels (default: the best)"},
    {"EBB_EXACT", "0, 1",
     "1: convolutions by direct sums, never by Winograd's transform, which spreads a NaN and the "
     "rounding of a very large pixel over its tile"},
    {"EBB_CUBLAS", "0, 1",
     "1: products on a GPU by cuBLASLt, faster, and a row's bits change with the number of rows"},
    {"OMP_NUM_THREADS", "1, 2, ...", "threads (default: CPU affinity and cgroup quota)"},
    {"OPENBLAS_CORETYPE", "Haswell, SkylakeX, ...",
     "OpenBLAS's kernels (default: its own choice; the program mends one that is known to be "
     "poor)"},
}};

// The value of one of them; empty when it is not set.
std::string environment(const char* name);

}  // namespace ebb::cpu
