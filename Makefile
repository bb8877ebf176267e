# langaudio: `make` lists the targets.
PYTHON ?= python3.11
BIN := .venv/bin
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Python may keep what it compiled: Airflow's processes start twice as fast.
unexport PYTHONDONTWRITEBYTECODE

# Another corpus has a home of its own: its bucket and models do not mix with the demo's.
ifdef CORPUS
export LANGAUDIO_HOME ?= .langaudio/$(notdir $(abspath $(CORPUS)))
endif

.PHONY: help setup demo up down status env test check format lock bench screenshots soak

help: ## list the targets
	@grep -hE '^[a-z%-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: .venv/.ready ## make the virtual environment (all other targets do this by themselves)

.venv/.ready: requirements.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "langaudio needs Python 3.11, and there is no $(PYTHON): install it, or name it by PYTHON=/path/to/python3.11."; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null || { version="$$($(PYTHON) -V 2>&1 || true)"; echo "langaudio needs Python 3.11, and $(PYTHON) is '$${version%%$$'\n'*}': name another by PYTHON=/path/to/python3.11."; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) lacks the module venv: install it (on Debian: apt install python3.11-venv)."; exit 2; }
	@echo "Setting up .venv …"
	@test -x $(BIN)/pip || $(PYTHON) -m venv --clear .venv
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(sed -n 's/^\(uv==[^ ]*\).*/\1/p' requirements.txt)"
	@VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip sync --quiet requirements.txt
	@VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip install --quiet --no-deps --editable .
	@$(BIN)/python -c "from langaudio.augment.compiled import compile_all; compile_all()"
	@touch $@

demo: setup ## run the whole job in Airflow; CORPUS=folder takes real recordings instead of synthetic voices
	@$(BIN)/langaudio demo $(if $(CORPUS),--corpus "$(CORPUS)")

up: setup ## start S3, MLflow, the demo site and Airflow on this machine
	@$(BIN)/langaudio up

down: setup ## stop them; their data stays in .langaudio/
	@$(BIN)/langaudio down

status: setup ## show which of them run
	@$(BIN)/langaudio status

env: ## write .env for docker-compose.yaml: secrets, and what can be set (docs/operations.md)
	@$(PYTHON) langaudio/services/env_file.py

# Two cores have work for four: tests wait for servers, pauses and processes of their own. One thread each:
# torch's threads would wait for each other by spinning, and take the cores from those that they wait for.
test: setup ## run all tests
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 4 --no-loadscope-reorder

check: setup ## lint, format and types
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

format: setup ## format the code
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

lock: setup ## lock requirements.in and requirements-bench.in into their .txt
	@$(BIN)/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url --no-header requirements.in --output-file requirements.txt
	@$(BIN)/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url --no-header requirements-bench.in --override requirements.txt --output-file requirements-bench.txt

bench: $(patsubst benchmarks/%.py,bench-%,$(filter-out %/soak.py,$(wildcard benchmarks/[a-z]*.py))) ## run all comparisons

bench-%: setup ## run one comparison: make bench-NAME
	@PYTHONPATH=. $(BIN)/python benchmarks/$*.py

# The tests' generated corpus is what is measured.
bench-ui: setup
	@PYTHONPATH=. $(BIN)/python -W ignore benchmarks/ui.py

screenshots: setup ## make the pictures of the Languages pages anew, by their tests
	@SCREENSHOTS=docs/figures $(BIN)/python -m pytest tests/pages/test_browser.py

# Peers run in the same process as we do, on one thread each, and stay out of .venv. The tests' instruments measure.
bench-augment: .venv-bench/.ready
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 PYTHONPATH=. .venv-bench/bin/python -W ignore benchmarks/augment.py

bench-lid: .venv-bench/.ready
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 .venv-bench/bin/python -W ignore benchmarks/lid.py

soak: setup ## run the deployment on many workers under trouble, and the tests that draw by chance at full length
	@PYTHONPATH=. $(BIN)/python benchmarks/soak.py
	@SOAK=1 $(BIN)/python -m pytest $$(grep -rl --include='test_*.py' SOAK tests)

.venv-bench/.ready: .venv/.ready requirements-bench.txt
	@echo "Setting up .venv-bench …"
	@test -x .venv-bench/bin/python || $(BIN)/python -m venv .venv-bench
	@VIRTUAL_ENV=$(CURDIR)/.venv-bench $(BIN)/uv pip sync --quiet requirements.txt requirements-bench.txt
	@VIRTUAL_ENV=$(CURDIR)/.venv-bench $(BIN)/uv pip install --quiet --no-deps --editable .
	@touch $@
