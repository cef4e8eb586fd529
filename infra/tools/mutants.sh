#!/usr/bin/env bash
# Changes the rules of shared/domain one place at a time, and fails for every change that no test of theirs notices. A change
# that can't be noticed stands in .cargo/mutants.toml with its reason.
# usage: infra/tools/mutants.sh [sample|ARGUMENT…]   all of them, for hours; sample: the same few each time, for minutes;
#        arguments are those of `cargo mutants`, such as --file shared/domain/src/money.rs or --shard 3/16
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
root=$PWD
version=27.1.0
# One of so many in the sample.
sample_of=220

tool() {
  local folder=$root/.local/tools/cargo-mutants
  if [ ! -e "$folder/$version" ]; then
    echo "Installing cargo-mutants $version into .local/tools/cargo-mutants" >&2
    CARGO_TARGET_DIR=$folder/target cargo install cargo-mutants --version "$version" --locked --quiet --root "$folder"
    rm -rf "$folder/target"
    touch "$folder/$version"
  fi
  PATH=$folder/bin:$PATH
}

# The one package in a workspace of its own: what else there is would only be copied and resolved. Its build is kept.
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
unset DATABASE_URL
arguments=("$@")
if [ "${1:-}" = sample ]; then
  arguments=(--shard "0/$sample_of" --sharding round-robin)
fi
# Incremental: a change of one line is a build of seconds then.
CARGO_INCREMENTAL=1 cargo mutants --package domain --in-place --no-shuffle --timeout 60 --colors never \
  --output "$root/.local/mutants" ${arguments[@]+"${arguments[@]}"} -- --lib --tests
