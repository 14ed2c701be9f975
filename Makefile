# Kaname. `make help` lists the targets. Needs make, a POSIX shell and Python >= 3.10; everything else comes from the
# package index into .venv, through uv (which is itself fetched by pip where it is missing).
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-lowest check format bench pins clean

VENV  := .venv
BIN   := $(VENV)/bin
STAMP := $(VENV)/.installed

# make test JOBS=1        one process (a debugger, or to read the output as it comes)
# make test SLOW=1        the slow tests too
# make test PYTEST='-k heatmap -x'    anything else pytest knows
JOBS   ?= $(shell n=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2); [ "$$n" -gt 8 ] && echo 8 || echo "$$n")
SLOW   ?=
PYTEST ?=
OUT    ?= runs/demo

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-14s %s\n", $$1, $$2 }'

setup: $(STAMP) ## build or refresh .venv

# The stamp is newer than the two files that say what belongs into .venv, so that this costs nothing the second time.
$(STAMP): pyproject.toml constraints.txt .ci/setup
	@sh .ci/setup "$(VENV)"
	@touch "$@"

demo: setup ## every recipe end to end on rendered data: sample, train, evaluate, predict, export (OUT=runs/demo)
	@$(BIN)/kaname demo --out "$(OUT)"

test: setup ## the tests (JOBS=1, SLOW=1, PYTEST='-k name')
	@$(BIN)/python -m pytest -n $(JOBS) $(if $(SLOW),-m '') $(PYTEST)

test-lowest: setup ## the tests with the lowest versions that pyproject.toml allows (before a release)
	@sh .ci/lowest -n $(JOBS) $(PYTEST)

check: setup ## ruff, pyright, import-linter
	@status=0; for tool in "ruff check ." "ruff format --check ." pyright lint-imports; do \
	  echo "== $$tool"; $(BIN)/$$tool || status=1; \
	done; exit $$status

format: setup ## let ruff mend what it can; docs/commands.md and docs/configuration.md from the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .
	@$(BIN)/python .ci/reference.py

bench: setup ## measurements on this machine, beside what one would write by hand (under five minutes)
	@$(BIN)/kaname bench
	@$(BIN)/python benchmarks/answers.py

pins: setup ## constraints.txt and the pins in pyproject.toml from its ranges (UPGRADE=1: the newest)
	@$(BIN)/python .ci/pins.py $(if $(UPGRADE),--upgrade)

clean: ## remove caches and build outputs (not .venv, not runs)
	@rm -rf build dist .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	@find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
