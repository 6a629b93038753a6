# Read by apps/quickstart.sh and tests/run.sh, from the top folder: packages and the build.

build_packages="g++ cmake ninja-build pkg-config libopenblas-openmp-dev libfmt-dev libhwy-dev
  libcli11-dev nlohmann-json3-dev doctest-dev libpng-dev zlib1g-dev libxxhash-dev
  gnuplot-nox libboost-context-dev"

# install_packages NAME...: those that are missing, with apt where this user may, else a message
# with the line to type. Elsewhere than on Debian and its kin CMake says what is missing.
install_packages() {
  command -v dpkg-query >/dev/null || return 0
  missing=
  for package in "$@"; do
    case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) in
      "install ok installed") ;;
      *) missing="$missing $package" ;;
    esac
  done
  [ -n "$missing" ] || return 0
  if [ "$(id -u)" = 0 ]; then as_root=
  elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then as_root=sudo
  else
    echo "Missing packages; install them with: sudo apt-get install$missing" >&2
    return 1
  fi
  echo "Installing$missing" >&2
  export DEBIAN_FRONTEND=noninteractive
  $as_root apt-get update -q >&2
  # shellcheck disable=SC2086
  $as_root apt-get install -q -y --no-install-recommends $missing >&2
}

# build TARGET...: the release preset.
build() {
  cmake --preset release ${EBB_WERROR:+"-DEBB_WERROR=$EBB_WERROR"} >&2
  cmake --build --preset release --target "$@" >&2
}
