#!/usr/bin/env bash
# Runs shellcheck over the project's shell scripts.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
infra/tools/python-tools.sh shellcheck
.local/tools/shellcheck/bin/shellcheck infra/tools/*.sh .ci/run
