# Every chore of the project. `make demo` and `make test` set up all they need in .venv.

PYTHON ?= python3
VENV ?= .venv
# A CPU build is enough for everything here; name another build to use a GPU: make demo TORCH="torch==2.13.0+cu130"
TORCH ?= torch==2.13.0
SLICER ?=
# Processes the tests run in; what one file tests runs in one.
JOBS ?= 2

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help check-system demo test test-all lint benchmark benchmark-training slicer-test clean

help:  ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/:/' | awk -F: '{printf "make %-19s %s\n", $$1, $$2}'

# What Python itself cannot install is looked for first, and named with the command that brings it.
check-system:
	@$(PYTHON) Testing/check_system.py

$(BIN)/python: | check-system
	@echo "Creating $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --quiet --upgrade pip

# Torch first and by itself: asked for as somebody's dependency, the newest build with all of CUDA would come instead.
$(VENV)/.engine: pyproject.toml | $(BIN)/python
	@echo "Installing $(TORCH) (the largest download, once)"
	@$(PIP) install --quiet "$(TORCH)"
	@echo "Installing ccdnn and what it needs"
	@$(PIP) install --quiet --editable ".[pictures]"
	@touch $@

$(VENV)/.development: $(VENV)/.engine
	@echo "Installing the training package, the tools of the tests and the stand-in for Slicer"
	@$(PIP) install --quiet --editable ".[pictures,training,test,host]"
	@touch $@

demo: $(VENV)/.engine  ## run the bundled sample study through the bundled model, into demo/
	$(BIN)/ccdnn demo --output demo

test: $(VENV)/.development  ## the tests, up to 15 minutes on two cores
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile -m "not slow"

test-all: $(VENV)/.development  ## the tests, the slow ones too
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile

lint: $(VENV)/.development  ## ruff's checks and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

benchmark: $(VENV)/.development  ## ms a slice: eager, the engine, and the matrix-multiply limit of this machine
	$(BIN)/python Testing/benchmarks/inference.py --model paper
	$(BIN)/python Testing/benchmarks/inference.py --model small

benchmark-training: $(VENV)/.development  ## what the losses and the framework take of a training step
	$(BIN)/python Testing/benchmarks/training.py

slicer-test:  ## the in-Slicer tests in a real application: make slicer-test SLICER=/path/to/Slicer
	@test -n "$(SLICER)" || { echo "Say which application: make slicer-test SLICER=/path/to/Slicer"; exit 2; }
	@test -x "$(SLICER)" || { echo "$(SLICER) is not a program that can be run; give the path of the Slicer executable."; exit 2; }
	"$(SLICER)" --testing --no-splash --ignore-slicerrc --additional-module-path "$(CURDIR)/CCDNNSynth" --python-script Testing/slicer/run.py

clean:  ## remove the environment and everything made in the checkout
	rm -rf $(VENV) build demo CCDNNSynth.egg-info ccdnnsynth.egg-info .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
