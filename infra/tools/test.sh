#!/usr/bin/env bash
# All tests: `make test`; with MONETA_SOAK=1, in full what they play a sample of: `make soak`.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export SQLX_OFFLINE=true

step() { printf '\n== %s (%d s so far)\n' "$1" "$SECONDS"; }

step "Tools"
infra/tools/python-tools.sh aws-sam-cli schemathesis

# The end-to-end tests start the functions' binaries. These have no tests of their own, and a test binary of each, which
# --all-targets makes, would be as much to link again.
step "Building every binary and test"
cargo build --workspace --bins
selection=(--lib --test '*')
if [ -n "${MONETA_SOAK:-}" ]; then
  # Those that have a long form.
  selection=(--lib --test kill_points --test trading --test commissions --test wallets --test funded_accounts
    --test schemathesis --test decoders --test migrations)
fi
targets=$(mktemp)
trap 'rm -f "$targets"' EXIT
cargo test --workspace --no-run --message-format json-render-diagnostics "${selection[@]}" > "$targets"

step "Examples in the documentation"
# Of all packages: chosen by --package, those with examples would be built with other features, and their dependencies anew.
cargo test --workspace --quiet --doc

step "Tests"
infra/tools/run-tests.py < "$targets"

step "All tests passed"
