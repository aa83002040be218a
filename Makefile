# make bench [CONFIG=configs/default.yaml] [CORES=n] [GPUS=n]    run an experiment, up to its report
# make test                                                      run the tests
# make lint                                                      run the linters
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CONFIG ?= configs/default.yaml
CORES ?=
GPUS ?=

# The first of these names that is a Python of the right version.
PYTHON ?= $(firstword $(foreach name,python3 python3.12 python3.11,$(shell \
	$(name) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null \
	&& echo $(name))) python3)
BIN := $(CURDIR)/.venv/bin

# Downloads lie in the user's cache, where commands typed by hand look too; in the clone where a home
# directory does not exist or cannot be written.
CACHE := $(CURDIR)/.venv/cache
CACHED = $(shell cache="$${XDG_CACHE_HOME:-$$HOME/.cache}"; \
	mkdir -p "$$cache" 2>/dev/null && test -w "$$cache" && echo yes)
ELSEWHERE = env XDG_CACHE_HOME='$(CACHE)' MPLCONFIGDIR='$(CACHE)/matplotlib'
PYTHON_HERE = $(if $(CACHED),,$(ELSEWHERE)) '$(BIN)/python'

# GNU make turns the exit code of a failed recipe into 2. Under --question, lines of a recipe that
# are marked with + run all the same, and an exit code of 1 stays 1: so make itself exits with 0
# when done, 2 on bad input and 1 on anything else. A dry run (make -n) is left alone.
ifeq (,$(findstring n,$(firstword -$(MAKEFLAGS))))
MAKEFLAGS += --question
unexport MAKEFLAGS
RUN := +@
endif

.PHONY: help bench test lint

help:
	$(RUN)sed -n 's/^# \(make [a-z]* .*\)/\1/p' Makefile

bench: .venv/complete
	$(RUN)$(PYTHON_HERE) workflow/launch.py '$(CONFIG)' --cores '$(CORES)' --gpus '$(GPUS)'

test: .venv/complete
	$(RUN)$(PYTHON_HERE) -m pytest --numprocesses auto --maxprocesses 8 --dist worksteal

lint: .venv/complete
	$(RUN)'$(BIN)/ruff' check .
	$(RUN)'$(BIN)/ruff' format --check .
	$(RUN)'$(BIN)/mypy'
	$(RUN)'$(BIN)/lint-imports'
	$(RUN)'$(BIN)/snakefmt' --check Snakefile workflow
	$(RUN)$(PYTHON_HERE) workflow/lint.py

.venv/complete: pyproject.toml constraints.txt
	$(RUN)$(PYTHON) workflow/preflight.py
	$(RUN)echo 'Making the environment in .venv: once, some gigabytes, some minutes'
	$(RUN)$(PYTHON) -m venv .venv
	$(RUN)'$(BIN)/python' -m pip install --constraint constraints.txt --editable '.[test,lint,parity,dinov2]'
	$(RUN)touch $@
