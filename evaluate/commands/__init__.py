"""The verbs of the command line, a file for each group; `run_benchmarks.py` holds the dictionary of them."""
