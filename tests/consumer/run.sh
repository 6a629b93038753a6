#!/bin/sh
# run.sh SOURCE BUILD: builds and runs the consumer against BUILD's library, installed into a
# temporary folder, and again with SOURCE as a subfolder.
set -eu
source=$1 build=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cmake --install "$build" --prefix "$folder/installed" >/dev/null
cmake -G Ninja -S "$source/tests/consumer" -B "$folder/found" -DCMAKE_PREFIX_PATH="$folder/installed"
cmake --build "$folder/found" -j2
"$folder/found/consumer"
cmake -G Ninja -S "$source/tests/consumer" -B "$folder/inside" -DEBB_SOURCE="$source" \
  -DCMAKE_BUILD_TYPE=Debug -DCMAKE_UNITY_BUILD=ON
cmake --build "$folder/inside" -j2
"$folder/inside/consumer"
