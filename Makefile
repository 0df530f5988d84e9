# Every target builds what it needs by itself; `make` alone lists them.
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := .stamp
# The environment is rebuilt for another VENV, and stays as it is while the files below do.
MARK   := $(subst /,_,$(VENV))
PIP    := $(BIN)/python -m pip --disable-pip-version-check --no-input install --quiet
TESTS  ?= tests
JOBS   ?= 2
# Hundreds of tests start the gateway: where Python may not keep what it compiles, each start takes half as long again.
export PYTHONDONTWRITEBYTECODE =

.DEFAULT_GOAL := help
.PHONY: help demo test check lint format bench fuzz faults reference docs lock clean
.DELETE_ON_ERROR:

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 20

demo: $(STAMP)/run$(MARK) ## the whole gateway on this machine: a mail host, trading partners, a night of traffic
	@$(BIN)/gateway demo $(DEMO)

test: $(STAMP)/dev$(MARK) ## all tests; installs Debian's servers for the integration tests where it may
	@tools/debian_packages.sh
	$(BIN)/python -m pytest $(TESTS) -n $(JOBS) --dist loadfile --no-loadscope-reorder -q $(PYTEST)

check: lint test ## format, lint, types, layers, tests

lint: $(STAMP)/dev$(MARK) ## format, lint, types and layers
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)/dev$(MARK) ## put the source into its format
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

bench: $(STAMP)/dev$(MARK) ## measure what benchmarks/ measures
	@for script in benchmarks/[a-z]*.py; do \
	  if [ -e "$$script" ]; then echo "== $$script"; $(BIN)/python "$$script" || exit 1; fi; done

fuzz: $(STAMP)/dev$(MARK) ## damage X12 and mails at random; FUZZ=20 seconds each by default
	$(BIN)/python tests/fuzz/x12_fuzz.py --seconds $(or $(FUZZ),20)
	$(BIN)/python tests/fuzz/mail_fuzz.py --seconds $(or $(FUZZ),20)

faults: $(STAMP)/dev$(MARK) ## kill, starve and cut off the gateway at every point (half an hour and more; FAULTS="cuts --seed 7")
	@tools/debian_packages.sh
	$(if $(FAULTS),,$(BIN)/python -m pytest tests/faults -m faults -n $(JOBS) -q)
	$(if $(FAULTS),,WORKERS_CHAOS=60 $(BIN)/python -m pytest tests/integration/test_workers_chaos.py -q)
	cd tests && ../$(BIN)/python -m faults.suite $(FAULTS)

reference: $(STAMP)/dev$(MARK) ## write docs/reference anew from the code
	$(BIN)/python tools/generate_reference.py

docs: $(STAMP)/dev$(MARK) ## make a web site of docs/ in build/docs; a broken link or a page without a place ends it
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs build/docs
	@echo "build/docs/index.html"

lock: $(STAMP)/dev$(MARK) ## pin the newest dependencies, with hashes, in requirements/
	@BIN=$(BIN) tools/lock.sh

clean: ## remove the environment and everything that was built
	rm -rf $(VENV) $(STAMP) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- the environment: what runs, and what develops on top of it

$(STAMP)/venv$(MARK): tools/make_venv.sh
	@mkdir -p $(STAMP)
	@tools/make_venv.sh $(VENV)
	@touch $@

$(STAMP)/run$(MARK): $(STAMP)/venv$(MARK) requirements/run.txt requirements/build.txt pyproject.toml
	@echo "installing what the gateway needs (pinned, with hashes)"
	@$(PIP) --require-hashes -r requirements/run.txt -r requirements/build.txt
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(STAMP)/dev$(MARK): $(STAMP)/run$(MARK) requirements/dev.txt
	@echo "installing what the tests need (pinned, with hashes)"
	@$(PIP) --no-compile --require-hashes -r requirements/dev.txt
	@touch $@
