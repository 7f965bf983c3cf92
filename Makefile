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
.PHONY: help check-system demo test test-all lint attack lock sbom benchmark benchmark-training slicer-test clean

help:  ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/:/' | awk -F: '{printf "make %-19s %s\n", $$1, $$2}'

# What Python itself cannot install is looked for first, and named with the command that brings it.
check-system:
	@$(PYTHON) Testing/check_system.py

$(BIN)/python: | check-system
	@echo "Creating $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --quiet --upgrade pip

# What is installed is what `requirements` lists, hash by hash. Torch is by itself: asked for as somebody's dependency, the newest
# build with all of CUDA would come.
INSTALL_LOCKED := $(PIP) install --quiet --require-hashes --no-deps --requirement
INSTALL_PROJECT := $(PIP) install --quiet --no-deps --no-build-isolation --editable .

$(VENV)/.engine: pyproject.toml requirements/demo.txt | $(BIN)/python
	@echo "Installing what ccdnn needs"
	@$(INSTALL_LOCKED) requirements/demo.txt
	@echo "Installing $(TORCH) (the largest download, once)"
	@$(PIP) install --quiet "$(TORCH)"
	@$(INSTALL_PROJECT)
	@touch $@

$(VENV)/.development: $(VENV)/.engine requirements/development.txt
	@echo "Installing what the training package needs, the tools of the tests and the stand-in for Slicer"
	@$(INSTALL_LOCKED) requirements/development.txt
	@touch $@

demo: $(VENV)/.engine  ## run the bundled sample study through the bundled model, into demo/
	$(BIN)/ccdnn demo --output demo

test: $(VENV)/.development  ## the tests, up to 15 minutes on two cores
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile -m "not slow"

test-all: $(VENV)/.development  ## the tests, the slow ones too
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile

lint: $(VENV)/.development  ## ruff's checks and formatting, and the types of the engine
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

attack: $(VENV)/.development  ## 3,000 damaged and hostile files, minutes; writes docs/robustness.md
	$(BIN)/python Testing/robustness/attack.py --trials 3000 --seed 1 --output docs/robustness.md

benchmark: $(VENV)/.development  ## ms a slice: eager, the engine, and the matrix-multiply limit of this machine
	$(BIN)/python Testing/benchmarks/inference.py --model paper
	$(BIN)/python Testing/benchmarks/inference.py --model small

benchmark-training: $(VENV)/.development  ## what the losses and the framework take of a training step
	$(BIN)/python Testing/benchmarks/training.py

# Tools that must not appear among what is installed.
build/tools/bin/uv: | check-system
	@$(PYTHON) -m venv build/tools
	@build/tools/bin/python -m pip install --quiet uv cyclonedx-bom

COMPILE := build/tools/bin/uv pip compile --quiet --upgrade --universal --python-version 3.10 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --excludes requirements/excluded.txt --custom-compile-command "make lock" pyproject.toml requirements/torch.in

lock: build/tools/bin/uv  ## the newest versions of all that is needed into requirements/, with their hashes
	$(COMPILE) --extra pictures --output-file requirements/demo.txt
	$(COMPILE) --constraint requirements/demo.txt --extra pictures --extra training --extra test --extra host --output-file requirements/development.txt

sbom: $(VENV)/.engine build/tools/bin/uv  ## what is installed, with versions and licences: build/sbom.cdx.json
	build/tools/bin/cyclonedx-py environment $(BIN)/python --pyproject pyproject.toml --output-reproducible --output-file build/sbom.cdx.json

slicer-test:  ## the in-Slicer tests in a real application: make slicer-test SLICER=/path/to/Slicer
	@test -n "$(SLICER)" || { echo "Say which application: make slicer-test SLICER=/path/to/Slicer"; exit 2; }
	@test -x "$(SLICER)" || { echo "$(SLICER) is not a program that can be run; give the path of the Slicer executable."; exit 2; }
	"$(SLICER)" --testing --no-splash --ignore-slicerrc --additional-module-path "$(CURDIR)/CCDNNSynth" --python-script Testing/slicer/run.py

clean:  ## remove the environment and everything made in the checkout
	rm -rf $(VENV) build demo CCDNNSynth.egg-info ccdnnsynth.egg-info .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
