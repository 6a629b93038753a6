#!/bin/sh
# Installs what is missing, builds the release preset and runs every test.
set -eu
cd "$(dirname "$0")/.."
. apps/setup.sh
# shellcheck disable=SC2086
install_packages $build_packages
build all
status=0
ctest --test-dir build/release --label-exclude unit --output-on-failure || status=1
build/release/tests/ebb_tests || status=1
exit $status
