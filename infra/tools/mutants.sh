#!/usr/bin/env bash
# Changes the rules of shared/domain one place at a time, and fails for every change that no test of theirs notices. A change
# that can't be noticed stands in .cargo/mutants.toml with its reason. What was tried and how it ended: .local/mutants/outcomes.json
# usage: infra/tools/mutants.sh [sample|ARGUMENT…]   all of them; sample: the same few each time; arguments are those of
#        `cargo mutants --list`, such as --file shared/domain/src/money.rs
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
root=$PWD
version=27.1.0
# Every so manieth in the sample.
sample_of=8

tool() {
  local folder=$root/.local/tools/cargo-mutants
  if [ ! -e "$folder/$version" ]; then
    echo "Installing cargo-mutants $version into .local/tools/cargo-mutants" >&2
    # It only lists: optimised, it takes longer to build than all it does.
    CARGO_TARGET_DIR=$folder/target cargo install cargo-mutants --version "$version" --locked --debug --quiet --root "$folder"
    rm -rf "$folder/target"
    touch "$folder/$version"
  fi
  PATH=$folder/bin:$PATH
}

# The one package in a workspace of its own: what else there is would only be resolved. Its build is kept.
copy() {
  local tree=$root/.local/mutants/tree
  rm -rf "$tree/shared" "$tree/.cargo"
  mkdir -p "$tree/shared" "$tree/.cargo"
  cp -r shared/domain "$tree/shared/"
  cp .cargo/mutants.toml "$tree/.cargo/"
  cp Cargo.lock rust-toolchain.toml "$tree/"
  sed '/^members = \[$/,/^\]$/c members = ["shared/domain"]' Cargo.toml > "$tree/Cargo.toml"
  cd "$tree"
}

tool
copy
unset DATABASE_URL CARGO_TARGET_DIR
arguments=("$@")
part=1
if [ "${1:-}" = sample ]; then
  arguments=()
  part=$sample_of
fi
cargo mutants --package domain --list --json ${arguments[@]+"${arguments[@]}"} > "$root/.local/mutants/list.json"
CARGO_INCREMENTAL=0 "$root/infra/tools/mutants.py" "$root/.local/mutants" "$part"
