"""What the READMEs say, for the tests that hold it to the records."""

import json
from pathlib import Path
from statistics import median_low

from evaluate.records import read
from evaluate.show.grid import Grid, Results

ROOT = Path(__file__).parent.parent
RECORD = ("README.md", "answer.md", "recipes.md", "costs.md", "claims/README.md")
NAMES = ("README.md", "evaluate/run/README.md", "results/README.md", *(f"results/reference/{name}" for name in RECORD))
PAGES = {name: (ROOT / name).read_text() for name in NAMES}
README = PAGES["README.md"]
ALL = "\n".join(PAGES.values())
SAID = " ".join(ALL.split())
NUMBERS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
NUMBERS += ["thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"]
WORDS = dict(enumerate(NUMBERS, 1))


def rows(heading: str) -> list[list[str]]:
    """The cells of the table whose first line begins so."""
    table = ALL[ALL.index(f"\n|{heading}") + 1 :].split("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def never_came(results: Results, model: str) -> list[str]:
    """The tasks of which a model was trained on smaller sizes alone, on every seed whose record tells."""
    told = {
        grid.task: [run["stage_steps"] for run in grid.runs if "stage_steps" in run]
        for grid in results.grids.values()
        if grid.model == model
    }
    return [task for task, runs in told.items() if runs and not any(steps[-1] for steps in runs)]


def runs_of_all() -> list[dict]:
    return list(read(ROOT / "results/reference/all").runs.values())


def best_loops(grid: Grid) -> int:
    """depth95 at the one number of loops at which it is deepest."""
    fixed = [c for c, column in enumerate(grid.columns) if column.halting == "fixed"]
    return max(median_low(grid.depth95s(c).tolist()) for c in fixed)


def lines_of(folder: str, name: str) -> list[dict]:
    return [json.loads(text) for text in (ROOT / "results/reference" / folder / name).read_text().splitlines()]
