#!/bin/bash
# The packages of `make deb` in a bare Debian: they install with what they depend on, the command, the Python package and README's C++
# program run, and nothing is left after their removal. What it needs and keeps: tools/bare_debian.sh.
set -euo pipefail

project=$(cd "$(dirname "$0")/.." && pwd)
. "$project/tools/bare_debian.sh"

bare_debian "$(. /etc/os-release; echo "$VERSION_CODENAME")" ca-certificates
mkdir "$root/root/riata"
cp "$project"/build/deb/*.deb "$project/examples/images/camera.png" "$root/root/riata"
sed -n '/^```cpp$/,/^```$/p' "$project/README.md" | sed '/^```/d' > "$root/root/riata/readme.cpp"

apt="DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Dpkg::Use-Pty=0 --no-install-recommends"
run() { inside "set -euo pipefail; cd /root/riata; $1"; }
run "apt-get -qq update; $apt install ./*.deb > /root/install.log 2>&1 || { tail -20 /root/install.log; exit 1; }"
run "riata --version; riata denoise camera.png -o clean.png --sigma 20 --quiet"
run "python3 -c 'import numpy as np, riata; assert np.all(riata.encode(np.eye(3), np.eye(3), 0.5).gap <= 1e-6)'"
run "$apt install g++ pkgconf > /dev/null 2>&1"
run 'g++ -std=c++20 -O2 readme.cpp $(pkg-config --cflags --libs riata) -o readme; ./readme'
run "$apt purge riata 'libriata*' python3-riata > /dev/null"
left=$(find "$root" -xdev \( -path "$root/root" -o -path "$root/var" -o -path "$root/proc" \) -prune -o -iname '*riata*' -print)
[ -z "$left" ] || { echo "left behind: $left" >&2; exit 1; }
echo "deb: $(cd "$project/build/deb" && echo *.deb) install, run and leave nothing behind"
