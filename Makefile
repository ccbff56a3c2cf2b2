# Everything starts here: `make demo` and `make test` need Python 3.11 or newer and make, and do the rest themselves.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: demo test test-slow lint docs bench bench-training bench-transfer soak cluster clean help

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
NEEDED_GB := 9
export OMP_NUM_THREADS ?= 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export MPLBACKEND := Agg

# The first Python that runs and is 3.11, 3.12 or 3.13; `make PYTHON=/path/to/python3.12` chooses another.
PYTHON ?= $(shell for name in python3.13 python3.12 python3.11 python3 python; do \
	"$$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1 && echo "$$name" && break; done)

help: ## show this list
	@echo "make demo       a small data set of real videos, two trainings, two evaluations, one table (runs/demo/)"
	@echo "make test       the tests that take seconds"
	@echo "make test-slow  the tests that take minutes: a search, a submitted job, killed workers"
	@echo "make lint       format, style, types, import rules, the shape of the code"
	@echo "make docs       the documentation with its reference, links checked (build/docs/index.html)"
	@echo "make bench      the measured ratios (runs/bench/results.json)"
	@echo "make bench-training  is the curriculum cheaper than its peers, and as strong (runs/bench/training.json)"
	@echo "make bench-transfer  which attacks carry over to models that see differently, and to other moments (runs/bench/transfer.json)"
	@echo "make soak       2,000 videos preprocessed while processes are killed: is anything lost (runs/soak/)"
	@echo "make cluster    every stage as a job on a cluster of hosts made here, and what faults do to it (runs/cluster/; root, Linux)"
	@echo "make clean      remove runs/ and caches (.venv stays; 'rm -r .venv' removes it)"
	@echo "Each installs into .venv on first use. Wanted: Python 3.11 to 3.13 and about $(NEEDED_GB) GB of disk."

demo: $(STAMP)
	$(BIN)/python -m pipeline demo $(ARGS)

test: $(STAMP)
	$(BIN)/python -m pytest --numprocesses=2 --dist=loadfile $(ARGS)

test-slow: $(STAMP)
	$(BIN)/python -m pytest -m "slow and not alone" --numprocesses=2 --dist=loadfile --timeout=600 $(ARGS)
	$(BIN)/python -m pytest -m alone --timeout=600 $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	$(BIN)/python -m tests.house

docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict $(ARGS)

bench: $(STAMP)
	$(BIN)/python -m benchmarks $(ARGS)

bench-training: $(STAMP)
	$(BIN)/python -m studies.training $(ARGS)

bench-transfer: $(STAMP)
	$(BIN)/python -m studies.transfer $(ARGS)

soak: $(STAMP)
	$(BIN)/python -m tests.preprocessing.soak $(ARGS)

cluster: $(STAMP)
	$(BIN)/python -m pytest -m farm -rs
	$(BIN)/python -m tests.cluster $(ARGS)

clean:
	rm -rf runs build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

$(STAMP): pyproject.toml constraints.txt tests/oracles.txt
	@test -n "$(PYTHON)" || { \
		echo "No Python 3.11, 3.12 or 3.13 runs here (python3 is: $$(python3 --version 2>&1 || true))."; \
		echo "Install one (apt install python3.11 python3.11-venv, brew install python@3.12, or python.org),"; \
		echo "or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12"; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
		echo "PYTHON=$(PYTHON) is $$("$(PYTHON)" --version 2>&1); wanted: 3.11, 3.12 or 3.13."; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) has no venv module. On Debian and Ubuntu: apt install python3-venv (of the same version)."; exit 1; }
	@test -x $(BIN)/ray || "$(PYTHON)" -c 'import shutil, sys; sys.exit(shutil.disk_usage(".").free < $(NEEDED_GB) * 10**9)' || { \
		echo "Less than $(NEEDED_GB) GB of disk is free at $$PWD; torch and its CUDA libraries take most of that."; \
		echo "Free some, or clone the project onto a larger disk."; exit 1; }
	@echo "Installing into $(VENV) with $$("$(PYTHON)" --version) (once; several GB, minutes)"
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --retries 3 -c constraints.txt -e '.[dev]' && \
		$(BIN)/python -m pip install --quiet --retries 3 --no-deps -r tests/oracles.txt || { \
		echo; echo "Installing failed; pip says why above. Usual causes:"; \
		echo "  no network, or a proxy: pip must reach a package index ($(BIN)/pip download --no-deps six tells);"; \
		echo "  no disk: about $(NEEDED_GB) GB are needed here and some in the temporary folder (TMPDIR names another);"; \
		echo "  no ready-made package for this machine: Linux (x86_64, aarch64) and macOS on Apple silicon have them."; \
		echo "Then run make again: it goes on from where it stopped."; exit 1; }
	@touch $(STAMP)
