# Two commands do all set-up: `make demo` makes an image, `make test` runs every check.
# VENV is where the virtual environment goes; PYTHON is any Python from 3.11 on.

VENV ?= .venv
PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3,$(shell $(name) -c \
  'import sys; sys.version_info >= (3, 11) and print(sys.executable)' 2>/dev/null)))
BIN := $(VENV)/bin
OUT ?= out
PROMPT ?= a panda wearing glasses with a balloon on the beach

.PHONY: help demo test test-training lint docs pytest install install-dev clean

help:            ## list the commands
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

demo: install    ## make an image from the bundled model and its LoRAs
	@mkdir -p $(OUT)
	$(BIN)/lorafusion generate "$(PROMPT)" --strength 0.7 --seed 3 --zoom 8 --out $(OUT)/demo.png

test: lint pytest ## every check: lint, types, layers, tests

lint: install-dev ## style, types, import layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

pytest: install-dev ## the tests alone
	$(BIN)/python -m pytest -n auto --dist loadfile

test-training: install-dev ## train a miniature of Pocket, some ten minutes, and check that it learns
	$(BIN)/python -m pytest tests/pocket/miniature.py

docs: install-dev ## write the pages that are made from the code
	$(BIN)/python docs/make_reference.py

install: $(VENV)/installed

install-dev: $(VENV)/installed-dev

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "lorafusion needs Python 3.11 or newer; set PYTHON=..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[offline]'
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

clean:           ## remove the environment and what demo made
	rm -rf $(VENV) $(OUT)
