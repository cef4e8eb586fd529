#!/usr/bin/env bash
# Sees to it that this machine has what building and running Moneta needs, and the tools that README.md and docs/tour.md
# use. On Debian and its kin it installs what is missing, as root or through sudo; elsewhere it names it. Says nothing and takes no time when nothing is missing.
set -euo pipefail

main() {
  local packages=()
  has_rust || explain_rust
  has_compiler || packages+=(build-essential)
  has_postgres || packages+=(postgresql)
  has_venv || packages+=(python3 python3-venv)
  has curl || packages+=(curl)
  has jq || packages+=(jq)
  has git || packages+=(git)
  has npm || packages+=(nodejs npm)
  [ ${#packages[@]} -eq 0 ] || install "${packages[@]}"
  curl --help all 2>/dev/null | grep -q -- --json || explain_curl
}

has() { command -v "$1" >/dev/null; }

has_rust() { has cargo; }

# librdkafka is built by its own configure script and make, in C and C++.
has_compiler() { has cc && has c++ && has make; }

has_postgres() {
  local found
  for found in /usr/lib/postgresql/*/bin/initdb; do
    [ -x "$found" ] && return
  done
  has initdb && has postgres
}

has_venv() { python3 -c 'import ensurepip, venv' 2>/dev/null; }

explain_rust() {
  cat >&2 <<'TEXT'
Missing: the Rust toolchain. Install it, then run this again:
    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh
TEXT
  exit 1
}

explain_curl() {
  echo "This curl is older than 7.82 and lacks --json, which the calls in README.md use; everything else works." >&2
}

install() {
  local command=(apt-get install -y --no-install-recommends "$@") as_root=()
  if ! command -v apt-get >/dev/null; then
    echo "Missing: $* (Debian's names). Install these with your system's package manager." >&2
    exit 1
  fi
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null || ! { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
      echo "Missing: $*. As root, run: apt-get update && ${command[*]}" >&2
      exit 1
    fi
    as_root=(sudo)
  fi
  echo "Installing what is missing: $*"
  # Lists may be absent (a container) or old, in which case the first attempt fails.
  run_quietly ${as_root[@]+"${as_root[@]}"} env DEBIAN_FRONTEND=noninteractive "${command[@]}" && return
  echo "Refreshing the package lists"
  run_quietly ${as_root[@]+"${as_root[@]}"} apt-get update || fail_loudly
  run_quietly ${as_root[@]+"${as_root[@]}"} env DEBIAN_FRONTEND=noninteractive "${command[@]}" || fail_loudly
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT

run_quietly() { "$@" >"$log" 2>&1; }

fail_loudly() {
  cat "$log" >&2
  exit 1
}

main
