#!/bin/sh
# Makes the database robson and who may log in to it, as the superuser. It may run again and again: what is there
# stays, and each login gets the password of its secret.
#
#   robson                    owns the database and its tables; migrations run as it
#   robson_<service>_login    may act as robson_<service>, and by itself do nothing: eventlog, projector,
#                             snapshotter and replayer
#
# None of them is a superuser, makes roles or passes row-level security by. The roles themselves are those of the
# migrations, which make them where they may; here the owner may not.
set -eu

readonly secrets=/run/secrets
PGPASSWORD=$(cat "$secrets/postgres-password")
owner=$(cat "$secrets/owner-password")
readonly services="eventlog projector snapshotter replayer"
for service in $services; do
  [ -r "$secrets/$service-password" ] || { echo "no secret $service-password" >&2; exit 1; }
done
PGHOST=${PGHOST:-postgres} PGUSER=postgres PGDATABASE=postgres
export PGPASSWORD PGHOST PGUSER PGDATABASE

# login ROLE PASSWORD INHERIT|NOINHERIT: by itself a service's login has nothing of the role that it may take. A password
# is hexadecimal digits, and travels by standard input, where no list of processes shows it.
login() {
  cat <<SQL
SELECT 'CREATE ROLE $1' WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = '$1') \gexec
ALTER ROLE $1 LOGIN NOSUPERUSER NOCREATEROLE NOCREATEDB NOREPLICATION NOBYPASSRLS $3 PASSWORD '$2';
SQL
}

# member ROLE GROUP
member() {
  cat <<SQL
SELECT 'CREATE ROLE $2 NOLOGIN' WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = '$2') \gexec
GRANT $2 TO $1;
SQL
}

{
  echo "SET client_min_messages = 'warning';"
  # The server must not write a password to its log, not even where all statements are logged.
  echo "SET log_statement = 'none'; SET log_min_error_statement = 'panic'; SET log_min_duration_statement = -1;"
  echo "SET password_encryption = 'scram-sha-256';"
  login robson "$owner" INHERIT
  for service in $services; do
    login "robson_${service}_login" "$(cat "$secrets/$service-password")" NOINHERIT
    member "robson_${service}_login" "robson_$service"
  done
  cat <<SQL
SELECT 'CREATE DATABASE robson OWNER robson TEMPLATE template0 ENCODING ''UTF8'' LOCALE ''C'''
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = 'robson') \gexec
REVOKE ALL ON DATABASE robson FROM PUBLIC;
SQL
  for service in $services; do
    echo "GRANT CONNECT ON DATABASE robson TO robson_${service}_login;"
  done
} | psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1
echo "the database robson and its logins are there"
