#!/usr/bin/env bash
# Generates, compiles and tests the clients in clients/.
# usage: infra/tools/clients.sh             then, to publish: (cd clients/typescript && npm publish)
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../../clients/typescript"
command -v npm >/dev/null || { echo "Missing: npm, Node.js's package manager (Debian: npm)" >&2; exit 1; }
mkdir -p ../../.local/tools
exec 9>../../.local/tools/clients.lock
if command -v flock >/dev/null; then flock 9; fi
npm ci --silent --no-fund --no-audit
npm test --silent
