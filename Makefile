# Everything a fresh checkout needs: Python >= 3.11, git and make. `make help` lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TURNUP := $(BIN)/turnup
# The tests of these need no database; comparisons of generated operations and introspection take too long for a minute.
FAST := tests/architecture tests/domain tests/execution tests/query_cost tests/permissions tests/http tests/auth \
	tests/telemetry tests/docs tests/load tests/limiting/test_limiter.py tests/browser/test_examples.py \
	tests/browser/test_graphiql_routes.py tests/test_collection.py tests/test_lanes.py \
	--ignore=tests/execution/test_differential.py --ignore=tests/execution/test_weights.py \
	--ignore=tests/execution/test_introspection.py
LOCK := --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate

# A moved checkout has scripts that point to the old place: make the environment anew.
ifneq ($(shell cat $(VENV)/.home 2>/dev/null),$(CURDIR))
$(shell rm -rf $(VENV))
endif

.DEFAULT_GOAL := help
.PHONY: help serve dev test test-fast test-slow test-shuffled campaign bench bench-audit bench-bulk bench-overload bench-telemetry load check format schema objects \
	reset migration lock release clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

$(VENV)/.deps: requirements.lock requirements-uv.lock deploy/environment.py
	@$(PYTHON) deploy/environment.py requirements.lock
	@touch $@

$(VENV)/.dev: $(VENV)/.deps requirements-dev.lock
	@$(PYTHON) deploy/environment.py requirements-dev.lock
	@touch $@

serve: $(VENV)/.deps ## Set everything up and serve on 127.0.0.1:$PORT (8000), demo data included
	@$(TURNUP) serve

dev: $(VENV)/.deps ## Serve, and restart the server when Python code changes; for development only
	@$(TURNUP) serve --reload

test: $(VENV)/.dev ## Run the tests that decide about every change
	@$(BIN)/pytest

test-fast: $(VENV)/.dev ## Run the tests that need no database, in under a minute
	@$(BIN)/pytest -n 0 --no-database $(FAST)

test-shuffled: $(VENV)/.dev ## Run the tests in a random order; ARGS="--randomly-seed=N" repeats one
	@$(BIN)/pytest --shuffle $(ARGS)

test-slow: $(VENV)/.dev ## Run the slow lanes, within 45 minutes on two cores
	@$(BIN)/pytest -m slow

campaign: $(VENV)/.dev ## Run a long campaign and note its result in docs/campaigns.md; NAME=differential
	@$(BIN)/python -m tests.campaign $(NAME)

bench: $(VENV)/.dev ## Measure requests beside the reference and bare Python; ARGS="--workers 2", "--help"
	@$(BIN)/python -m bench.requests $(ARGS)

bench-audit: $(VENV)/.dev ## Time writes with and without the audit trail, and its verification and replay
	@$(BIN)/python -m bench.audit

bench-bulk: $(VENV)/.dev ## Time bulk calls beside single ones and SQL by hand
	@$(BIN)/python -m bench.bulk

bench-overload: $(VENV)/.dev ## Offer 0.8 and 2 times what a worker can do; ARGS="--users 1", "--uniform", "--help"
	@$(BIN)/python -m bench.overload $(ARGS)

bench-telemetry: $(VENV)/.dev ## Count the instructions of metrics, logs and traces per request; needs valgrind
	@$(BIN)/python -m bench.telemetry $(ARGS)

load: $(VENV)/.dev ## Serve a compressed working day of people and partners, with pass marks; ARGS="--short", "--help"
	@$(BIN)/python -m bench.load $(ARGS)

check: $(VENV)/.dev ## Format, lint, dead code, types, import contracts, schema drift
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/python deploy/dead_code.py
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(TURNUP) schema --check

format: $(VENV)/.dev ## Format the code
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --quiet --fix .

schema: $(VENV)/.deps ## Rewrite schema.graphql from the code
	@$(TURNUP) schema > schema.graphql.new && mv schema.graphql.new schema.graphql

objects: $(VENV)/.deps ## Rewrite app/audit/expected_objects.json from the migrations, after adding or changing one
	@$(BIN)/python deploy/objects.py

reset: $(VENV)/.deps ## Bring the demo data back; ARGS="--accounts N" deletes N accounts that are no demo data
	@$(TURNUP) seed --reset $(ARGS)

migration: $(VENV)/.deps ## Add a migration with the next number: make migration m="site codes of locations"
	@$(BIN)/python deploy/migration.py "$(m)"

lock: $(VENV)/.dev ## Bring the lock files in line with pyproject.toml; ARGS="--upgrade-package NAME" upgrades one
	@$(BIN)/uv pip compile pyproject.toml $(LOCK) $(ARGS) -o requirements.lock
	@$(BIN)/uv pip compile pyproject.toml --group dev -c requirements.lock $(LOCK) $(ARGS) -o requirements-dev.lock
	@$(BIN)/uv pip compile --group clients $(LOCK) $(ARGS) -o requirements-clients.lock

release: check ## Commit and tag the release of the version in app/version.py; ARGS=--check says what is missing
	@$(PYTHON) deploy/release.py $(ARGS)

clean: ## Remove the virtual environment and caches (data in .turnup stays)
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
