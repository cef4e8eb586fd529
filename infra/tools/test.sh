#!/usr/bin/env bash
# All tests: `make test`; with MONETA_SOAK=1, in full what they play a sample of: `make soak`.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export SQLX_OFFLINE=true

step() { printf '\n== %s (%d s so far)\n' "$1" "$SECONDS"; }

step "Tools"
infra/tools/python-tools.sh aws-sam-cli schemathesis shellcheck

step "Shell scripts and the template"
infra/tools/check-scripts.sh
infra/tools/check-template.sh

# The end-to-end tests start the functions' binaries. These have no tests of their own, and a test binary of each, which
# --all-targets makes, would be as much to link again.
step "Building every binary and test"
cargo build --workspace --bins
cargo test --workspace --no-run --lib --test '*'

step "Tests"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
selection=(--lib --test '*')
if [ -n "${MONETA_SOAK:-}" ]; then
  # Those that have a long form.
  selection=(--lib --test kill_points --test trading --test commissions --test wallets --test funded_accounts
    --test schemathesis --test decoders --test migrations)
fi

# Seconds of each test binary, and the slowest scenarios, from what they print.
times() {
  step "Where the time went"
  awk '
    / Running / { name = $0; sub(/.*\/deps\//, "", name); sub(/-[0-9a-f]+\).*/, "", name)
                  if ($2 == "unittests") name = "unit tests of " name }
    / Doc-tests / { name = "examples of " $2 }
    / finished in / { sub(/.* finished in /, ""); total[name] += $0 }
    END { for (name in total) if (total[name] >= 1) printf "%8.1f s  %s\n", total[name], name }
  ' "$log" | sort -rn
  sed -n 's/^  slow: //p' "$log" | sort -rn | head -n 15
}

status=0
cargo test --workspace --no-fail-fast "${selection[@]}" 2>&1 | tee "$log" || status=$?
cargo test --workspace --doc 2>&1 | tee -a "$log" || status=$?
times
if [ "$status" -ne 0 ]; then
  # Again at the end, where they are found.
  step "What failed"
  awk '/^failures:$/ { shown = !shown; next } shown || /^error: /' "$log"
  exit 1
fi

step "All tests passed"
