# `make` alone lists what there is. Everything it needs is installed by the first target that needs it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help up customer demo test soak mutants old-and-new bench build sizes deploy invoke sam-invoke operation lint advisories openapi graphql clients sqlx clean prerequisites

# The SQL is checked against the committed .sqlx; no database is needed to compile.
export SQLX_OFFLINE ?= true
STAGE ?= dev
# One build for all: building the local cloud by itself would build its dependencies a second time, with other features.
BUILD := cargo build --workspace --bins
BINARIES := $${CARGO_TARGET_DIR:-target}/debug
CLOUD := $(BINARIES)/moneta

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: prerequisites ## The local cloud, until Ctrl-C: address, token to try, logs (NODES=3: clients of wallets on three databases)
	@$(BUILD)
	@$(CLOUD) up --no-build $(and $(NODES),--wallet-nodes $(NODES)) --on-ready $(BINARIES)/first_customer

customer: prerequisites ## Brings somebody in through the API of the local cloud that is up: NAME=SSN_NOT_MATCH for what the check finds
	@$(BUILD)
	@$(BINARIES)/customer $(NAME)

demo: prerequisites ## Customers, deposits, payments, commissions, notifications, dealers and portfolios, shown step by step and checked
	@$(BUILD)
	@$(BINARIES)/demo

test: prerequisites ## All tests
	@infra/tools/test.sh

soak: prerequisites ## In full what the tests play a sample of: every kill point, long random runs; takes its time
	@MONETA_SOAK=1 infra/tools/test.sh

mutants: prerequisites ## Changes the rules of shared/domain one place at a time; fails for each that no test notices (SAMPLE=1: an eighth of them)
	@infra/tools/mutants.sh $(if $(SAMPLE),sample)

old-and-new: prerequisites ## The demonstration with the functions of the release before on the schema of now, and the other way round (REV=commit)
	@infra/tools/old-and-new.sh $(REV)

MEASURED := get_trading_profile get_actual_holdings reconfigure_ttf_holdings deposit_funds transfer \
  apply_collection_version apply_pending_versions poll_autopilot_runs \
  apply_position_update persist_state monitor_rules sweep_funded_accounts
# Latency is that of the artifacts; transfers also run in the benchmark's own process, which is built for release too.
bench: prerequisites ## Cold starts, warm latency and memory on the local cloud; transfers, events, orders, snapshots a second; a month's invoices; what grows with the history
	@infra/tools/build-artifacts.sh hello_world migrate $(MEASURED)
	@$(BUILD)
	@cargo bench --workspace --bench latency --bench invoices --bench growth --profile dev
	@cargo bench --workspace --bench transfers --bench relay --bench orders --bench snapshots

build: prerequisites ## The artifacts that are deployed (ARCHITECTURE=x86_64|arm64)
	@infra/tools/build-artifacts.sh

sizes: prerequisites ## Every artifact's size beside its limit; builds them first
	@infra/tools/build-artifacts.sh
	@infra/tools/artifact-sizes.py

deploy: prerequisites ## Build, and to AWS with the values of samconfig.toml (STAGE=dev|staging|prod)
	@infra/tools/deploy.sh $(STAGE)

invoke: prerequisites ## One function once in the local cloud (OPERATION=deposit_funds)
	@$(BUILD)
	@$(CLOUD) invoke $(call needed,OPERATION)

sam-invoke: prerequisites ## One function once in Lambda's container with events/OPERATION.json; needs Docker
	@infra/tools/sam-local.sh invoke $(call needed,OPERATION)

operation: prerequisites ## Files and entries of a new operation: AREA=trading NAME=list_holdings KIND=http-read
	@infra/tools/new-operation.py $(AREA) $(NAME) $(KIND) $(and $(CONCEPT),--concept $(CONCEPT)) $(and $(ROUTE),--route "$(ROUTE)")

lint: prerequisites ## Formatting, spelling, documents, dependencies, clippy, shell scripts, the template, the resolver
	@cargo fmt --all --check
	@infra/tools/check-spelling.sh
	@infra/tools/check-docs.py
	@infra/tools/check-scripts.sh
	@infra/tools/check-template.sh
	@infra/tools/check-resolver.sh
	@infra/tools/check-dependencies.sh policy
	@cargo clippy --workspace --all-targets --quiet -- -D warnings

advisories: prerequisites ## Known vulnerabilities of the dependencies; fetches RustSec's database, and says so if it can't
	@infra/tools/check-dependencies.sh advisories

openapi: prerequisites ## infra/openapi.yaml from the operations' types
	@$(BUILD)
	@$(CLOUD) openapi --no-build

graphql: prerequisites ## infra/schema.graphql, and the resolver's table and the template's lists, from infra/openapi.yaml
	@$(BUILD)
	@$(CLOUD) graphql

clients: ## The TypeScript client from infra/openapi.yaml, compiled and tested; needs npm
	@infra/tools/clients.sh

sqlx: prerequisites ## .sqlx from the SQL in the code, against a database with all migrations
	@infra/tools/sqlx-prepare.sh

clean: ## Everything that was built, and the local cloud's state
	@cargo clean
	@rm -rf .local

prerequisites:
	@infra/tools/prerequisites.sh

needed = $(or $($1),$(error say which: make $@ $1=deposit_funds))
