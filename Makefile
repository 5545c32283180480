# Each target does its own set-up: a virtual environment in .venv, the project installed editable.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO_OUT ?= runs/demo
DEMO_STEPS ?= 1500
BENCH_OUT ?= runs/bench
STUDY_OUT ?= build/study
DOCS_OUT ?= build/docs
REF ?= main
BENCH ?=
SIDE_BY_SIDE := -n auto --maxprocesses 8 --dist loadfile

.PHONY: demo test check bench bench-peers bench-compare study study-export study-browser docs clean help

help:
	@echo "make demo    train InfoGAN on 4,000 real digits (five to ten minutes) and show what the codes mean"
	@echo "make test    run the tests"
	@echo "make check   style, types, and the direction of imports"
	@echo "make bench   time every kernel and a whole update; make bench-peers adds PyTorch and JAX"
	@echo "make bench-compare REF=main  this tree's kernels beside another commit's, in turns"
	@echo "make study   open the study guide; study-export writes it as HTML and .ipynb, study-browser to run without Python"
	@echo "make docs    build the documentation as a site, in $(DOCS_OUT)"
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

$(VENV)/.installed-bench: $(VENV)/.installed-test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,bench]'
	@touch $@

$(VENV)/.installed-peers: $(VENV)/.installed-bench
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,bench,peers]'
	@touch $@

$(VENV)/.installed-study: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[study]'
	@touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@touch $@

demo: $(VENV)/.installed
	$(BIN)/infogan train --preset mnist --data mnist-5k --steps $(DEMO_STEPS) --out $(DEMO_OUT) --resume
	$(BIN)/infogan traverse $(DEMO_OUT)
	$(BIN)/infogan evaluate $(DEMO_OUT)
	@echo "look at $(DEMO_OUT)/figures/traverse-c1.png: a column is a value of c1, a row a noise"

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest $(SIDE_BY_SIDE)

check: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# BENCH takes further options of `python -m kernels bench`, such as BENCH="conv2d --rounds 30".
bench: $(VENV)/.installed-bench
	@mkdir -p $(BENCH_OUT)
	$(BIN)/python -m kernels bench $(BENCH) --json $(BENCH_OUT)/forward.json --roofline $(BENCH_OUT)/roofline.png
	$(BIN)/python -m kernels bench --pass both $(BENCH) --json $(BENCH_OUT)/both.json
	$(BIN)/python -m benchmarks.update --no-peers --json $(BENCH_OUT)/update.json
	$(BIN)/python -m pytest benchmarks

bench-peers: $(VENV)/.installed-peers
	@mkdir -p $(BENCH_OUT)
	$(BIN)/python -m kernels bench --peers $(BENCH) --json $(BENCH_OUT)/forward-peers.json --roofline $(BENCH_OUT)/roofline-peers.png
	$(BIN)/python -m kernels bench --peers --pass both $(BENCH) --json $(BENCH_OUT)/both-peers.json
	$(BIN)/python -m benchmarks.update --json $(BENCH_OUT)/update-peers.json
	$(BIN)/python -m pytest benchmarks --peers

bench-compare: $(VENV)/.installed-bench
	$(BIN)/python -m benchmarks.commits $(REF) $(BENCH)

study: $(VENV)/.installed-study
	$(BIN)/marimo edit docs/study

study-export: $(VENV)/.installed-study
	$(BIN)/python docs/study/export.py $(STUDY_OUT)

study-browser: $(VENV)/.installed-study
	$(BIN)/python docs/study/browser.py $(STUDY_OUT)/browser

# -W: a broken link, a missing anchor, a page outside the navigation is an error. Written anew each time.
docs: $(VENV)/.installed-docs
	$(BIN)/python -m sphinx --quiet --fresh-env -W --keep-going -d $(DOCS_OUT)/.doctrees docs $(DOCS_OUT)
	@echo "open $(DOCS_OUT)/index.html"

clean:
	rm -rf $(VENV) build dist *.egg-info
