# Two commands: `make demo` (install and run the main job) and `make test` (install for development and check).
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check format lint types tests docs clean

demo: .venv/installed
	$(BIN)/partscope demo --out partscope-demo

test: .venv/developed
	$(MAKE) check

check: format lint types tests docs

format: ; $(BIN)/ruff format --check src tests benchmarks docs/*.py
lint:   ; $(BIN)/ruff check src tests benchmarks docs/*.py
types:  ; $(BIN)/mypy
tests:  ; OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --ignore tests/docs
docs:   ; OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 tests/docs

.venv/bin/python:
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip

.venv/installed: .venv/bin/python pyproject.toml
	$(BIN)/pip install --quiet .
	touch $@

.venv/developed: .venv/bin/python pyproject.toml
	$(BIN)/pip install --quiet -e '.[dev]'
	touch $@ .venv/installed

clean: ; rm -rf .venv partscope-demo
