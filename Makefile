# Two commands do everything: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test lint types check bench clean lock
.DEFAULT_GOAL := demo

$(READY): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "fusin needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $(READY)

demo: $(READY) ## install into .venv, read the digital patient, print where the report is
	$(BIN)/fusin demo --out fusin-demo

test: $(READY) ## run the whole test suite
	$(BIN)/python -m pytest

lint: $(READY) ## style
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/ruff format --check src tests benchmarks

types: $(READY) ## static types
	$(BIN)/mypy

check: test lint types ## everything that must pass

bench: $(READY) ## speed as ratios against named alternatives
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'SimpleITK>=2.3' 'scikit-image>=0.22'
	$(BIN)/python benchmarks/run.py

lock: ## renew requirements.lock (needs pip-tools)
	pip-compile --quiet --generate-hashes --no-emit-index-url --no-emit-trusted-host --no-emit-find-links \
	  --no-emit-options --no-header --no-annotate --strip-extras --allow-unsafe \
	  --extra test --extra lint --extra compressed --extra fast --output-file requirements.lock pyproject.toml

clean: ## remove what the targets made
	rm -rf $(VENV) fusin-demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
