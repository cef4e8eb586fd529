#!/usr/bin/env bash
# Installs tools that come from PyPI, each in a virtual environment of its own under .local/tools, at a pinned version.
# usage: infra/tools/python-tools.sh NAME…       then run .local/tools/NAME/bin/PROGRAM
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

# A tool is what infra/tools/pins/NAME.txt says: it and all it needs, each with the hashes of its files, so that what builds and
# deploys is what was pinned. CONTRIBUTING.md says how a pin is changed.
install() {
  local name=$1 folder=$root/.local/tools/$1 pins=$root/infra/tools/pins/$1.txt
  [ -e "$pins" ] || { echo "unknown tool $name: one of $(tools)" >&2; exit 2; }
  cmp -s "$pins" "$folder/.pinned" && return
  mkdir -p "$root/.local/tools"
  # Two tests may ask for the same tool at once.
  exec 9>"$root/.local/tools/$name.lock"
  if command -v flock >/dev/null; then flock 9; fi
  cmp -s "$pins" "$folder/.pinned" && return
  echo "Installing $(grep -v '^#' "${pins%.txt}.in" | tr '\n' ' ')into .local/tools/$name" >&2
  rm -rf "$folder"
  python3 -m venv "$folder"
  "$folder/bin/pip" install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement "$pins"
  cp "$pins" "$folder/.pinned"
}

tools() { basename -s .in "$root"/infra/tools/pins/*.in | tr '\n' ' '; }

[ $# -gt 0 ] || { sed -n 2,3p "$0"; exit 2; }
for name in "$@"; do install "$name"; done
