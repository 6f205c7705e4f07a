#!/bin/bash
# The packages of `make deb` in a bare Debian root: they install, the command, README's C++ program and the Python package run, and
# nothing is left after their removal. As root; the root lies in build/deb/root and is used again.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD/build/deb/root
codename=$(. /etc/os-release; echo "$VERSION_CODENAME")
mirror=$(apt-get indextargets --format '$(SITE)' "Codename: $codename" | head -1)
if [ ! -e "$root/etc/debian_version" ]; then
  rm -rf "$root.new"
  debootstrap --variant=minbase --include=ca-certificates "$codename" "$root.new" "$mirror"
  for file in /etc/apt/apt.conf.d/*; do  # a mirror may need a proxy
    if grep -qi "acquire" "$file"; then cp "$file" "$root.new/etc/apt/apt.conf.d/"; fi
  done
  mv "$root.new" "$root"
fi
rm -rf "$root/tmp/riata"
mkdir "$root/tmp/riata"
cp build/deb/*.deb "$root/tmp/riata"
sed -n '/^```cpp$/,/^```$/p' README.md | sed '/^```/d' > "$root/tmp/riata/readme.cpp"
cp examples/images/*.png "$root/tmp/riata"

inside() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 \
  http_proxy="${http_proxy-}" https_proxy="${https_proxy-}" sh -euc "cd /tmp/riata; $1"; }
apt="apt-get -q -y -o Dpkg::Use-Pty=0 --no-install-recommends"
mountpoint -q "$root/proc" || mount -t proc proc "$root/proc"
trap 'umount "$root/proc"' EXIT
inside "$apt purge 'libriata*' riata python3-riata > /dev/null 2>&1 || true; $apt update > /dev/null"
inside "$apt install ./*.deb" > build/deb/install.log || { tail -20 build/deb/install.log; exit 1; }
inside 'riata --version; riata denoise "$(ls *.png | head -1)" -o clean.png --sigma 20 --quiet'
inside "python3 -c 'import numpy as np, riata; X = np.eye(3); assert np.all(riata.encode(X, X, 0.5).gap <= 1e-6); print(riata.__version__)'"
inside "$apt install g++ pkgconf > /dev/null"
inside 'g++ -std=c++20 -O2 readme.cpp $(pkg-config --cflags --libs riata) -o readme; ./readme'
inside "$apt purge 'libriata*' riata python3-riata > /dev/null"
left=$(find "$root" -xdev -path "$root/tmp" -prune -o -path "$root/var/*" -prune -o -iname '*riata*' -print)
[ -z "$left" ] || { echo "left behind: $left"; exit 1; }
echo "deb: $(ls build/deb/*.deb | xargs -n1 basename | tr '\n' ' ')install, run and leave nothing behind"
