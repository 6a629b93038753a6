#!/bin/sh
# compare.sh [PYTHON]: this library beside PyTorch, diffusers and k-diffusion themselves, as far as
# PYTHON (python3) has them. The tests need none of them: they read tests/golden, whose files these
# scripts make. COUNT and SEED choose the random operators (3000, 1). The exit code is 1 if
# something differs.
set -u
cd "$(dirname "$0")/.."
python=${1:-python3}
. apps/setup.sh
# shellcheck disable=SC2086
install_packages $build_packages || exit 1
build ebb_interop || exit 1
program=$PWD/build/release/tests/ebb_interop
scripts=tests/interop
export OMP_NUM_THREADS=1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

has() {
  for module in "$@"; do
    "$python" -c "import importlib.util as u, sys; sys.exit(u.find_spec('$module') is None)" || return 1
  done
}
# compare NAME "MODULES" COMMAND...
compare() {
  name=$1
  modules=$2
  shift 2
  echo "== $name" >&2
  # shellcheck disable=SC2086
  if ! has $modules; then result="skipped, $python lacks one of: $modules"
  elif "$@" >&2; then result=ok
  else result=FAILED; fi
  echo "$result: $name" >>"$folder/table"
}
samplers() { "$python" $scripts/samplers.py "$folder/samplers" && "$program" samplers "$folder/samplers"; }
# reference FILE SCRIPT ARGUMENT...: FILE is what the script makes.
reference() {
  file=tests/golden/$1.safetensors
  script=$2
  shift 2
  "$python" "$scripts/$script" "$@" && "$python" $scripts/same_numbers.py "$file" "$folder/made"
}

compare "the tutorial's U-Nets, weights both ways" torch "$python" $scripts/tutorial_unet.py "$program"
compare "UNet2D, forward and backward" torch "$python" $scripts/unet2d.py "$program"
compare "UNet2D, diffusers' class" "torch diffusers" "$python" $scripts/unet2d.py "$program" --diffusers
compare "networks of diffusers and transformers" "torch diffusers transformers" "$python" $scripts/hub_networks.py "$program"
compare "tokens of texts" tokenizers "$python" $scripts/tokenizer_texts.py "$program" "${COUNT:-3000}" "${SEED:-1}"
compare "every sampler" "torch diffusers k_diffusion" samplers
compare "safetensors, good and damaged files" "torch safetensors" "$python" $scripts/safetensors_files.py "$program" "${COUNT:-3000}" "${SEED:-1}"
compare "operators at random" torch "$python" $scripts/operators.py "$program" "${COUNT:-3000}" "${SEED:-1}"
compare "special.safetensors" torch reference special special_values.py "$folder/made"
compare "training.safetensors" torch reference training training_reference.py "$folder/made"
compare "networks.safetensors" torch reference networks networks.py "$folder/made"
compare "hub_networks.safetensors" "torch diffusers transformers" reference hub_networks hub_networks.py --write "$folder/made"
compare "operators.safetensors" torch reference operators operators.py --write "$folder/made" 130 1
compare "samplers.safetensors" "torch diffusers k_diffusion" reference samplers samplers.py "$folder/made"
cat "$folder/table"
! grep -q FAILED "$folder/table"
