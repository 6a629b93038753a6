#!/bin/sh
# From a fresh clone to a trained model and a picture of its samples on Fashion-MNIST: installs
# what is missing, builds, trains for MINUTES (default 3), samples.
#
#   sh apps/quickstart.sh [RUN]        RUN: the folder of the run (default runs/fashion-mnist)
set -eu
cd "$(dirname "$0")/.."
. apps/setup.sh
run=${1:-runs/fashion-mnist}
minutes=${MINUTES:-3}
if [ -e "$run" ]; then
  echo "quickstart: $run is there already; name another folder: sh apps/quickstart.sh RUN" >&2
  exit 1
fi
# shellcheck disable=SC2086
install_packages $build_packages dataset-fashion-mnist
build ebb_program
ebb=build/release/ebb
$ebb train --data fashion-mnist --out "$run" --minutes "$minutes"
$ebb sample "$run" --steps 30 --guidance 1 --classes 0-9 --count 80 --out "$run/samples.png"
$ebb sample "$run" --steps 30 --guidance 2 --classes 0-9 --count 80 --out "$run/guided.png" \
  --trajectory "$run/trajectory.png"
echo "The pictures are in $run: samples.png, guided.png, trajectory.png, loss.png"
