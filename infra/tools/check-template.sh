#!/usr/bin/env bash
# Checks infra/template.yaml and the stacks of infra/areas without an AWS account. `sam validate` and `sam validate --lint`
# find different mistakes, and only cfn-lint by itself compares the parameters of a stack with those that it is given.
# usage: infra/tools/check-template.sh [FILE]       all files without an argument
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
tools=.local/tools/aws-sam-cli/bin

# What is said about one file comes at once, because several are checked at a time.
check() {
  local said failed=0
  said=$({ "$tools/sam" validate --template-file "$1" && "$tools/sam" validate --lint --template-file "$1"; } 2>&1) || failed=1
  echo "$said"
  return "$failed"
}

export SAM_CLI_TELEMETRY=0 SAM_CLI_ENABLE_LANGUAGE_EXTENSIONS=1 AWS_EC2_METADATA_DISABLED=true
export AWS_ACCESS_KEY_ID=none AWS_SECRET_ACCESS_KEY=none AWS_DEFAULT_REGION=us-east-1
if [ $# -gt 0 ]; then
  check "$1"
else
  infra/tools/python-tools.sh aws-sam-cli
  printf '%s\n' infra/template.yaml infra/areas/*.yaml | xargs -P "$(nproc)" -n 1 infra/tools/check-template.sh
  "$tools/cfn-lint" infra/template.yaml
fi
