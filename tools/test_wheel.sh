#!/bin/bash
# test_wheel.sh PYTHON...: installs the wheel of build/wheels that is for this Python into a fresh environment of its own, without a
# compiler, and runs tests/packaging/smoke_of_wheel.py there. BESIDE=torch: with PyTorch there.
set -euo pipefail
cd "$(dirname "$0")/.."

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
for python in "$@"; do
  tag=$("$python" -c 'import sys; print("cp%d%d" % sys.version_info[:2])')
  [[ $tag < cp312 ]] || tag=abi3
  wheel=$(ls -t build/wheels/*-"$tag"-*.whl 2>/dev/null | head -1)
  [ -n "$wheel" ] || { echo "test_wheel.sh: build/wheels has none for $python: make wheel PYTHON=$python" >&2; exit 1; }
  rm -rf "$scratch/venv"
  "$python" -m venv "$scratch/venv"
  CC=false CXX=false "$scratch/venv/bin/pip" install -q --only-binary :all: "$wheel" ${BESIDE:-}
  for order in "" ${BESIDE:+riata-first}; do
    PYTHONPATH='' "$scratch/venv/bin/python" tests/packaging/smoke_of_wheel.py $order
  done
done
