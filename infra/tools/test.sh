#!/usr/bin/env bash
# All tests: `make test`.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export SQLX_OFFLINE=true

step() { printf '\n== %s (%d s so far)\n' "$1" "$SECONDS"; }

step "Tools"
infra/tools/python-tools.sh aws-sam-cli schemathesis shellcheck

step "Shell scripts and the template"
infra/tools/check-scripts.sh
infra/tools/check-template.sh

# The end-to-end tests start the functions' binaries, which `cargo test` alone would not build.
step "Building every binary and test"
cargo build --workspace --all-targets

step "Tests"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! cargo test --workspace --no-fail-fast 2>&1 | tee "$log"; then
  # Again at the end, where they are found.
  step "What failed"
  awk '/^failures:$/ { shown = !shown; next } shown || /^error: /' "$log"
  exit 1
fi

step "All tests passed"
