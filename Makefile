# One command per job; `make help` lists them. Each makes the environment that it needs.
# Another Python: `make test PYTHON=python3.12` (its environment is .venv-3.12, beside the usual one).

PYTHON ?= python3
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
VENV := $(if $(filter python3,$(PYTHON)),.venv,.venv-$(VERSION))
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
ORACLE := .venv-oracle
ORACLE_STAMP := $(ORACLE)/.installed
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --custom-compile-command "make lock"

.PHONY: help test servers demo lint format types bench venv oracle lock upgrade clean
.DEFAULT_GOAL := help

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

test: $(STAMP) oracle servers ## the whole test suite (ARGS="-k lease" passes options on; ARGS="-n 0 --pdb" debugs)
	@$(BIN)/python -m pytest -n 4 --dist worksteal $(ARGS)

servers: ## RabbitMQ and PostgreSQL for the tests: installed on Debian and Ubuntu where that is allowed, else looked for
	@bash .ci/servers || test -z "$$CI"

demo: $(STAMP) ## the sample shop on the embedded broker, a hundred tasks, live
	@$(BIN)/python -m tests.apps.demo $(ARGS)

lint: $(STAMP) ## ruff, formatting, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

format: $(STAMP) ## put into shape what the linter can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(STAMP) ## mypy --strict over both source roots
	$(BIN)/mypy

bench: $(STAMP) ## measure throughput and rates
	@$(BIN)/python -m benchmarks $(ARGS)

venv: $(STAMP) ## the environment only

# ------------------------------------------------------------------------------------------- environments

$(BIN)/uv: requirements/tools.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "gae-broker needs Python 3.11 or newer, $(PYTHON) is $(VERSION): make PYTHON=python3.12 ...")'
	@echo "setting up $(VENV) with Python $(VERSION)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/tools.lock
	@touch $@

$(STAMP): $(BIN)/uv requirements/dev.lock pyproject.toml
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

# App Engine's own library, for tests/parity. Without a network those tests are skipped on a laptop; CI insists.
oracle: $(STAMP)
	@$(MAKE) --silent --no-print-directory $(ORACLE_STAMP) PYTHON=$(PYTHON) || test -z "$$CI"

$(ORACLE_STAMP): requirements/oracle.lock | $(STAMP)
	@echo "setting up $(ORACLE), App Engine's library, as the oracle of the parity tests"
	@$(PYTHON) -m venv --clear --without-pip $(ORACLE)
	@$(BIN)/uv pip install --quiet --python $(ORACLE)/bin/python --require-hashes -r requirements/oracle.lock
	@touch $@

# ------------------------------------------------------------------------------------------- locks

lock: $(BIN)/uv ## write requirements/*.lock again after a change of dependencies
	$(COMPILE) requirements/tools.in --output-file requirements/tools.lock
	$(COMPILE) pyproject.toml --all-extras --group dev --output-file requirements/dev.lock
	$(COMPILE) pyproject.toml --constraint requirements/dev.lock --output-file requirements/runtime.lock
	$(COMPILE) pyproject.toml --all-extras --constraint requirements/dev.lock --output-file requirements/extras.lock
	$(COMPILE) pyproject.toml --extra postgresql --constraint requirements/dev.lock --output-file requirements/image.lock
	$(COMPILE) requirements/build.in --constraint requirements/dev.lock --output-file requirements/build.lock
	$(COMPILE) requirements/sample.in --constraint requirements/dev.lock --output-file requirements/sample.lock
	$(COMPILE) requirements/oracle.in pyproject.toml --output-file requirements/oracle.lock

upgrade: ## the newest versions into requirements/*.lock
	$(MAKE) lock COMPILE='$(COMPILE) --upgrade'

clean: ## remove environments and caches
	rm -rf .venv .venv-* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist build
