#!/usr/bin/env bash
# Builds the artifacts, brings the stage's database to the newest schema, and then deploys to the stage of samconfig.toml:
# a migration works while the release before still runs, and new code never meets an old schema. On a first deploy there is
# no function yet that could migrate: the schema comes right after it.
# usage: infra/tools/deploy.sh dev|staging|prod
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
stage=${1:?usage: infra/tools/deploy.sh dev|staging|prod}
infra/tools/python-tools.sh aws-sam-cli
tools=$PWD/.local/tools/aws-sam-cli/bin

# The stage's lines, each with its place in the file.
section=$(awk -v head="[$stage.deploy.parameters]" '$0 == head {on = 1; next} /^\[/ {on = 0} on {sub(/^ */, ""); print FILENAME ":" NR ": " $0}' samconfig.toml)
if [ -z "$section" ]; then
  echo "samconfig.toml has no stage $stage" >&2
  exit 2
fi
if unset=$(grep 'REPLACE' <<<"$section"); then
  echo "Fill in these values of stage $stage first; docs/deploying.md says what each is." >&2
  echo "$unset" >&2
  exit 2
fi

migrate() { "$tools/python" infra/tools/migrate-stage.py "$stage" "$@"; }

# What is built and what Lambda is told to run must be the same.
ARCHITECTURE=$(sed -n 's/.*"Architecture=\(.*\)".*/\1/p' <<<"$section") infra/tools/build-artifacts.sh
migrate --with target/lambda/migrate/bootstrap
"$tools/sam" deploy --template-file infra/template.yaml --config-file "$PWD/samconfig.toml" --config-env "$stage"
# The first deploy's schema, and the topics when this deploy is the one that says CreateTopics; else nothing is left to do.
migrate
