# The commands of README and CONTRIBUTING, which CI runs too. Each installs what it needs in .venv.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
PY := $(VENV)/bin/python
INSTALL := $(PY) -m pip install --quiet --disable-pip-version-check --no-input --progress-bar off
UNIT := tests/unit tinyfactory

.PHONY: help demo test check lab bench drills drill-model notebooks format clean

help:
	@echo "make demo       three people from a context, with no key and no network"
	@echo "make test       all tests: unit, properties, faults, browser, notebooks, the wheel"
	@echo "make check      the quick checks: lint, types, import layers, unit tests, doctests"
	@echo "make lab        open the notebooks in JupyterLab"
	@echo "make bench      run the benchmarks"
	@echo "make drills     the long tests: kills, full disks, many requests"
	@echo "make drill-model BASE_URL=... MODEL=...   people from a real model, and what they cost"
	@echo "make notebooks  run the notebooks and store their outputs"
	@echo "make format     format the code with ruff"
	@echo "make clean      remove the files that tests and builds leave (.venv stays)"

demo: $(VENV)/.installed
	@TINYFACTORY_MODEL=offline $(PY) -m tinyfactory demo

test: $(VENV)/.installed-all browser
	$(PY) -m pytest

check: $(VENV)/.installed-all
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports --no-cache
	$(PY) -m pytest -q $(UNIT)

lab: $(VENV)/.installed-lab
	$(PY) -m tinyfactory lab

bench: $(VENV)/.installed-all
	@for script in benchmarks/bench_*.py; do \
	    [ -e "$$script" ] || { echo "benchmarks/ has no bench_*.py yet."; exit 1; }; \
	    echo "== $$script"; TINYFACTORY_MODEL=offline $(PY) "$$script"; \
	done

drills: $(VENV)/.installed-all browser
	$(PY) -m pytest -m drill --timeout 1800

# By hand, against any OpenAI-compatible server; the same command continues an interrupted drill.
drill-model: $(VENV)/.installed-all
	@$(PY) benchmarks/drill_model.py $(if $(BASE_URL),--base-url '$(BASE_URL)') \
	    $(if $(MODEL),--model '$(MODEL)') $(if $(FOLDER),--folder '$(FOLDER)') $(OPTIONS)

notebooks: $(VENV)/.installed-all
	$(PY) -m tests.support.refresh_notebooks

format: $(VENV)/.installed-all
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

clean:
	rm -rf dist build .build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find tinyfactory tests benchmarks notebooks -name __pycache__ -prune -exec rm -rf {} +

# --- installation --------------------------------------------------------------------------

.PHONY: browser
browser:
	@tests/support/install_browser.sh

$(VENV)/.made:
	@PYTHON='$(PYTHON)' tests/support/make_venv.sh $(VENV)
	@touch $@

# Editable, so that the commands always run the code in this folder.
$(VENV)/.installed: pyproject.toml | $(VENV)/.made
	@echo "Installing tinyfactory into $(VENV) (once, a minute or two) ..."
	@$(INSTALL) -e .
	@touch $@

$(VENV)/.installed-lab: pyproject.toml | $(VENV)/.made
	@echo "Installing tinyfactory and JupyterLab into $(VENV) (once, two minutes or so) ..."
	@$(INSTALL) -e '.[lab]'
	@touch $(VENV)/.installed $@

$(VENV)/.installed-all: pyproject.toml | $(VENV)/.made
	@echo "Installing tinyfactory and all its tools into $(VENV) (once, a few minutes) ..."
	@$(INSTALL) -e '.[all]'
	@touch $(VENV)/.installed $(VENV)/.installed-lab $@
