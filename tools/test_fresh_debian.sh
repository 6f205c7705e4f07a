#!/bin/bash
# The promise of the README, tried for real: in a bare Debian 12 root that holds only git and make, a fresh clone must
# pass `make demo` and then `make test`.
#
#   sudo tools/test_fresh_debian.sh [REVISION]     default: HEAD
#
# Takes about twenty minutes. What it needs and keeps: tools/bare_debian.sh.
set -euo pipefail

project=$(cd "$(dirname "$0")/.." && pwd)
revision=${1:-HEAD}
. "$project/tools/bare_debian.sh"
bare_debian bookworm git,make

# --- The promise --------------------------------------------------------------------------------------------------------

# Only what git knows.
git clone -q --no-hardlinks "$project" "$root/root/riata"
git -C "$root/root/riata" checkout -q "$(git -C "$project" rev-parse "$revision")"

status=0
for target in demo test "test (again)"; do
  start=$SECONDS
  code=0
  inside "cd /root/riata && make ${target%% *}" > "$scratch/${target// /-}.log" 2>&1 || code=$?
  echo "make $target: exit $code, $((SECONDS - start)) s, $(tail -1 "$scratch/${target// /-}.log")"
  [ "$code" -eq 0 ] || { status=1; tail -40 "$scratch/${target// /-}.log"; }
done
ls -l "$root/root/riata/build/demo/" || status=1
exit "$status"
