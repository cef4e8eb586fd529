#!/usr/bin/env bash
# Checks infra/template.yaml without an AWS account. `sam validate` and `sam validate --lint` find different mistakes.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
infra/tools/python-tools.sh aws-sam-cli
export SAM_CLI_TELEMETRY=0 AWS_EC2_METADATA_DISABLED=true
export AWS_ACCESS_KEY_ID=none AWS_SECRET_ACCESS_KEY=none AWS_DEFAULT_REGION=us-east-1
sam=.local/tools/aws-sam-cli/bin/sam
"$sam" validate --template-file infra/template.yaml
"$sam" validate --template-file infra/template.yaml --lint
