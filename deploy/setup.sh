#!/usr/bin/env bash
# Makes the environment in .venv: system packages, pinned Python packages, the GPAW build.
# Does nothing when the environment is up to date. `deploy/setup.sh test` adds what the tests need.
#
#   PYTHON           interpreter to use (default: the first of python3.11 ... python3.13, python3)
#   TORCH_INDEX_URL  package index for torch, for example one that holds CPU-only builds
set -euo pipefail
cd "$(dirname "$0")/.."

want="${1:-run}"
libraries=(gcc g++ libxc-dev libopenblas-dev libfftw3-dev)
[ "$want" = test ] && libraries+=(rsync openssh-client chromium chromium-driver quantum-espresso quantum-espresso-data slurmctld slurmd slurm-client munge libcurl4)

say() { printf '\033[1m==> %s\033[0m\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

stamp=".venv/.set-up-for-$want"
state="$(cat pyproject.toml deploy/constraints.txt deploy/setup.sh deploy/mongod-test.sh deploy/gpaw_siteconfig.py | sha256sum | cut -d' ' -f1)"
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$state $PWD" ]; then
  exit 0
fi

find_python() {
  local candidates=(python3.11 python3.12 python3.13 python3)
  [ -n "${PYTHON:-}" ] && candidates=("$PYTHON")
  for candidate in "${candidates[@]}"; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  fail "Python 3.11 or newer is needed; on Debian: apt-get install python3"
}

install_system_packages() {
  command -v dpkg-query >/dev/null || {
    say "not a Debian system: make sure that a C compiler, LibXC, OpenBLAS and FFTW3 are installed"
    return
  }
  local missing=()
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
      as_root=(sudo)
    elif command -v sudo >/dev/null && [ -t 0 ]; then
      as_root=(sudo)
    else
      fail "system packages are missing and cannot be installed without root. Ask an administrator for:
  apt-get install ${missing[*]}"
    fi
  fi
  say "installing system packages: ${missing[*]}"
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    "${missing[@]}" >/dev/null
}

python="$(find_python)"
"$python" -c 'import ensurepip, venv' 2>/dev/null || libraries+=(python3-venv)
"$python" - <<'PY' || libraries+=(python3-dev)
import pathlib, sys, sysconfig
sys.exit(not pathlib.Path(sysconfig.get_paths()["include"], "Python.h").exists())
PY
install_system_packages "${libraries[@]}"

# A virtual environment knows its own path: one that was moved or copied here is made anew.
if [ -d .venv ] && ! grep -qsF "$PWD/.venv" .venv/bin/activate; then
  rm -rf .venv
fi
[ -x .venv/bin/python ] || { say "making .venv with $("$python" --version)"; "$python" -m venv .venv; }
pip() { .venv/bin/python -m pip --disable-pip-version-check "$@"; }

say "installing Python packages (a few minutes the first time)"
if [ -z "${TORCH_INDEX_URL:-}" ] && ! command -v nvidia-smi >/dev/null; then
  say "no NVIDIA GPU here: torch may bring gigabytes of CUDA packages, unless TORCH_INDEX_URL names an index of CPU builds"
fi
pip install -q ${TORCH_INDEX_URL:+--index-url "$TORCH_INDEX_URL"} -c deploy/constraints.txt torch
if ! .venv/bin/python -c 'import gpaw' 2>/dev/null; then
  say "building GPAW"
  pip install -q -c deploy/constraints.txt ase numpy scipy setuptools wheel
  GPAW_CONFIG="$PWD/deploy/gpaw_siteconfig.py" \
    pip install -q --no-cache-dir --no-binary gpaw -c deploy/constraints.txt gpaw gpaw-data
fi
extras=all
[ "$want" = test ] && extras=dev
pip install -q -c deploy/constraints.txt -e ".[$extras]"
if [ "$want" = test ]; then
  say "installing a MongoDB server for the tests"
  deploy/mongod-test.sh || say "it could not be installed here: tests that need a MongoDB server skip"
fi
pip check >/dev/null || fail "the installed packages do not fit together: $(pip check)"
printf '%s %s' "$state" "$PWD" >"$stamp"
say "the environment is ready: .venv/bin/discover"
