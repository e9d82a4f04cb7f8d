# Two commands on a fresh machine with Python 3.11 or newer, make, and network to a package index:
#   make quickstart   train, quantize, judge and run a model on built-in scenes; ends with a report
#   make test         style, types, architecture, tests
#   make pi           does an emulated Raspberry Pi say what this machine says? (optional; see PI_SETUP below)
# (make quickstart-detection does the same with boxes.)
# Each sets up what it needs in .venv by itself. make bench runs the long measurements.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
JOBS ?= 2

.PHONY: quickstart quickstart-detection test lint bench pi clean

quickstart: $(VENV)/all.stamp
	$(BIN)/edgecnn quickstart --out quickstart --force

quickstart-detection: $(VENV)/pretrained.stamp
	$(BIN)/edgecnn quickstart --task detection --out quickstart-detection --force

test: $(VENV)/dev.stamp lint
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -q

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# What the long measurements are made with; for example: make bench DATA=cifar10.zip MODEL=net.tflite
DATA ?= drawn
MODEL ?= quickstart/run/int8.tflite
IMAGE ?= quickstart/picture-1.jpg

bench: $(VENV)/dev.stamp $(MODEL)
	$(BIN)/python benchmarks/one_image.py $(MODEL) $(IMAGE)
	$(BIN)/python benchmarks/runtime_overhead.py $(MODEL)
	$(BIN)/python benchmarks/feed.py $(DATA)
	$(BIN)/python benchmarks/resume.py $(DATA)

# An emulated Raspberry Pi: arm64 Debian with its own Python, and what a device has. PI_SETUP is a script that
# is called as `setup.sh FOLDER`, with PIP and the packages (REQS) in its environment, and leaves FOLDER/pipython.
PI_SETUP ?= ../shared/arm64/setup.sh
PI_MODELS ?= ../shared/models
PI_DIR := build/pi
PI_REQS := ai-edge-litert numpy opencv-python-headless typer click rich shellingham typing_extensions annotated-doc \
  markdown-it-py mdurl pygments

pi: $(VENV)/dev.stamp $(PI_DIR)/stamp
	$(BIN)/python tests/emulated/raspberry_pi.py $(PI_DIR)/pipython --models $(PI_MODELS)

$(PI_DIR)/stamp: constraints.txt | $(VENV)/bin/python
	@test -f $(PI_SETUP) || { echo "make pi: there is no $(PI_SETUP), which sets an emulated Pi up. Name it: \
	make pi PI_SETUP=path/to/setup.sh" >&2; exit 1; }
	rm -rf $(PI_DIR)
	PIP="$(BIN)/python -m pip" REQS="--constraint constraints.txt $(PI_REQS)" bash $(PI_SETUP) $(PI_DIR)
	@touch $@

quickstart/run/int8.tflite:
	$(MAKE) quickstart

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else \
	  f"edgecnn needs Python 3.11 or newer, but $(PYTHON) is {v[0]}.{v[1]}. Try: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	$(PYTHON) -m venv $(VENV)

# pip compiles what it installs, but not an editable checkout; without, every start would compile it again.
COMPILE := $(BIN)/python -m compileall -q edgecnn converters calibration targets

$(VENV)/all.stamp: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) --editable '.[all]'
	$(COMPILE)
	@touch $@

$(VENV)/pretrained.stamp: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) --editable '.[all,pretrained]'
	$(COMPILE)
	@touch $@

$(VENV)/dev.stamp: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) --editable '.[dev]'
	$(COMPILE)
	@touch $@ $(VENV)/all.stamp $(VENV)/pretrained.stamp

clean:
	rm -rf $(VENV) build dist *.egg-info quickstart quickstart-detection
