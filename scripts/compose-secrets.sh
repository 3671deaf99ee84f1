#!/usr/bin/env bash
# Makes the secrets of the compose stack, once: a password for each login of the database, a token for each service,
# and the owner's token with a profile for the command line. What is there already stays; without tokens.json all is
# made anew, for the same tenant. Nothing of it is ever committed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly dir=${ROBSON_COMPOSE_DIR:-.data/compose}
readonly services="command eventlog projector snapshotter replayer connector"
# See deploy/postgres/logins.sh.
readonly logins="robson robson_eventlog_login robson_projector_login robson_snapshotter_login robson_replayer_login"
readonly user=65532 # whom the containers run as

random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }

sha256() {
  if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -d' ' -f1
}

new_uuid() {
  local hex
  hex=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  echo "${hex:0:8}-${hex:8:4}-4${hex:13:3}-8${hex:17:3}-${hex:20:12}"
}

# mounted writes standard input to a file that is mounted as it is: a container's user must be able to read it, and
# nobody to write it. Only root can give it to the containers' group alone; for others' sake the directory is closed.
mounted() {
  rm -f "$dir/$1"
  cat >"$dir/$1"
  if [ "$(id -u)" = 0 ]; then
    chown "0:$user" "$dir/$1"
    chmod 0440 "$dir/$1"
  else
    chmod 0444 "$dir/$1"
  fi
}

mkdir -p "$dir"
umask 077
chmod 0700 "$dir"

# login_secret LOGIN makes a login's password.
login_secret() {
  local password
  password=$(random)
  printf '%s' "$password" | mounted "$1.password"
  printf 'postgres:5432:robson:%s:%s\n' "$1" "$password" | mounted "$1.pgpass"
}

# service_entry SERVICE makes a service's token and prints its entry in tokens.json.
service_entry() {
  local token
  token="robson_$(random)"
  printf '%s' "$token" | mounted "$1.token"
  printf '    {"sha256": "%s", "service": "%s"},\n' "$(printf '%s' "$token" | sha256)" "$1"
}

if [ -e "$dir/tokens.json" ]; then
  # Made by an earlier version, perhaps, that had fewer services.
  for login in $logins; do
    [ -e "$dir/$login.password" ] || login_secret "$login"
  done
  for service in $services; do
    [ -e "$dir/$service.token" ] && continue
    entry=$(service_entry "$service")
    awk -v entry="$entry" '{ print } /"tokens": \[/ { print entry }' "$dir/tokens.json" | mounted tokens.json.new
    mv "$dir/tokens.json.new" "$dir/tokens.json"
    echo "added a token of $service"
  done
  echo "secrets are in $dir"
  exit 0
fi

printf '%s' "$(random)" | mounted postgres.password
for login in $logins; do
  login_secret "$login"
done

[ -s "$dir/tenant-id" ] || new_uuid >"$dir/tenant-id"
tenant=$(cat "$dir/tenant-id")
owner="robson_$(random)"
entries=""
for service in $services; do
  entries+=$(service_entry "$service")$'\n'
done
cat >"$dir/client.json" <<JSON
{
  "addresses": {
    "command": "127.0.0.1:7401",
    "eventlog": "127.0.0.1:7402",
    "projector": "127.0.0.1:7403",
    "snapshotter": "127.0.0.1:7404",
    "replayer": "127.0.0.1:7405",
    "connector": "127.0.0.1:7406"
  },
  "token": "$owner",
  "tenant_id": "$tenant"
}
JSON
# Written last: its presence says that all is there.
mounted tokens.json.new <<JSON
{
  "tokens": [
${entries}    {"sha256": "$(printf '%s' "$owner" | sha256)", "subject": "owner", "tenants": {"$tenant": ["read", "trade", "operate", "audit"]}}
  ]
}
JSON
mv "$dir/tokens.json.new" "$dir/tokens.json"
echo "made secrets in $dir; the command line finds them with ROBSON_DATA_DIR=$dir"
