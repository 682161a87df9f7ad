"""The cells of one task and model as arrays by seed, depth and column: what every table, plot and report stands on."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from statistics import median_low
from typing import Any, NamedTuple

import numpy as np

from evaluate.columns import BANDS, Columns
from evaluate.metrics import depth95
from evaluate.records import Records, audited_since, run_id
from evaluate.statistics import effective_count, wilson_many
from tasks.errors import UserError, unknown


class Column(NamedTuple):
    """How the model was asked: with so many loops, without loops, or under a rule that stops by itself."""

    halting: str
    loops: int | None

    @property
    def name(self) -> str:
        if self.loops is None:
            return self.halting
        return str(self.loops) if self.halting == "fixed" else f"{self.halting} {self.loops}"

    @property
    def stops_by_itself(self) -> bool:
        return self.halting not in ("none", "fixed", "oracle")

    @property
    def told(self) -> str:
        """In a sentence: at 640 loops, without loops, stopping by act."""
        if self.halting == "none":
            return "without loops"
        return f"at {self.loops} loops" if self.halting == "fixed" else f"stopping by {self.name}"


@dataclass(frozen=True)
class Grid:
    """Counts of shape (seeds, depths, columns); a count of 0 is a cell that was not measured."""

    task: str
    model: str
    runs: list[dict[str, Any]]  # by seed; also those that failed
    depths: np.ndarray
    bands: list[str]  # of the depths
    columns: list[Column]  # few loops to many, then the rules that stop by themselves, the oracle last
    count: np.ndarray
    correct: np.ndarray
    mean_loops: np.ndarray
    eval_flops: np.ndarray
    chance: np.ndarray  # (depths,)
    shortcut: np.ndarray  # (depths,), the audit's, else a record's, where the audit has no such questions; else nan
    right: np.ndarray  # bytes of numpy.packbits, or None

    @property
    def train_max_depth(self) -> int:
        return int(self.runs[0]["train_max_depth"])

    @property
    def deepest(self) -> int:
        """The deepest depth that was asked; 0 where none was."""
        return int(self.depths.max(initial=0))

    @property
    def elsewhere(self) -> bool:
        """Did the model answer elsewhere? Then only what the suite trains on is known, not what it was trained on."""
        return bool(self.runs[0]["experiment"].get("elsewhere"))

    @property
    def train_flops(self) -> int:
        """Of a run, the median of those that came to an end: a curriculum may take seeds through stages otherwise."""
        ended = [run["train_flops"] for run in self.runs if run["status"] == "ok"]
        return int(median_low(ended or [run["train_flops"] for run in self.runs]))

    @property
    def failed(self) -> np.ndarray:
        """Which runs came to no end. They have no cells, and count as depth95 0, and as nothing right over seeds."""
        return np.array([run["status"] != "ok" for run in self.runs])

    @property
    def floor(self) -> np.ndarray:
        """What needs no reasoning (depths,): the better of chance and the best audited shortcut."""
        return np.asarray(np.fmax(self.chance, self.shortcut))

    @property
    def audited(self) -> bool:
        """Whether an audit is on record of any of its depths."""
        return not np.isnan(self.shortcut).all()

    @property
    def shares(self) -> np.ndarray:
        """Accuracy of each cell, nan where it was not measured."""
        with np.errstate(invalid="ignore"):
            return np.where(self.count > 0, self.correct / self.count, np.nan)

    @property
    def pooled(self) -> tuple[np.ndarray, np.ndarray]:
        """(correct, count) over all seeds, of shape (depths, columns)."""
        return self.correct.sum(0), self.count.sum(0)

    def headline(self, rule: str | None = None) -> int | None:
        """The column that figures stand on: the most loops, or the only one of a model without loops, or `rule`'s.

        It is chosen before anything is seen, and shows what surplus loops cost. Never the oracle's.
        """
        if rule:
            held = [i for i, column in enumerate(self.columns) if column.name == rule and column.halting != "oracle"]
            if held:
                return held[0]
        fixed = [i for i, column in enumerate(self.columns) if column.halting in ("fixed", "none")]
        free = [i for i, column in enumerate(self.columns) if column.stops_by_itself]
        return fixed[-1] if fixed else free[0] if free else None

    def in_band(self, band: str) -> np.ndarray:
        """Which of the depths (depths,) are of this band."""
        return np.array([name == band for name in self.bands], bool)

    def depth95s(self, column: int | None) -> np.ndarray:
        """depth95 of each seed (seeds,); 0 for a run that failed."""
        if column is None:
            return np.zeros(len(self.runs), int)
        shares = self.shares[:, :, column]
        reached = [
            depth95({int(d): float(s) for d, s in zip(self.depths, row, strict=True) if s == s}) for row in shares
        ]
        return np.where(self.failed, 0, np.array(reached, int))

    def reached(self, column: int | None) -> int:
        """The depth that more than half of the seeds reach: of an even number, the lower of the two in the middle."""
        return int(median_low(self.depth95s(column).tolist()))

    def fixed(self, depth: int) -> dict[int, float]:
        """Pooled accuracy by loops, at the depth of this place."""
        correct, count = self.pooled
        places = [(i, column.loops) for i, column in enumerate(self.columns) if column.halting == "fixed"]
        return {loops: correct[depth, i] / count[depth, i] for i, loops in places if loops and count[depth, i]}

    @property
    def alike(self) -> bool:
        """Whether all seeds answered the same questions, as a suite's runs do; a file scored from elsewhere may not."""
        return len({run["versions"].get("questions") for run in self.runs}) == 1

    @cached_property
    def worths(self) -> np.ndarray:
        """How many independent questions the answers of each cell are worth (depths, columns), over all seeds."""
        worth: np.ndarray = self.count.sum(0).astype(float)
        for d, c in np.argwhere((self.count > 0).sum(0) > 1):
            worth[d, c] = self._together(self.count[:, d, c], self.right[:, d, c]) or worth[d, c]
        return worth

    @cached_property
    def intervals(self) -> tuple[np.ndarray, np.ndarray]:
        """Wilson's 95% interval of each cell, seeds pooled (depths, columns): of so many questions as it is worth."""
        correct, count = self.pooled
        with np.errstate(invalid="ignore"):
            return wilson_many(np.asarray(correct / count * self.worths), self.worths)

    def worth(self, depths: np.ndarray, column: int) -> float:
        """The same of several depths' answers in a column; nan where none was asked.

        One row may ask several depths, and a model that is wrong at one is wrong further on: where as many questions
        were kept of each, the first questions of all depths count as one, and so on.
        """
        count, right = self.count[:, depths, column], self.right[:, depths, column]
        total = self._together(count.reshape(-1), right.reshape(-1)) or float(self.worths[depths, column].sum())
        return total or float("nan")

    def _together(self, count: np.ndarray, right: np.ndarray) -> float | None:
        """What cells (cells,) that answered the same rows are worth; None where nothing tells that they did."""
        held, counts = right[count > 0], set(count[count > 0].tolist())
        if not self.alike or len(counts) != 1 or any(bits is None for bits in held):
            return None
        packed = np.frombuffer(b"".join(held), np.uint8).reshape(len(held), -1)
        return effective_count(np.unpackbits(packed, axis=1, count=counts.pop()))


def check_rule(grids: Iterable[Grid], rule: str | None) -> None:
    """Refuse a rule that none of these answers stands under, and the oracle."""
    if rule is None:
        return
    if rule.startswith("oracle"):
        raise UserError("--rule oracle: the oracle knows the answer and cannot be deployed; no headline stands on it")
    allowed = {c.name for grid in grids for c in grid.columns if c.halting not in ("none", "oracle")}
    if not allowed:
        raise UserError(f"--rule {rule}: no model here loops, and none stops by a rule")
    if rule not in allowed:
        raise unknown("rule", rule, sorted(allowed, key=lambda name: (len(name), name)))


class Results:
    """All grids of a folder by (task, model), and what has to be told of its records, a line each."""

    def __init__(self, records: Records) -> None:
        self.folder, self.records = records.folder, records
        cells, shortcuts = records.columns, records.shortcuts
        self.found = list(records.notes)
        runs = list(records.runs.values())
        trusted = [_hashed(run, self.found) for run in runs]
        names = labels([run for run, good in zip(runs, trusted, strict=True) if good], self.found)
        groups: dict[tuple[str, str], list[int]] = defaultdict(list)
        for place, run in enumerate(runs):
            if trusted[place]:
                groups[names[run["run"]]].append(place)
        if not groups:
            raise UserError(f"{str(self.folder)!r} holds no run that can be trusted: {self.found[-1]}")
        order = np.argsort(cells.run, kind="stable")
        ends = np.searchsorted(cells.run[order], np.arange(len(runs) + 1))
        self.grids: dict[tuple[str, str], Grid] = {}
        self.of_grids: dict[tuple[str, str], list[str]] = {}
        for key, places in sorted(groups.items()):
            places = sorted(places, key=lambda place: runs[place]["seed"])
            picked = [order[ends[place] : ends[place + 1]] for place in places]
            self.of_grids[key] = []
            mine, notes = [runs[place] for place in places], self.of_grids[key]
            self.grids[key] = _grid(key, mine, cells, picked, shortcuts, notes)

    @property
    def notes(self) -> list[str]:
        """What has to be told: of the records, of these grids, and of the seeds that some models of a task lack, and of
        depths that not all were asked."""
        of_grids = [note for key in self.grids for note in self.of_grids[key]]
        return [*self.found, *of_grids, *self._missing_seeds(), *self._other_depths()]

    @property
    def tasks(self) -> list[str]:
        return list(dict.fromkeys(task for task, _ in self.grids))

    @property
    def models(self) -> list[str]:
        return list(dict.fromkeys(model for _, model in self.grids))

    def only(self, tasks: list[str], models: list[str]) -> None:
        """Leave out all other tasks and models; an error where one is unknown, or where nothing is left."""
        for kind, wanted, have in (("task", tasks, self.tasks), ("model", models, self.models)):
            for name in wanted:
                if name not in have:
                    raise UserError(f"{self.folder}: {unknown(kind, name, have)}")
        self.grids = {
            key: grid
            for key, grid in self.grids.items()
            if (not tasks or key[0] in tasks) and (not models or key[1] in models)
        }
        if not self.grids:
            raise UserError(f"{str(self.folder)!r} holds no run of {' or '.join(models)} on {' or '.join(tasks)}")

    def _missing_seeds(self) -> Iterator[str]:
        """A line for each task, and for models that lack the same."""
        for task in self.tasks:
            seeds = {m: {run["seed"] for run in g.runs} for (t, m), g in self.grids.items() if t == task}
            everyone = set().union(*seeds.values())
            without: dict[str, list[str]] = {}
            for model, have in seeds.items():
                if everyone - have:
                    without.setdefault(", ".join(map(str, sorted(everyone - have))), []).append(model)
            for lacks, models in without.items():
                yield f"{task}: no run of seed {lacks} of {', '.join(models)}"

    def _other_depths(self) -> Iterator[str]:
        """A line for each task of which some models were asked deeper questions than others."""
        for task in self.tasks:
            asked: dict[int, list[str]] = {}
            for (of, model), grid in self.grids.items():
                if of == task and grid.deepest:
                    asked.setdefault(grid.deepest, []).append(model)
            if len(asked) > 1:
                told = "; ".join(f"{some(models)} to {depth}" for depth, models in sorted(asked.items()))
                yield f"{task}: asked to different depths, {told}: who was asked less deep can go no deeper"


def some(names: list[str]) -> str:
    """The first three, and how many more there are."""
    return ", ".join([*names[:3], *([f"{len(names) - 3} more"] if len(names) > 3 else [])])


def _hashed(run: dict[str, Any], notes: list[str]) -> bool:
    """Whether the run's configuration is the one that it is named by."""
    real = run_id(run["experiment"])
    if real != run["run"]:
        what = f"{run['task']}, {run['model']}, seed {run['seed']}"
        notes.append(f"run {run['run']} ({what}) was left out: its configuration hashes to {real}, so that one changed")
    return bool(real == run["run"])


def flat(plain: Any, path: str = "") -> dict[str, Any]:
    """An experiment's fields by their dotted names; none of what is no table."""
    found: dict[str, Any] = {}
    for key, value in plain.items() if isinstance(plain, dict) else ():
        found.update(flat(value, f"{path}{key}.") if isinstance(value, dict) else {f"{path}{key}": value})
    return found


def labels(runs: list[dict[str, Any]], notes: list[str]) -> dict[str, tuple[str, str]]:
    """The (task, model) that each run is shown under; where a folder mixes settings, with those that differ."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for run in runs:
        groups[run["task"], run["model"]].append(run)
    named: dict[str, tuple[str, str]] = {}
    for (task, model), group in groups.items():
        fields = {run["run"]: flat(run["experiment"]) for run in group}
        values: dict[str, set[str]] = defaultdict(set)
        for held in fields.values():
            for name in set().union(*fields.values()) - {"seed"}:
                values[name].add(json.dumps(held.get(name)))
        differ = sorted(name for name, seen in values.items() if len(seen) > 1)
        if differ:
            notes.append(f"{task}, {model}: several experiments, shown apart: they differ in {', '.join(differ)}")
        for run, held in fields.items():
            of_task, of_model = (
                "".join(f" {name.removeprefix('task.')}={short(held.get(name))}" for name in differ if mine(name))
                for mine in (lambda name: name.startswith("task."), lambda name: not name.startswith("task."))
            )
            named[run] = task + of_task, model + of_model
    return named


def short(value: Any) -> str:
    """A field's value as options take it; of a field that an older record lacks, that it is not set there."""
    if value is None:
        return "unset"
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _grid(
    key: tuple[str, str],
    runs: list[dict[str, Any]],
    cells: Columns,
    picked: list[np.ndarray],
    shortcuts: dict[str, float],
    notes: list[str],
) -> Grid:
    """The cells of these runs, `picked` for each, in their places. Cells that contradict each other are left out."""
    rows = np.concatenate(picked)
    seed = np.repeat(np.arange(len(runs)), [len(part) for part in picked])
    depths, depth = np.unique(cells.depth[rows], return_inverse=True)
    columns, column = _columns(cells, rows)
    shape = (len(runs), len(depths), len(columns))
    place = np.ravel_multi_index((seed, depth, column), shape) if len(rows) else np.zeros(0, int)
    keep = _once(cells, rows, place, f"{key[0]}, {key[1]}", notes)
    rows, place, depth, seed = rows[keep], place[keep], depth[keep], seed[keep]
    for run, lost in zip(runs, np.bincount(seed, cells.not_numbers[rows], len(runs)).tolist(), strict=True):
        if lost:
            whose = f"{key[0]}, {key[1]}: seed {run['seed']}"
            notes.append(f"{whose} gave {lost:.0f} answers that are no numbers (NaN), which count as wrong")

    def laid(values: np.ndarray, nothing: float) -> np.ndarray:
        array = np.full(shape, nothing, values.dtype)
        array.reshape(-1)[place] = values
        return array

    def by_depth(values: np.ndarray) -> np.ndarray:
        array = np.full(len(depths), np.nan)
        array[depth] = values
        return array

    bands = by_depth(cells.band[rows])
    since = np.array([audited_since(runs[0], depth, shortcuts) for depth in depths.tolist()], float)  # nan for None
    grid = Grid(
        task=key[0], model=key[1], runs=runs, depths=depths,
        bands=[BANDS[int(band)] if band == band else "" for band in bands],
        columns=columns,
        count=laid(cells.count[rows], 0), correct=laid(cells.correct[rows], 0),
        mean_loops=laid(cells.mean_loops[rows], np.nan), eval_flops=laid(cells.eval_flops[rows], 0),
        chance=by_depth(cells.chance[rows]),
        shortcut=np.where(np.isnan(since), by_depth(cells.shortcut[rows]), since),
        right=laid(cells.right[rows], None),  # type: ignore[arg-type]
    )  # fmt: skip
    if (by_depth(cells.band[rows])[depth] != cells.band[rows]).any():
        notes.append(f"{key[0]}, {key[1]}: a depth stands in two bands; the last one read is shown")
    _missing_cells(grid, notes)
    return grid


def _columns(cells: Columns, rows: np.ndarray) -> tuple[list[Column], np.ndarray]:
    """The columns of these cells in the order in which they are shown, and the place of each cell's among them."""
    rules = max(1, len(cells.rules))
    codes, column = np.unique((cells.loops[rows] + 1) * rules + cells.halting[rows], return_inverse=True)
    columns = [
        Column(cells.rules[code % rules], code // rules - 1 if code >= rules else None) for code in codes.tolist()
    ]
    order = sorted(range(len(columns)), key=lambda i: _column_order(columns[i]))
    return [columns[i] for i in order], np.argsort(order)[column] if order else column


def _once(cells: Columns, rows: np.ndarray, place: np.ndarray, whose: str, notes: list[str]) -> np.ndarray:
    """Which of the rows to keep, one for each place; none where rows of one place contradict each other."""
    _, first, back, times = np.unique(place, return_index=True, return_inverse=True, return_counts=True)
    if not (times > 1).any():
        return first
    same = np.ones(len(first), bool)
    for name in ("correct", "count", "band"):
        array = getattr(cells, name)[rows]
        np.logical_and.at(same, back, array == array[first][back])
    lost = int((~same).sum())
    told = f"{whose}: {int((times > 1).sum())} cells stand more than once"
    notes.append(told + (f"; {lost} of them contradict each other and were left out" if lost else ""))
    return first[same]


def _column_order(column: Column) -> tuple[int, int, str]:
    rank = {"none": 0, "fixed": 1, "oracle": 3}.get(column.halting, 2)
    return rank, column.loops or 0, column.halting


def _missing_cells(grid: Grid, notes: list[str]) -> None:
    """Tell which runs lack cells that another seed has, or that their own settings name."""
    asked = (grid.count > 0).any(0)
    for run, held, failed in zip(grid.runs, grid.count > 0, grid.failed, strict=True):
        if failed:
            notes.append(f"{grid.task}, {grid.model}: seed {run['seed']} {run['status']}; it counts as depth95 0")
        elif not held.any():
            notes.append(f"{grid.task}, {grid.model}: seed {run['seed']} has no cells")
        elif (asked & ~held).any():
            lacks = int((asked & ~held).sum())
            notes.append(f"{grid.task}, {grid.model}: seed {run['seed']} lacks {lacks} of {int(asked.sum())} cells")
        if held.any() and not failed and (unasked := _unasked(grid, run, held)):
            told = ": how deep it goes is told without them" if grid.elsewhere else ", which it was asked"
            notes.append(f"{grid.task}, {grid.model}: seed {run['seed']} has no cells {unasked}{told}")


def _unasked(grid: Grid, run: dict[str, Any], held: np.ndarray) -> str:
    """The depths and loops that a run's settings name and its cells (depths, columns) lack, in words. Who answered
    elsewhere was asked what the user chose: of depths beyond the deepest of these nothing is said."""
    fields = flat(run["experiment"])
    named = [_numbers(fields.get(f"task.{band}_depths")) for band in ("train", "selection", "test")]
    depths = set[int]().union(*named) - set(grid.depths[held.any(1)].tolist())
    depths = {depth for depth in depths if not grid.elsewhere or depth < grid.depths[held.any(1)].max()}
    have = {column.loops for column, here in zip(grid.columns, np.asarray(held.any(0)), strict=True) if here}
    lacks = {"depth": depths, "loops": _numbers(fields.get("evaluate.loops")) - have if any(have) else set()}
    return " and ".join(f"of {name} {', '.join(map(str, sorted(of)))}" for name, of in lacks.items() if of)


def _numbers(named: Any) -> set[int]:
    """The whole numbers of a list, whatever else a stranger's record has in its place."""
    return {number for number in named if type(number) is int} if isinstance(named, list) else set()
