#!/usr/bin/env bash
# Looks for known misspellings in everything that is committed; typos.toml has the words that only look like some.
# usage: infra/tools/check-spelling.sh [PATH…]
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
infra/tools/python-tools.sh typos
# Paths given by name are held to typos.toml's exclusions too.
.local/tools/typos/bin/typos --force-exclude "${@:-.}"
