#!/bin/sh
# run.sh SOURCE BUILD [all]: projects that use the library, each built and run.
#   BUILD's library, installed: by find_package and pkg-config; what must not compile.
#   SOURCE as a subfolder, without a build type.
# all: also a shared library, FetchContent from a clone, each public header alone; gcc and clang,
# C++20 and 23.
set -eu
source=$1 build=$2 all=${3:-}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
unset CXX CXXFLAGS CFLAGS LDFLAGS

# project NAME OPTION...: the consumer with these options of CMake.
project() {
  name=$1
  shift
  echo "== $name: $*"
  cmake -G Ninja -S "$source/tests/consumer" -B "$folder/$name" "$@" >"$folder/log" &&
    cmake --build "$folder/$name" -j2 >"$folder/log" || { cat "$folder/log"; exit 1; }
  "$folder/$name/consumer"
  # What it compiles of the library is optimised, though it set no build type.
  if grep -q 'ebb_objects.dir' "$folder/$name/build.ninja"; then
    grep -A 4 '^build.*ebb_objects.dir/tensor/cpu/gemm/gemm.cpp' "$folder/$name/build.ninja" |
      grep -q -e 'FLAGS =.* -O3' || { echo "$name is not optimised"; exit 1; }
  fi
  rm -rf "${folder:?}/$name"
}

# The compiler's name of a standard: 2b is what clang 14 calls 23.
std() {
  if [ "$1" = 23 ]; then echo -std=c++2b; else echo "-std=c++$1"; fi
}

# packaged COMPILER STANDARD PREFIX: by pkg-config alone.
packaged() {
  echo "== pkg-config: $*"
  pc=$(dirname "$(find "$3" -name ebb.pc)")
  # shellcheck disable=SC2046
  "$1" "$(std "$2")" "$source/tests/consumer/main.cpp" -o "$folder/packaged" \
    $(PKG_CONFIG_PATH=$pc pkg-config --cflags --libs ebb) "-Wl,-rpath,$(dirname "$pc")"
  "$folder/packaged"
}

# refused COMPILER STANDARD PREFIX
refused() {
  echo "== must not compile: $*"
  for case in 0 1 2 3 4 5 6 7 8; do
    status=1
    "$1" "$(std "$2")" -fsyntax-only "-DCASE=$case" "-I$3/include" \
      "$source/tests/consumer/refused.cpp" 2>"$folder/log" && status=0
    if [ $case = 0 ] && [ $status != 0 ]; then cat "$folder/log"; exit 1; fi
    if [ $case != 0 ] && [ $status = 0 ]; then echo "case $case compiles"; exit 1; fi
    if grep -q "no such case" "$folder/log"; then echo "no case $case"; exit 1; fi
  done
}

install_of() {
  cmake --install "$1" --prefix "$2" >/dev/null
  if grep -rn -e "$source" -e "$build" -e /usr/lib "$2"/lib*/cmake "$2"/lib*/pkgconfig; then
    echo "$2 holds absolute paths"
    exit 1
  fi
  # Moved, it is still found.
  mv "$2" "$2-moved"
}

install_of "$build" "$folder/static"
static=$folder/static-moved
project found "-DCMAKE_PREFIX_PATH=$static"
packaged c++ 20 "$static"
refused c++ 20 "$static"
if [ -x "$static/bin/ebb" ]; then "$static/bin/ebb" --version; fi
project inside "-DEBB_SOURCE=$source" -DCMAKE_UNITY_BUILD=ON
[ "$all" = all ] || exit 0

cmake -G Ninja -S "$source" -B "$folder/build" -DBUILD_SHARED_LIBS=ON -DEBB_BUILD_TESTS=OFF \
  >/dev/null
cmake --build "$folder/build" -j2 >/dev/null
install_of "$folder/build" "$folder/shared"
shared=$folder/shared-moved
if nm -DC --defined-only "$shared"/lib*/libebb.so | grep -e ebb::cpu:: -e nlohmann; then
  echo "internal names are exported"
  exit 1
fi
for compiler in g++ clang++; do
  for standard in 20 23; do
    for prefix in "$static" "$shared"; do
      project found "-DCMAKE_PREFIX_PATH=$prefix" "-DCMAKE_CXX_COMPILER=$compiler" \
        "-DCMAKE_CXX_STANDARD=$standard"
      packaged "$compiler" "$standard" "$prefix"
    done
    refused "$compiler" "$standard" "$static"
  done
done
git clone -q "$source" "$folder/clone"
for compiler in g++ clang++; do
  for standard in 20 23; do
    for shared_libs in OFF ON; do
      set -- "-DCMAKE_CXX_COMPILER=$compiler" "-DCMAKE_CXX_STANDARD=$standard" \
        "-DBUILD_SHARED_LIBS=$shared_libs" -DCMAKE_UNITY_BUILD=ON
      project inside "-DEBB_SOURCE=$source" "$@"
      project fetched "-DEBB_REPOSITORY=$folder/clone" "$@"
    done
    echo "== each header alone: $compiler $standard"
    (cd "$static/include" && find ebb -name '*.h') | while read -r header; do
      echo "#include <$header>" | "$compiler" "$(std "$standard")" -Wall -Wextra -Werror \
        -fsyntax-only -x c++ "-I$static/include" - || exit 1
    done
  done
done
