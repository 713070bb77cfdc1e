# Two commands for a newcomer, `make demo` and `make test`; the rest is for those who work on Harken.
# The first use makes .venv with Python 3.11 or newer and installs into it; later ones go straight on.

PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3.14 python3; do \
	"$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 \
	&& { echo "$$python"; break; }; done)
VENV ?= .venv
RUN := $(VENV)/bin/python
INSTALL := $(RUN) -m pip install --quiet
# A crash of the interpreter ends the run at once, and a test that hangs shows where.
PYTEST_ARGS ?= --numprocesses auto --dist loadfile --max-worker-restart 0 -o faulthandler_timeout=900

.DEFAULT_GOAL := help
.PHONY: help demo test lint format types docs bench clean

help: ## List the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: $(VENV)/.installed ## Run an agent in a generated home; writes demo/report.html
	$(VENV)/bin/harken demo --out demo

test: $(VENV)/.test ## Run the tests
	$(RUN) -m pytest $(PYTEST_ARGS)

lint: $(VENV)/.lint ## Check style and formatting
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check

format: $(VENV)/.lint ## Rewrite the files in the house's formatting
	$(VENV)/bin/ruff check --fix
	$(VENV)/bin/ruff format

types: $(VENV)/.test $(VENV)/.lint ## Check the type annotations
	$(VENV)/bin/pyrefly check

docs: $(VENV)/.docs ## Build the documentation into docs/_build/html
	$(VENV)/bin/sphinx-build -W --keep-going --fresh-env --quiet docs docs/_build/html
	@echo "docs/_build/html/index.html"

bench: $(VENV)/.test ## Run the benchmarks and print their tables
	$(VENV)/bin/harken bench

clean: ## Remove what was built and what ran; the virtual environment stays
	rm -rf build dist docs/_build docs/api demo .pytest_cache .ruff_cache .hypothesis
	find harken tests benchmarks examples docs -name __pycache__ -type d -exec rm -rf {} +

$(VENV)/.installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Harken needs Python 3.11 or newer with venv (Debian: apt install python3-venv)." \
		"Name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; exit 1; }
	@test -x $(RUN) || { echo "Making $(VENV) with $(PYTHON)"; "$(PYTHON)" -m venv $(VENV); }
	@echo "Installing Harken into $(VENV)"
	@$(INSTALL) --upgrade "pip>=25.1"
	@$(INSTALL) --constraint constraints.txt --editable .
	@touch $@

# torch comes first and alone: among other requirements pip may choose a newer one that brings gigabytes of CUDA.
$(VENV)/.test: $(VENV)/.installed
	@echo "Installing what the tests need"
	@$(INSTALL) torch==$(shell sed -n 's/^torch==//p' constraints.txt)
	@$(INSTALL) --constraint constraints.txt --group test
	@touch $@

$(VENV)/.lint $(VENV)/.docs: $(VENV)/.installed
	@echo "Installing what $(patsubst .%,%,$(@F)) needs"
	@$(INSTALL) --constraint constraints.txt --group $(patsubst .%,%,$(@F))
	@touch $@
