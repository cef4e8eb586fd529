#!/usr/bin/env bash
# What meets while a deploy is under way: the functions of the release before on the schema of this one, and, after a migration that
# failed, the functions of this release on the schema of the one before. Plays the demonstration with either.
# usage: infra/tools/old-and-new.sh [COMMIT]   the release before; without it the commit before the newest migration
#
# The first has to hold (docs/deploying.md). The second can't happen in a deploy, which migrates first: what of it holds is only told.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export SQLX_OFFLINE=true
# Its folder stays, with its build: the next release before is built in minutes.
work=$PWD/.local/old-and-new
new=${CARGO_TARGET_DIR:-$PWD/target}
old=$work/target

main() {
  local commit
  commit=$(git rev-parse --verify "${1:-$(before_newest_migration)}^{commit}")
  printf 'The release before is %s; of migrations, this one has more:\n' "$(git log -1 --format='%h, %s' "$commit")"
  git diff --name-only --diff-filter=A "$commit" -- infra/migrations
  build "$commit"
  local status=0
  play "$old" "$new" old-functions-new-schema || status=$?
  # Only told: `play` says what holds.
  play "$new" "$old" new-functions-old-schema || true
  exit "$status"
}

before_newest_migration() {
  printf '%s^' "$(git log -1 --format=%H -- infra/migrations)"
}

build() {
  mkdir -p "$work"
  git worktree prune
  if [ -e "$work/tree" ]; then
    git -C "$work/tree" checkout --quiet --detach "$1"
  else
    git worktree add --quiet --detach "$work/tree" "$1"
  fi
  (cd "$work/tree" && CARGO_TARGET_DIR=$old cargo build --workspace --bins --locked)
  CARGO_TARGET_DIR=$new cargo build --workspace --bins --locked
}

# The demonstration and the functions of one build, and of the other build the migrations, which are part of `migrate`.
play() {
  local mixed=$work/$3 program status=0
  rm -rf "$mixed"
  mkdir -p "$mixed/debug"
  for program in "$1"/debug/*; do
    [ ! -f "$program" ] || [ ! -x "$program" ] || ln -s "$program" "$mixed/debug/"
  done
  ln -sfn "$2/debug/migrate" "$mixed/debug/migrate"
  printf '\n== %s\n' "${3//-/ }"
  CARGO_TARGET_DIR=$mixed "$1/debug/demo" > "$work/$3.log" 2>&1 || status=$?
  # A claim that is false has a cross; a chapter that can't go on says why, and ends it.
  grep -E '✗|demo:' "$work/$3.log" || true
  printf 'ended with %s; claims that hold: %s (%s)\n' "$status" "$(grep -c '✓' "$work/$3.log" || true)" "$work/$3.log"
  return "$status"
}

main "$@"
