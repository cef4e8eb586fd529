#!/usr/bin/env bash
# Builds the artifacts and deploys them to a stage of samconfig.toml, then brings its database to the newest schema. In
# the seconds between, new code meets the old schema: code that can't live with that is deployed after its migration.
# usage: infra/tools/deploy.sh dev|staging|prod
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
stage=${1:?usage: infra/tools/deploy.sh dev|staging|prod}
infra/tools/python-tools.sh aws-sam-cli
sam=$PWD/.local/tools/aws-sam-cli/bin/sam

section=$(awk -v head="[$stage.deploy.parameters]" '$0 == head {on = 1; next} /^\[/ {on = 0} on' samconfig.toml)
if [ -z "$section" ]; then
  echo "samconfig.toml has no stage $stage" >&2
  exit 2
fi
if grep -n 'REPLACE' <<<"$section" >&2; then
  echo "Fill in these values of stage $stage in samconfig.toml first." >&2
  exit 2
fi

# What is built and what Lambda is told to run must be the same.
ARCHITECTURE=$(sed -n 's/.*"Architecture=\(.*\)".*/\1/p' <<<"$section") infra/tools/build-artifacts.sh
"$sam" deploy --template-file infra/template.yaml --config-file "$PWD/samconfig.toml" --config-env "$stage"
.local/tools/aws-sam-cli/bin/python infra/tools/migrate-stage.py "$stage"
