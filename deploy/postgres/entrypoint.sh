#!/bin/sh
# Makes a cluster where there is none and becomes the server. A directory that holds a cluster is never touched.
set -eu

if [ "$(id -u)" = 0 ]; then
  mkdir -p "$PGDATA" /run/postgresql
  chown postgres:postgres "$PGDATA" /run/postgresql
  chmod 0700 "$PGDATA"
  # The password is read as root: the file may be closed to the server's user.
  POSTGRES_PASSWORD=$(cat "${POSTGRES_PASSWORD_FILE:?names the file with the password}")
  export POSTGRES_PASSWORD
  exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi

if [ ! -e "$PGDATA/PG_VERSION" ]; then
  secret=$(mktemp)
  printf '%s\n' "$POSTGRES_PASSWORD" >"$secret"
  initdb --pgdata="$PGDATA" --username=postgres --pwfile="$secret" --auth=scram-sha-256 \
    --encoding=UTF8 --locale=C --data-checksums --no-instructions
  rm -f "$secret"
fi
unset POSTGRES_PASSWORD
exec "$@" -c listen_addresses='*' -c hba_file=/etc/postgresql/pg_hba.conf
