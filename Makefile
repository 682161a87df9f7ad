# `make bench` runs the default benchmark, `make test` the tests, `make lint` ruff and mypy, `make mutants` the tests
# against faults put into the code (a quarter of an hour), `make soak` the long tests (faults by the hundred, a
# Ray cluster; an hour), `make reference` every experiment behind the reference results (days on two cores; it
# can be stopped and goes on). All make the same .venv, once.

PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready

.PHONY: bench test lint mutants soak reference clean

bench: $(READY)
	$(VENV)/bin/python run_benchmarks.py

test: $(READY)
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -q -n auto tests

lint: $(READY)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt -c constraints.txt
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/python -m mypy --strict tasks model evaluate run_benchmarks.py

mutants: $(READY)
	OMP_NUM_THREADS=1 $(VENV)/bin/python tests/mutants.py

soak: $(READY)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-cluster.txt -c constraints.txt
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -q -s -m soak tests

reference: $(READY)
	$(VENV)/bin/python run_benchmarks.py run --preset reference --out results/all

$(READY): requirements.txt constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --no-compile --disable-pip-version-check -r requirements.txt -c constraints.txt
	touch $(READY)

clean:
	rm -rf $(VENV)
