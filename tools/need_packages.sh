#!/bin/sh
# need_packages.sh PACKAGE...: makes sure that these Debian packages are installed. Silent, and without the network,
# when nothing is missing. Exits with 2, and one sentence, when it cannot install what is.
set -eu

if ! command -v dpkg-query >/dev/null; then
  exit 0  # no Debian: the build will say what it does not find
fi

missing=
for package in "$@"; do
  case $(dpkg-query -W -f='${Status}' "$package" 2>/dev/null || true) in
    *" installed") ;;
    *) missing="$missing $package" ;;
  esac
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -eq 0 ]; then
  as_root=env
elif command -v sudo >/dev/null; then
  as_root="sudo env"
else
  echo "riata: missing packages; as root, run: apt-get install$missing" >&2
  exit 2
fi

echo "riata: installing$missing" >&2
apt="$as_root DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0"
# The package lists may be absent (a bare machine) or old; update only now that something has to be installed.
# One foreign repository that does not answer must not stop us: the installation itself will tell.
$apt update || true
# shellcheck disable=SC2086  # the lists are words, to be split
$apt install --no-install-recommends $missing || {
  echo "riata: apt-get could not install$missing" >&2
  exit 2
}
