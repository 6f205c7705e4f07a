# Sourced by the tests that want a bare Debian: `bare_debian SUITE PACKAGE,PACKAGE` makes its root file system in $root, with these
# packages, and `inside COMMAND` runs a command there. Needs root and debootstrap. The bare root is kept as a tar file in $scratch
# ($RIATA_FRESH, default /tmp/riata-fresh) for the next time. The mirror, proxies and certificates are this machine's own.

scratch=${RIATA_FRESH:-/tmp/riata-fresh}
root=$scratch/root

[ "$(id -u)" -eq 0 ] || { echo "$0: must run as root (it makes and enters a root file system)" >&2; exit 2; }
command -v debootstrap >/dev/null || { echo "$0: debootstrap is missing: apt-get install debootstrap" >&2; exit 2; }
# A mount and process space of our own: whatever happens below, nothing stays mounted and nothing keeps running.
[ -n "${RIATA_FRESH_INSIDE:-}" ] || RIATA_FRESH_INSIDE=1 exec unshare --mount --pid --fork --kill-child "$0" "$@"
mkdir -p "$scratch"

passed=()
while IFS= read -r -d '' variable; do
  case $variable in
    PIP_FIND_LINKS=*) ;;  # a folder of this machine, not of that one
    PIP_*=* | http_proxy=* | https_proxy=* | no_proxy=* | HTTP_PROXY=* | HTTPS_PROXY=* | NO_PROXY=*) passed+=("$variable") ;;
  esac
done < <(env -0)

bare_debian() {
  local kept="$scratch/$1-$2.tar" mirror script
  if [ ! -f "$kept" ]; then
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' |
      grep -E '/debian/?$' | sort -u | head -1)
    [ -n "$mirror" ] || { echo "$0: apt knows no Debian mirror on this machine" >&2; exit 2; }
    script=/usr/share/debootstrap/scripts/$1
    [ -e "$script" ] || script=/usr/share/debootstrap/scripts/sid  # a suite younger than debootstrap
    rm -rf "$scratch/bare"
    debootstrap --variant=minbase --include="$2" "$1" "$scratch/bare" "$mirror" "$script"
    tar -C "$scratch/bare" -cf "$kept.part" .
    mv "$kept.part" "$kept"
    rm -rf "$scratch/bare"
  fi

  if mountpoint -q "$root/proc"; then umount -R "$root/dev" "$root/proc"; fi
  rm -rf --one-file-system "$root"
  mkdir "$root"
  tar -C "$root" -xf "$kept"
  mount -t proc proc "$root/proc"
  mount --bind /dev "$root/dev"
  mount --bind /dev/pts "$root/dev/pts"
  cp -L /etc/resolv.conf "$root/etc/resolv.conf"
  local file
  for file in /etc/pip.conf /etc/apt/apt.conf /etc/apt/apt.conf.d/*prox* /etc/apt/apt.conf.d/99*; do
    if [ -f "$file" ]; then install -D -m 644 "$file" "$root$file"; fi
  done
  if [ -d /usr/local/share/ca-certificates ]; then  # picked up when ca-certificates is installed
    mkdir -p "$root/usr/local/share/ca-certificates"
    cp -a /usr/local/share/ca-certificates/. "$root/usr/local/share/ca-certificates/"
    if [ -x "$root/usr/sbin/update-ca-certificates" ]; then chroot "$root" update-ca-certificates >/dev/null; fi
  fi
}

inside() {
  env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb "${passed[@]}" \
    chroot "$root" /bin/bash -c "$1"
}
