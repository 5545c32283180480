# Each target does its own set-up: a virtual environment in .venv, the project installed editable.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO_OUT ?= runs/demo
DEMO_STEPS ?= 2500

.PHONY: demo test check bench clean help

help:
	@echo "make demo    train InfoGAN on 4,000 real digits (about five minutes) and show what the codes mean"
	@echo "make test    run the tests"
	@echo "make check   style, types, and the direction of imports"
	@echo "make clean   remove the virtual environment and what was built"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 …" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed-test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,dev]'
	@touch $@

demo: $(VENV)/.installed
	$(BIN)/infogan train --preset mnist --data mnist-5k --steps $(DEMO_STEPS) --out $(DEMO_OUT) --resume
	$(BIN)/infogan traverse $(DEMO_OUT)
	$(BIN)/infogan evaluate $(DEMO_OUT)

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest

check: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) build dist *.egg-info
