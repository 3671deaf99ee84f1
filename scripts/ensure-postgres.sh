#!/usr/bin/env bash
# Makes sure that there is a PostgreSQL 15 or newer to start: finds one, else installs the package where this user
# may, else leaves it to robson, which fetches one or says what to install. It starts no server and asks nothing.
set -euo pipefail

readonly major_min=15

# The same places as pkg/postgres/private/binaries.go, but for pg_config.
candidates() {
  if [ -n "${ROBSON_POSTGRES_BIN:-}" ]; then
    echo "$ROBSON_POSTGRES_BIN"
    return
  fi
  command -v postgres >/dev/null && dirname "$(command -v postgres)"
  command -v pg_config >/dev/null && pg_config --bindir 2>/dev/null
  local dir
  for dir in /usr/lib/postgresql/*/bin /usr/lib/postgresql*/bin /usr/libexec/postgresql* /usr/pgsql-*/bin \
    /usr/local/pgsql/bin /opt/homebrew/opt/postgres*/bin /usr/local/opt/postgres*/bin \
    /Applications/Postgres.app/Contents/Versions/*/bin; do
    echo "$dir"
  done
}

found() {
  local dir version
  while read -r dir; do
    [ -x "$dir/postgres" ] && [ -x "$dir/initdb" ] || continue
    version=$("$dir/postgres" --version 2>/dev/null | sed -n 's/^postgres (PostgreSQL) \([0-9]*\).*/\1/p')
    if [ -n "$version" ] && [ "$version" -ge "$major_min" ]; then
      return 0
    fi
  done < <(candidates || true)
  return 1
}

# as_root runs a command as root, or fails where that would take a password.
as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  else
    sudo -n "$@"
  fi
}

install_package() {
  command -v apt-get >/dev/null || return 1
  as_root true 2>/dev/null || return 1
  local major package="" drop_in=/etc/postgresql-common/createcluster.d/robson.conf
  for attempt in listed updated; do
    for major in 15 16 17 18; do
      if apt-cache show "postgresql-$major" >/dev/null 2>&1; then
        package="postgresql-$major"
        break 2
      fi
    done
    [ "$attempt" = updated ] || as_root apt-get update -qq || return 1
  done
  [ -n "$package" ] || return 1
  echo "installing $package"
  # Without this the package would make a cluster of its own and serve it on port 5432.
  as_root mkdir -p "$(dirname "$drop_in")"
  echo "create_main_cluster = false" | as_root tee "$drop_in" >/dev/null
  local status=0
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=120 "$package" >/dev/null || status=$?
  as_root rm -f "$drop_in"
  return "$status"
}

if found; then
  exit 0
fi
if [ -z "${ROBSON_POSTGRES_BIN:-}" ] && install_package && found; then
  exit 0
fi
echo "no PostgreSQL $major_min or newer found; robson will try to fetch one (else: apt-get install postgresql-15)" >&2
