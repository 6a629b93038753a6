#!/bin/sh
# each_file.sh COMPILER FOLDER...: every source file there by itself, as a build without unity files
# compiles it.
set -eu
cd "$(dirname "$0")/.."
compiler=$1
shift
include=build/each_file
mkdir -p "$include"
ln -sfn "$PWD" "$include/ebb"
blas=$(pkg-config --cflags openblas)
export compiler include blas
find "$@" -name '*.cpp' -not -path 'tests/consumer/*' -print0 | xargs -0 -P 2 -I FILE sh -c '
  "$compiler" -std=c++20 -fopenmp -fsyntax-only -Wall -Wextra -Werror "-I$include" -I. $blas \
    -DEBB_VERSION=\"0\" -DEBB_SOURCE_DIR=\"\" -DEBB_PROGRAM=\"\" FILE || { echo "FILE fails"; exit 1; }'
