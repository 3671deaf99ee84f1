#!/usr/bin/env bash
# Builds the image robson-postgres:15 from Debian packages, for machines that can reach no image registry. Takes
# root, debootstrap and a Debian mirror; use it with PG_IMAGE=robson-postgres:15.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly suite=bookworm major=15
readonly mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}

if [ "$(id -u)" != 0 ]; then
  echo "postgres-image.sh: debootstrap takes root" >&2
  exit 1
fi
if ! command -v debootstrap >/dev/null; then
  echo "postgres-image.sh: no debootstrap: apt-get install debootstrap" >&2
  exit 1
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
debootstrap --variant=minbase --include="postgresql-$major" "$suite" "$work/rootfs" "$mirror"
# The package made a cluster of its own; the image makes one in its volume.
rm -rf "$work/rootfs/var/lib/postgresql/$major" "$work/rootfs/etc/postgresql/$major" \
  "$work/rootfs/var/cache/apt" "$work/rootfs/var/lib/apt/lists" "$work/rootfs/usr/share/doc"
tar -C "$work/rootfs" --exclude='./dev/*' --exclude='./proc/*' --exclude='./sys/*' -cf "$work/rootfs.tar" .
rm -rf "$work/rootfs"
cp deploy/postgres/Dockerfile deploy/postgres/entrypoint.sh deploy/postgres/pg_hba.conf "$work/"
docker build -t "robson-postgres:$major" "$work"
echo "built robson-postgres:$major"
