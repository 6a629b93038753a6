#!/bin/sh
# run.sh [EXECUTIONS [READER...]]: every reader under libFuzzer with AddressSanitizer and
# UndefinedBehaviorSanitizer, EXECUTIONS (10,000,000) inputs each from the seeds here. A crash, an
# exception that is no Error, more than 5 s or an allocation above 66 MB (inputs have at most
# 64 KB) ends it; the input is left in build/fuzz.
set -u
cd "$(dirname "$0")/../.."
. apps/setup.sh
executions=${1:-10000000}
[ $# -gt 0 ] && shift
# shellcheck disable=SC2086
install_packages $build_packages clang || exit 1
cmake --preset fuzz >/dev/null && cmake --build --preset fuzz --target ebb_fuzz || exit 1
[ $# -gt 0 ] || set -- $(ls tests/fuzz/seeds)
status=0
for reader in "$@"; do
  mkdir -p "build/fuzz/corpus/$reader"
  if EBB_READER=$reader OMP_NUM_THREADS=1 build/fuzz/tests/ebb_fuzz -runs="$executions" \
    -max_len=65536 -timeout=5 -malloc_limit_mb=66 -print_final_stats=1 -verbosity=1 \
    -artifact_prefix="build/fuzz/$reader-" "build/fuzz/corpus/$reader" "tests/fuzz/seeds/$reader" \
    >"build/fuzz/$reader.log" 2>&1; then result=ok; else result=FAILED status=1; fi
  echo "$result $reader: $(grep -h -o -e 'number_of_executed_units: .*' \
    -e 'slowest_unit_time_sec: .*' "build/fuzz/$reader.log" | tr '\n' ' ')"
done
exit $status
