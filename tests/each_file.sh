#!/bin/sh
# each_file.sh COMPILER: every source file by itself, as a build without unity files compiles it.
set -eu
cd "$(dirname "$0")/.."
compiler=$1
include=build/each_file
mkdir -p "$include"
ln -sfn "$PWD" "$include/ebb"
blas=$(pkg-config --cflags openblas)
export compiler include blas
git ls-files --cached --others --exclude-standard '*.cpp' | grep -v -e ^tests/consumer -e ^tests/fuzz |
  xargs -P 2 -I FILE sh -c '
    "$compiler" -std=c++20 -fopenmp -fsyntax-only -Wall -Wextra -Werror "-I$include" -I. $blas \
      -DEBB_VERSION=\"0\" -DEBB_SOURCE_DIR=\"\" -DEBB_PROGRAM=\"\" FILE || { echo "FILE fails"; exit 1; }'
