#!/usr/bin/env bash
# Checks infra/app-api's resolver.js and live.js with AppSync's own ESLint plugin, and that they are as short as AppSync
# takes them. The npm packages, those of infra/app-api/package-lock.json with their hashes, go to .local/tools/app-api.
# usage: infra/tools/check-resolver.sh
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source=infra/app-api
scripts=(resolver.js live.js)
tools=.local/tools/app-api
# AppSync takes no longer code of a resolver.
max_length=32768

command -v npm >/dev/null || { echo "Missing: npm, Node.js's package manager (Debian: npm)" >&2; exit 1; }
mkdir -p "$tools"
exec 9>"$tools.lock"
if command -v flock >/dev/null; then flock 9; fi
if ! cmp --silent "$source/package-lock.json" "$tools/installed.json"; then
  echo "Installing the packages of $source/package-lock.json into $tools" >&2
  cp "$source/package.json" "$source/package-lock.json" "$tools/"
  (cd "$tools" && npm ci --silent --no-fund --no-audit)
  cp "$source/package-lock.json" "$tools/installed.json"
fi
cp "${scripts[@]/#/$source/}" "$source/eslint.config.mjs" "$source/tsconfig.json" "$tools/"
(cd "$tools" && node_modules/.bin/eslint --max-warnings 0 "${scripts[@]}")
for script in "${scripts[@]}"; do
  length=$(wc -m <"$source/$script")
  if [ "$length" -gt "$max_length" ]; then
    echo "$source/$script has $length characters; AppSync takes $max_length" >&2
    exit 1
  fi
done
