#!/usr/bin/env bash
# Clippy of the whole tree, in a copy of it in which an operation of each kind has been made as `make operation` makes them: they
# have to compile as they are.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
root=$PWD
# Cargo finds what its dependencies came to in the target folder; the wrapper keeps the copy's own crates apart from this tree's.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target} SQLX_OFFLINE=true
export RUSTC_WORKSPACE_WRAPPER=$root/infra/tools/operation/clippy.sh
copy=$CARGO_TARGET_DIR/operations

rm -rf "$copy"
mkdir -p "$copy"
git ls-files --cached --others --exclude-standard -z | xargs -0 cp --parents -t "$copy" 2>/dev/null || true
cd "$copy"
infra/tools/new-operation.py dealers count_toys http-read >/dev/null
infra/tools/new-operation.py wallets add_toy http-write >/dev/null
infra/tools/new-operation.py funded-accounts follow_toy queue >/dev/null
infra/tools/new-operation.py commissions sweep_toys schedule >/dev/null
# A binary has no tests of its own; --all-targets would read each of them twice.
cargo check --workspace --locked --lib --bins --test '*' --bench '*'
cargo check --workspace --locked --lib --profile test
cd "$root"
rm -rf "$copy"
echo "Clippy finds nothing, and an operation of each kind compiles as it is made"
