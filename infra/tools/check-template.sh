#!/usr/bin/env bash
# Checks infra/template.yaml and the stacks of infra/areas without an AWS account. `sam validate` and `sam validate --lint`
# find different mistakes, and only cfn-lint by itself compares the parameters of a stack with those that it is given.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
infra/tools/python-tools.sh aws-sam-cli
export SAM_CLI_TELEMETRY=0 SAM_CLI_ENABLE_LANGUAGE_EXTENSIONS=1 AWS_EC2_METADATA_DISABLED=true
export AWS_ACCESS_KEY_ID=none AWS_SECRET_ACCESS_KEY=none AWS_DEFAULT_REGION=us-east-1
tools=.local/tools/aws-sam-cli/bin
# What a file's two runs say must not mix with another's.
printf '%s\n' infra/template.yaml infra/areas/*.yaml | xargs -P "$(nproc)" -I '{}' bash -c '
  said=$({ "$0" validate --template-file "$1" && "$0" validate --lint --template-file "$1"; } 2>&1) || failed=1
  echo "$said"
  exit "${failed:-0}"' "$tools/sam" '{}'
"$tools/cfn-lint" infra/template.yaml
