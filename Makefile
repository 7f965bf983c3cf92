# The project's tasks. `make demo` and `make test` install everything they need in .venv.

PYTHON ?= python3
VENV ?= .venv
# PyTorch is for training and its tests, and for a GPU; the CPU build suffices here. For a GPU: make test TORCH="torch==2.13.0+cu130"
TORCH ?= torch==2.13.0
SLICER ?=
# Number of test processes. The tests of one file share a process.
JOBS ?= 2

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help check-system demo test test-all lint attack lock sbom benchmark benchmark-training slicer-test clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/:/' | awk -F: '{printf "make %-19s %s\n", $$1, $$2}'

# Checks for requirements that pip cannot install, and prints the command that installs each.
check-system:
	@$(PYTHON) Testing/check_system.py

$(BIN)/python: | check-system
	@echo "Creating $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --quiet --upgrade pip

# Installs exactly what `requirements` lists, and checks each hash.
INSTALL_LOCKED := $(PIP) install --quiet --require-hashes --no-deps --requirement
INSTALL_PROJECT := $(PIP) install --quiet --no-deps --no-build-isolation --editable .

$(VENV)/.engine: pyproject.toml requirements/demo.txt | $(BIN)/python
	@echo "Installing the dependencies of ccdnn"
	@$(INSTALL_LOCKED) requirements/demo.txt
	@$(INSTALL_PROJECT)
	@touch $@

$(VENV)/.development: $(VENV)/.engine requirements/development.txt
	@echo "Installing the dependencies of the training package, the test tools and the stand-in for Slicer"
	@$(INSTALL_LOCKED) requirements/development.txt
	@echo "Installing $(TORCH) (the largest download, needed only once)"
	@$(PIP) install --quiet "$(TORCH)"  # separately: as a dependency, pip would choose the newest build with all of CUDA
	@touch $@

demo: $(VENV)/.engine  ## run the bundled model on the bundled sample study, into demo/
	$(BIN)/ccdnn demo --output demo

test: $(VENV)/.development  ## run the tests, up to 15 minutes on two cores
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile -m "not slow"

test-all: $(VENV)/.development  ## run all tests, including the slow ones
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile

lint: $(VENV)/.development  ## check the code and its formatting with ruff, and the types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

attack: $(VENV)/.development  ## try 3,000 damaged and hostile files, in minutes; writes docs/robustness.md
	$(BIN)/python Testing/robustness/attack.py --trials 3000 --seed 1 --output docs/robustness.md

benchmark: $(VENV)/.development  ## the engine against eager torch, other libraries and this machine's limit
	$(BIN)/python Testing/benchmarks/inference.py --model paper
	$(BIN)/python Testing/benchmarks/inference.py --model small
	$(BIN)/python Testing/benchmarks/volumes.py

benchmark-training: $(VENV)/.development  ## the share of the losses and the framework in a training step
	$(BIN)/python Testing/benchmarks/training.py

# Tools with their own environment, so that they do not count as installed packages.
build/tools/bin/uv: | check-system
	@$(PYTHON) -m venv build/tools
	@build/tools/bin/python -m pip install --quiet uv cyclonedx-bom

COMPILE := build/tools/bin/uv pip compile --quiet --upgrade --universal --python-version 3.10 --generate-hashes \
	--excludes requirements/excluded.txt --custom-compile-command "make lock" pyproject.toml requirements/install.in

lock: build/tools/bin/uv  ## update requirements/ to the newest versions, with their hashes
	$(COMPILE) --extra pictures --output-file requirements/demo.txt
	$(COMPILE) requirements/torch.in --constraint requirements/demo.txt --extra pictures --extra cohort --extra training --extra test --extra host --output-file requirements/development.txt

sbom: $(VENV)/.engine build/tools/bin/uv  ## list the installed packages, versions and licences in build/sbom.cdx.json
	build/tools/bin/cyclonedx-py environment $(BIN)/python --pyproject pyproject.toml --output-reproducible --output-file build/sbom.cdx.json

slicer-test:  ## run the in-Slicer tests in a real Slicer (SLICER=/path/to/Slicer)
	@test -n "$(SLICER)" || { echo "SLICER is not set; use: make slicer-test SLICER=/path/to/Slicer"; exit 2; }
	@test -x "$(SLICER)" || { echo "$(SLICER) is not executable; give the path of the Slicer executable."; exit 2; }
	"$(SLICER)" --testing --no-splash --ignore-slicerrc --additional-module-path "$(CURDIR)/CCDNNSynth" --python-script Testing/slicer/run.py

clean:  ## remove the environment and everything built in the checkout
	rm -rf $(VENV) build demo CCDNNSynth.egg-info ccdnnsynth.egg-info .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
