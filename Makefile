# Two commands: `make bench` runs the default benchmark, `make test` the tests. Both make the same .venv, once.

PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready

.PHONY: bench test clean

bench: $(READY)
	$(VENV)/bin/python run_benchmarks.py

test: $(READY)
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -q -n auto tests

$(READY): requirements.txt constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --no-compile --disable-pip-version-check -r requirements.txt -c constraints.txt
	touch $(READY)

clean:
	rm -rf $(VENV)
