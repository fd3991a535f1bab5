# Everything a newcomer needs: `make demo` and `make test`, with nothing but Python >= 3.11, pip and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: demo test coverage lint types contracts lock clean bench bench-day bench-history bench-import bench-rows bench-truth bench-verifying chaos

demo: $(VENV)/runtime.done ## set up, import a year of real purchases, rehearse 28 business days, show the Check
	@$(BIN)/daogou demo

test: $(VENV)/dev.done lint types contracts ## set up and run every gate and test
	@$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder -q

coverage: $(VENV)/dev.done ## the tests once more, and which lines they reach
	@$(BIN)/python -m pytest -n auto --dist loadfile --cov --cov-report=term -q

lint: $(VENV)/dev.done
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(VENV)/dev.done
	@$(BIN)/mypy

contracts: $(VENV)/dev.done
	@$(BIN)/lint-imports

bench: $(VENV)/bench.done ## the hot paths beside the bare thing, some minutes -> bench/results/ledger.json
	@$(BIN)/python -m bench.ledger

bench-day: $(VENV)/runtime.done ## the day of 10,000 guides with 500,000 items due: lists beside COPY, starts, nudges, events; some 10 minutes, 6 GB of disk for a while -> bench/results/day.json
	@$(BIN)/python -m bench.day $(if $(SIZE),--size $(SIZE))

bench-history: $(VENV)/runtime.done ## lists, months and boards with 10,000,000 items behind them beside 100,000; 25 GB of disk for a while -> bench/results/history.json
	@$(BIN)/python -m bench.history

bench-import: $(VENV)/runtime.done ## import speed beside bare COPY -> bench/results/import.json
	@$(BIN)/python -m bench.import_purchases

bench-rows: $(VENV)/runtime.done ## what row-level security costs a check-in, a sign-on and a list -> bench/results/rows.json
	@$(BIN)/python -m bench.rows

bench-truth: $(VENV)/runtime.done ## the predicted next purchase beside 30 days and members' medians, some minutes -> bench/results/truth.json
	@$(BIN)/python -m bench.truth

bench-verifying: $(VENV)/runtime.done ## what proving a million events costs beside reading them -> bench/results/verifying.json
	@$(BIN)/python -m bench.verifying

chaos: $(VENV)/runtime.done ## a day under >= 200 kills and faults beside an undisturbed one, some 15 minutes -> bench/results/chaos.json
	@$(BIN)/python -m bench.chaos $(if $(SEED),--seed $(SEED))

# The lock files are made without addresses, so that they serve behind any mirror.
lock: $(VENV)/runtime.done
	@$(PIP) install uv
	@$(BIN)/uv pip compile pyproject.toml requirements/setuptools.in --universal --python-version 3.11 --generate-hashes --override requirements/overrides.txt -o requirements/runtime.txt --quiet --custom-compile-command "make lock"
	@$(BIN)/uv pip compile pyproject.toml requirements/setuptools.in --group dev --universal --python-version 3.11 --generate-hashes --override requirements/overrides.txt -c requirements/runtime.txt -o requirements/dev.txt --quiet --custom-compile-command "make lock"
	@$(BIN)/uv pip compile pyproject.toml requirements/setuptools.in --group bench --universal --python-version 3.11 --generate-hashes --override requirements/overrides.txt -c requirements/runtime.txt -o requirements/bench.txt --quiet --custom-compile-command "make lock"

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "daogou needs Python 3.11 or newer; this is %d.%d. Point PYTHON at a newer one: make PYTHON=python3.12 demo" % sys.version_info[:2])'
	@echo "· setting up $(VENV)"
	@$(PYTHON) -m venv $(VENV)

# --no-deps: the lock is the whole list, and requirements/overrides.txt says what it leaves out on purpose.
$(VENV)/runtime.done: requirements/runtime.txt pyproject.toml | $(VENV)/bin/python
	@echo "· installing pinned packages"
	@$(PIP) install --no-deps --require-hashes -r requirements/runtime.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/dev.done: requirements/dev.txt $(VENV)/runtime.done
	@echo "· installing pinned test tools"
	@$(PIP) install --no-deps --require-hashes -r requirements/dev.txt
	@touch $@

$(VENV)/bench.done: requirements/bench.txt $(VENV)/runtime.done
	@echo "· installing what is measured beside"
	@$(PIP) install --no-deps --require-hashes -r requirements/bench.txt
	@touch $@

clean: ## stop nothing, remove what was set up and made here
	@rm -rf $(VENV) .daogou
