#!/bin/sh
# all.sh [quick]: the checks that tests/run.sh leaves out. Each is one line of the table that this
# prints at the end; the exit code is 1 if one failed.
#   quick, a part of CI: the kernels with every instruction set, tensor, autograd and nn under
#   AddressSanitizer and UndefinedBehaviorSanitizer, the tutorial on a minimal build.
#   Without it: the whole suite with every instruction set and 1, 2 and 3 threads, under the
#   sanitizers and compiled by clang; threads under ThreadSanitizer; kernels under valgrind; every
#   kind of consumer; the comparisons with other libraries where they are installed.
set -u
cd "$(dirname "$0")/.."
. apps/setup.sh
quick=${1:-}
# shellcheck disable=SC2086
install_packages $build_packages || exit 1
install_packages clang-format || exit 1
[ "$quick" = quick ] || install_packages clang libomp-dev valgrind || exit 1
targets="avx2 portable"
grep -q avx512vl /proc/cpuinfo && targets="avx512 $targets"
table=$(mktemp)
trap 'rm -f "$table"' EXIT

# check NAME COMMAND...
check() {
  name=$1
  shift
  echo "== $name" >&2
  if "$@" >&2; then echo "ok     $name"; else echo "FAILED $name"; fi >>"$table"
}

# built PRESET OPTION...: configures it and builds its tests.
built() {
  preset=$1
  shift
  cmake --preset "$preset" "$@" && cmake --build --preset "$preset" --target ebb_tests
}
# minimal TARGET...: builds them with the reference kernels alone.
minimal() {
  cmake -S . -B build/minimal -G Ninja -DEBB_MINIMAL=ON -DEBB_WERROR=ON \
    -DCMAKE_CXX_FLAGS=-pedantic-errors && cmake --build build/minimal --target "$@"
}
# The GPU's kernels by nvcc.
cuda() {
  cmake -S . -B build/cuda -G Ninja -DEBB_CUDA=ON -DEBB_WERROR=ON -DCMAKE_BUILD_TYPE=Release \
    "-DCMAKE_CUDA_ARCHITECTURES=80;90;120" && cmake --build build/cuda --target ebb_cuda_objects
}
tests=build/release/tests/ebb_tests
library="*tests/tensor*,*tests/kernels*,*tests/autograd*,*tests/nn*,*tests/threads*"

check "format" sh -c "find tensor autograd nn diffusion apps tests -name '*.h' -o -name '*.cpp' -o -name '*.cu' |
  xargs clang-format --dry-run -Werror"
check "release build" build ebb_tests
if [ "$quick" = quick ]; then
  threads=1
  for target in $targets; do
    check "kernels, $target, $threads threads" \
      env EBB_SIMD="$target" OMP_NUM_THREADS=$threads $tests \
      -sf="*tests/tensor*,*tests/kernels*,*tests/threads*,*tests/golden*" -tce="devices:*"
    threads=3
  done
  check "minimal build" minimal example_tutorial example_guidance
  check "the tutorial on it" ctest --test-dir build/minimal -R "example_(tutorial|guidance)"
  check "sanitizers: build" built sanitize -DEBB_BUILD_APPS=OFF \
    "-DEBB_TEST_FOLDERS=tensor|kernels|autograd|nn|threads" \
    "-DCMAKE_CXX_FLAGS_DEBUG=-O1 -g1 -DEBB_NO_AVX512"
  check "sanitizers: tensor, autograd, nn" env ASAN_OPTIONS=allocator_may_return_null=1 \
    build/sanitize/tests/ebb_tests -sf="$library"
else
  check "the program" build ebb_program
  for target in $targets; do
    for threads in 1 2 3; do
      check "suite, $target, $threads threads" \
        env EBB_SIMD="$target" OMP_NUM_THREADS=$threads $tests -sfe="*tests/apps*"
    done
  done
  check "sanitizers: build" built sanitize -DEBB_BUILD_APPS=ON -DEBB_TEST_FOLDERS= \
    "-DCMAKE_CXX_FLAGS_DEBUG=-O1 -g1"
  check "sanitizers: suite" env ASAN_OPTIONS=allocator_may_return_null=1 \
    build/sanitize/tests/ebb_tests
  check "minimal build" minimal all
  check "minimal build: suite" build/minimal/tests/ebb_tests
  check "ThreadSanitizer: build" built thread
  check "ThreadSanitizer: threads" \
    env TSAN_OPTIONS="allocator_may_return_null=1 die_after_fork=0" \
    build/thread/tests/ebb_tests -ts="threads*"
  check "valgrind: kernels" env OMP_NUM_THREADS=1 valgrind -q --error-exitcode=9 \
    $tests -sf="*tests/kernels*"
  check "clang: build" built clang
  check "clang: suite" build/clang/tests/ebb_tests -sfe="*tests/apps*"
  if [ -x "${CUDACXX:-/usr/local/cuda/bin/nvcc}" ]; then
    check "CUDA, for three generations of cards" cuda
  else
    echo "absent nvcc: the GPU's kernels are compiled as C++ alone" >>"$table"
  fi
  check "each source alone" sh tests/each_file.sh c++ tensor autograd nn diffusion apps
  check "clang, each source alone" sh tests/each_file.sh clang++ tensor autograd nn diffusion apps tests
  check "other libraries, as far as they are installed" sh tests/compare.sh
  check "consumers" sh tests/consumer/run.sh "$PWD" "$PWD/build/release" all
fi
cat "$table"
! grep -q FAILED "$table"
