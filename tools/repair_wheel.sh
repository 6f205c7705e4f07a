#!/bin/sh
# repair_wheel.sh WHEEL FOLDER: puts the wheel into FOLDER with the libraries that it needs inside, under names of their own; fails
# if it keeps less than it promises. `make wheel` and cibuildwheel call it; what tools/requirements-packaging.txt installs is on PATH.
set -eu

made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
auditwheel repair --wheel-dir "$made" "$1"
wheel=$(ls "$made"/*.whl)

# The licences of what is inside now: auditwheel lists the packages of the system that it came from.
wheel unpack --dest "$made/unpacked" "$wheel" >/dev/null
info=$(ls -d "$made"/unpacked/*/*.dist-info)
grep -oE 'pkg:(deb|rpm)/[^@"]*' "$info"/sboms/* | sed 's|.*/||' | sort -u | while read -r package; do
  for file in /usr/share/doc/"$package"/copyright /usr/share/licenses/"$package"/*; do
    [ ! -f "$file" ] || cp "$file" "$info/licenses/$package-$(basename "$file")"
  done
  ls "$info/licenses/$package"-* >/dev/null
done
wheel pack --dest-dir "$made" "$made"/unpacked/* >/dev/null

case $wheel in
  *-manylinux_*) ;;
  *) echo "repair_wheel.sh: $(basename "$wheel") has no manylinux tag" >&2; exit 1 ;;
esac
case $wheel in
  *-abi3-*) abi3audit --strict --summary "$wheel" ;;
esac
bytes=$(wc -c < "$wheel")
[ "$bytes" -lt 25000000 ] || { echo "repair_wheel.sh: $(basename "$wheel") has $bytes bytes, must be < 25000000" >&2; exit 1; }
mkdir -p "$2"
mv "$wheel" "$2"
echo "$2/$(basename "$wheel"): $bytes bytes"
