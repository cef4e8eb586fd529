#!/usr/bin/env bash
# Renews .sqlx: checks every statement in the code against a fresh PostgreSQL that has all migrations, and keeps what
# it learns, so that a build needs no database. `make sqlx`, after a statement or a migration has changed.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
root=$PWD
work=$(mktemp -d)
chmod 755 "$work"
initdb=$(find /usr/lib/postgresql -path '*/bin/initdb' 2>/dev/null | sort -V | tail -n 1)
bin=$(dirname "${initdb:-$(command -v initdb)}")

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
# The macros speak to the database only while their crate is compiled, so these are compiled anew, in a folder of their
# own that keeps the rest.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target/sqlx}
packages=(--package platform)
for area in functions/*/; do packages+=(--package "$(basename "$area")"); done
cargo clean --quiet "${packages[@]}"
SQLX_OFFLINE=false SQLX_OFFLINE_DIR=$root/.sqlx DATABASE_URL="postgres://moneta@localhost/postgres?host=$work" \
  cargo check --quiet --workspace --bins
echo "$(find .sqlx -name '*.json' | wc -l) statements are in .sqlx"
