#!/usr/bin/env bash
# Renews .sqlx: checks every statement in the code against a fresh PostgreSQL that has all migrations, and keeps what
# it learns, so that a build needs no database. `make sqlx`, after a statement or a migration has changed.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
root=$PWD
work=$(mktemp -d)
chmod 755 "$work"
bin=$(dirname "$(ls /usr/lib/postgresql/*/bin/initdb 2>/dev/null | sort -V | tail -n 1 || command -v initdb)")

# PostgreSQL refuses to run as root.
as_server() {
  if [ "$(id -u)" -eq 0 ]; then
    setpriv --reuid=65534 --regid=65534 --clear-groups env -C "$work" "$@"
  else
    env -C "$work" "$@"
  fi
}
[ "$(id -u)" -ne 0 ] || chown 65534:65534 "$work"

stop() {
  as_server "$bin/pg_ctl" -D "$work/data" -m immediate stop >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap stop EXIT

echo "Starting a PostgreSQL with all migrations"
as_server "$bin/initdb" -D "$work/data" -U moneta -A trust --no-sync -E UTF8 --locale=C.UTF-8 >/dev/null
as_server "$bin/pg_ctl" -D "$work/data" -w -o "-c listen_addresses='' -k $work -c fsync=off" -l "$work/log" start >/dev/null
for migration in infra/migrations/*.sql; do
  psql -q -v ON_ERROR_STOP=1 -h "$work" -U moneta -d postgres -f "$migration"
done

echo "Checking every statement"
rm -rf .sqlx
mkdir .sqlx
# A target folder of its own: the macros only speak to the database when a crate is compiled anew.
SQLX_OFFLINE=false SQLX_OFFLINE_DIR=$root/.sqlx CARGO_TARGET_DIR=$work/target \
  DATABASE_URL="postgres://moneta@localhost/postgres?host=$work" \
  cargo check --quiet --workspace --all-targets
echo "$(find .sqlx -name '*.json' | wc -l) statements are in .sqlx"
