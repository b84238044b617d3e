# What can be done with a checkout. Works with GNU make and with BSD make, as root or as a user who may use sudo.
#
#   make demo     a guest on an emulated NAS and two emulated hypervisors: its life, copies and end
#   make test     everything that is checked: the source (make check), then all tests
#   make check    lint, format, types, import contracts, shell scripts
#   make bench    how long things take, measured side by side
#   make crash    every write of every verb meets every kind of bad luck; writes docs/crash-matrix.md
#   make model    thousands of random lives of a site, with bad luck (SEQUENCES=2000)
#   make data     stamped blocks through every verb, and through guests made again (CYCLES=200)
#   make fuzz     parsers are fed what nobody would write (SECONDS=20 each; atheris is installed for it)
#   make record   record the cassettes again, on the lab
#   make clean    remove what the others made here
#
# Each target sets up what it needs (scripts/setup): system packages, and a virtual environment in .venv.

PYTHON = python3
BIN = .venv/bin
# More than there are processors: half of the time a worker waits, for a guest that boots or a NAS that thinks.
WORKERS = 3
SEQUENCES = 2000
CYCLES = 200
SECONDS = 20
PYTEST = $(BIN)/pytest -n $(WORKERS) --dist worksteal --durations=15

.PHONY: help setup demo test check lint format types layers shell bench crash model data fuzz record clean

help:
	@sed -n 's/^#   //p' Makefile

setup:
	@PYTHON="$(PYTHON)" sh scripts/setup

demo: setup
	$(BIN)/python -m demo

test: check
	$(PYTEST)

# `make -k check` goes on after the first complaint.
check: lint format types layers shell

lint: setup
	$(BIN)/ruff check .

format: setup
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

layers: setup
	$(BIN)/lint-imports --no-logo

shell: setup
	sh scripts/shellcheck

bench: setup
	$(BIN)/python -m bench

crash: setup
	$(BIN)/python -m tests.crash --workers $(WORKERS)

model: setup
	PYVMISCSI_SEQUENCES=$(SEQUENCES) $(PYTEST) --timeout 7200 tests/model

data: setup
	PYVMISCSI_DATA_CYCLES=$(CYCLES) $(PYTEST) --timeout 7200 tests/data

fuzz: setup
	@$(BIN)/pip install -q 'atheris>=2.3' || { echo 'atheris has no wheel for this Python or system'; exit 1; }
	$(BIN)/python -m tests.fuzz --seconds $(SECONDS)

record: setup
	$(BIN)/python -m tests.cassettes.record

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .lab
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
