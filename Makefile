# `make bench` runs the default benchmark, `make test` the tests, `make soak` the long ones (faults by the hundred, a Ray
# cluster; an hour). All make the same .venv, once.

PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready

.PHONY: bench test soak clean

bench: $(READY)
	$(VENV)/bin/python run_benchmarks.py

test: $(READY)
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -q -n auto tests

soak: $(READY)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-cluster.txt -c constraints.txt
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -q -s -m soak tests

$(READY): requirements.txt constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --no-compile --disable-pip-version-check -r requirements.txt -c constraints.txt
	touch $(READY)

clean:
	rm -rf $(VENV)
