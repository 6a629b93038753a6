#!/bin/sh
# gpu.sh [FOLDER]: on a machine with a GPU, nvcc, a compiler, CMake and ninja, without a network:
# builds for the cards that are there, runs the suite on the real device, looks for bad accesses
# with compute-sanitizer, and times training on the GPU and on the processor. FOLDER has .deb files
# of the other packages that apps/setup.sh names, where the machine lacks them. The table at the end
# has a line a check; the exit code is 1 if one failed. Nine minutes at most.
set -u
cd "$(dirname "$0")/.."
end=$(($(date +%s) + ${SECONDS_ALLOWED:-520}))
build=build/gpu
table=$(mktemp)
trap 'rm -f "$table"' EXIT

# check NAME SECONDS COMMAND...: no longer than so many seconds, nor than what is left.
check() {
  name=$1 most=$2
  shift 2
  left=$((end - $(date +%s)))
  [ "$left" -lt "$most" ] && most=$left
  if [ "$most" -lt 5 ]; then echo "no time   $name" >>"$table"; return; fi
  echo "== $name" >&2
  begun=$(date +%s)
  if timeout "$most" "$@" >&2; then result=ok; else result=FAILED; fi
  echo "$result $(($(date +%s) - begun)) s   $name" >>"$table"
}

if [ $# -gt 0 ]; then
  root=$(mktemp -d)
  for package in "$1"/*.deb; do dpkg -x "$package" "$root"; done
  export CMAKE_PREFIX_PATH="$root/usr" PKG_CONFIG_SYSROOT_DIR="$root"
  export LD_LIBRARY_PATH="$root/usr/lib/$(uname -m)-linux-gnu${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
fi

check "configure" 60 cmake -S . -B $build -G Ninja -DCMAKE_BUILD_TYPE=Release -DEBB_CUDA=ON
check "build" 360 cmake --build $build --target ebb_tests ebb_program
ebb=$build/ebb tests=$build/tests/ebb_tests
check "devices" 30 $ebb info
# The tests of the emulated GPU are not in this build; the rest of tests/cuda runs on the real one.
check "the GPU's kernels, networks, training and samplers" 120 $tests -sf="*tests/cuda*"
check "every operator on every device" 120 $tests -tc="*other devices*,devices:*"
sanitizer=$(command -v compute-sanitizer || echo /usr/local/cuda/bin/compute-sanitizer)
if [ -x "$sanitizer" ]; then
  for tool in memcheck racecheck initcheck; do
    check "compute-sanitizer: $tool" 90 "$sanitizer" --tool $tool --error-exitcode 9 \
      $tests -sf="*tests/cuda/networks*" -tc="*UNet2D*"
  done
else
  echo "absent    compute-sanitizer" >>"$table"
fi
rm -rf $build/run-cuda $build/run-cpu
for device in cuda cpu; do
  check "300 steps of the quickstart's network, $device" 60 $ebb train --data shapes \
    --out $build/run-$device --steps 300 --device $device
done
nvidia-smi --query-gpu=name,driver_version --format=csv,noheader >>"$table" 2>/dev/null
cat "$table"
! grep -q FAILED "$table"
