#!/bin/bash
# The wheels of build/wheels in bare Debians, where neither a compiler nor OpenBLAS, libpng, libjpeg, libtiff or OpenMP is: each root
# has its suite's Python alone.
#
#   sudo tools/test_wheel_bare.sh [SUITE...]     default: bookworm trixie forky (3.11, 3.13, 3.14)
#
# What it needs and keeps: tools/bare_debian.sh.
set -euo pipefail

project=$(cd "$(dirname "$0")/.." && pwd)
. "$project/tools/bare_debian.sh"

[ $# -gt 0 ] || set -- bookworm trixie forky
for suite in "$@"; do
  bare_debian "$suite" ca-certificates,python3,python3-venv
  mkdir -p "$root/root/riata/tests" "$root/root/riata/examples" "$root/root/riata/build"
  cp -a "$project/tools" "$root/root/riata/"
  cp -a "$project/tests/packaging" "$root/root/riata/tests/"
  cp -a "$project/examples/images" "$root/root/riata/examples/"
  cp -a "$project/build/wheels" "$root/root/riata/build/"
  if inside "command -v cc c++ || find /usr/lib | grep -E 'lib(openblas|png16|jpeg|tiff|gomp)[.]so'"; then
    echo "test_wheel_bare.sh: this $suite is not bare" >&2
    exit 1
  fi
  inside "/root/riata/tools/test_wheel.sh python3"
done
