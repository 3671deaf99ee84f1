#!/usr/bin/env bash
# Makes the secrets of the compose stack, once: the database's password, a token for each service, and the owner's
# token with a profile for the command line. What is there already stays. Nothing of it is ever committed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly dir=${ROBSON_COMPOSE_DIR:-.data/compose}
readonly services="command eventlog projector connector"

random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }

sha256() {
  if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -d' ' -f1
}

new_uuid() {
  local hex
  hex=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  echo "${hex:0:8}-${hex:8:4}-4${hex:13:3}-8${hex:17:3}-${hex:20:12}"
}

# The directory is closed to others; its files are not, because a container's user is none of this machine's and a
# secret is mounted as it is.
mkdir -p "$dir"
chmod 0700 "$dir"
umask 022

if [ -e "$dir/tokens.json" ]; then
  echo "secrets are in $dir"
  exit 0
fi

password=$(random)
printf '%s' "$password" >"$dir/postgres-password"
printf 'postgres:5432:*:robson:%s\n' "$password" >"$dir/pgpass"

tenant=$(new_uuid)
owner="robson_$(random)"
entries=""
for service in $services; do
  token="robson_$(random)"
  printf '%s' "$token" >"$dir/$service.token"
  entries+="    {\"sha256\": \"$(printf '%s' "$token" | sha256)\", \"service\": \"$service\"},"$'\n'
done
cat >"$dir/client.json" <<JSON
{
  "addresses": {
    "command": "127.0.0.1:7401",
    "eventlog": "127.0.0.1:7402",
    "projector": "127.0.0.1:7403",
    "connector": "127.0.0.1:7406"
  },
  "token": "$owner",
  "tenant_id": "$tenant"
}
JSON
chmod 0600 "$dir/client.json"
# Written last: its presence says that all is there.
cat >"$dir/tokens.json.new" <<JSON
{
  "tokens": [
${entries}    {"sha256": "$(printf '%s' "$owner" | sha256)", "subject": "owner", "tenants": {"$tenant": ["read", "trade", "operate", "audit"]}}
  ]
}
JSON
mv "$dir/tokens.json.new" "$dir/tokens.json"
echo "made secrets in $dir; the command line finds them with ROBSON_DATA_DIR=$dir"
