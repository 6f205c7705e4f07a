#!/bin/bash
# The promise of the README, tried for real: in a bare Debian 12 root that holds only git and make, a fresh clone must
# pass `make demo` and then `make test`.
#
#   sudo tools/test_fresh_debian.sh [REVISION]     default: HEAD
#
# Needs root and debootstrap; takes about twenty minutes. The bare root is kept as a tar file beside the scratch folder
# ($RIATA_FRESH, default /tmp/riata-fresh) for the next time. The mirror, proxies and certificates are this machine's own.
set -euo pipefail

project=$(cd "$(dirname "$0")/.." && pwd)
revision=${1:-HEAD}
scratch=${RIATA_FRESH:-/tmp/riata-fresh}
root=$scratch/root

[ "$(id -u)" -eq 0 ] || { echo "$0: must run as root (it makes and enters a root file system)" >&2; exit 2; }
command -v debootstrap >/dev/null || { echo "$0: debootstrap is missing: apt-get install debootstrap" >&2; exit 2; }
# A mount and process space of our own: whatever happens below, nothing stays mounted and nothing keeps running.
[ -n "${RIATA_FRESH_INSIDE:-}" ] || RIATA_FRESH_INSIDE=1 exec unshare --mount --pid --fork --kill-child "$0" "$@"
mkdir -p "$scratch"

# --- The bare root ---------------------------------------------------------------------------------------------------

if [ ! -f "$scratch/bare.tar" ]; then
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' |
    grep -E '/debian/?$' | sort -u | head -1)
  [ -n "$mirror" ] || { echo "$0: apt knows no Debian mirror on this machine" >&2; exit 2; }
  rm -rf "$scratch/bare"
  debootstrap --variant=minbase --include=git,make bookworm "$scratch/bare" "$mirror"
  tar -C "$scratch/bare" -cf "$scratch/bare.tar.part" .
  mv "$scratch/bare.tar.part" "$scratch/bare.tar"
  rm -rf "$scratch/bare"
fi

rm -rf --one-file-system "$root"
mkdir "$root"
tar -C "$root" -xf "$scratch/bare.tar"
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
mount --bind /dev/pts "$root/dev/pts"

# --- How this machine reaches its package servers -----------------------------------------------------------------------

cp -L /etc/resolv.conf "$root/etc/resolv.conf"
for file in /etc/pip.conf /etc/apt/apt.conf /etc/apt/apt.conf.d/*prox* /etc/apt/apt.conf.d/99*; do
  [ -f "$file" ] && install -D -m 644 "$file" "$root$file"
done
if [ -d /usr/local/share/ca-certificates ]; then  # picked up when the Makefile installs ca-certificates
  mkdir -p "$root/usr/local/share/ca-certificates"
  cp -a /usr/local/share/ca-certificates/. "$root/usr/local/share/ca-certificates/"
fi
passed=()
while IFS= read -r -d '' variable; do
  case $variable in
    PIP_FIND_LINKS=*) ;;  # a folder of this machine, not of that one
    PIP_*=* | http_proxy=* | https_proxy=* | no_proxy=* | HTTP_PROXY=* | HTTPS_PROXY=* | NO_PROXY=*) passed+=("$variable") ;;
  esac
done < <(env -0)

# --- The promise --------------------------------------------------------------------------------------------------------

# Only what git knows.
git clone -q --no-hardlinks "$project" "$root/root/riata"
git -C "$root/root/riata" checkout -q "$(git -C "$project" rev-parse "$revision")"

inside() {
  env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb "${passed[@]}" \
    chroot "$root" /bin/bash -c "$1"
}
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
