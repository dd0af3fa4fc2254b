# One command each: `make demo`, `make test`, `make check`; `make setup` is what they share.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
PYTEST_FLAGS ?=

.PHONY: setup axe demo test check format lint types chaos

setup: $(STAMP)

# A second run installs nothing: the stamp is newer than what it was made from.
$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $(STAMP)

# What looks for faults that keep people out of the report's pages; tests/browser needs it, and a Chromium.
AXE := .venv/npm/node_modules/axe-core/axe.min.js

axe: $(AXE)

$(AXE): $(STAMP)
	npm install --silent --no-fund --no-audit --prefix .venv/npm axe-core@4.14.1
	touch $(AXE)

demo: setup
	$(BIN)/sweep run images --trials 40 --seed 7

# Three processes that take about as long: much of what tests do is wait for a Ray, a browser or a server to start.
FIRST := tests/tuner tests/faults
SECOND := tests/cli tests/online tests/study tests/report tests/records
PYTEST = $(BIN)/python -m pytest $(PYTEST_FLAGS)

test: setup
	@$(PYTEST) $(SECOND) >.venv/second.log 2>&1 & second=$$!; \
	$(PYTEST) $(addprefix --ignore=,$(FIRST) $(SECOND)) >.venv/others.log 2>&1 & others=$$!; \
	$(PYTEST) $(FIRST); first=$$?; \
	wait $$second; second=$$?; cat .venv/second.log; \
	wait $$others; others=$$?; cat .venv/others.log; exit $$((first || second || others))

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: setup
	$(BIN)/mypy

check: lint types test

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Hours: kill -9, again and again, and a check that nothing was lost.
chaos: setup
	$(BIN)/python benchmarks/chaos.py $(CHAOS_FLAGS)
