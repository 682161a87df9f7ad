"""Records with something wrong: told in a line each, nothing guessed, a missing cell never zero."""

import numpy as np
import pytest

from evaluate.metrics import depth95
from evaluate.records import pack, read, run_id
from evaluate.show import measures, tables, written
from evaluate.show.grid import Results
from tasks import UserError
from tests.fakes import altered, dump, folder, lines, results


def test_cells_are_in_one_file_or_the_other_way_to_name_a_folder(tmp_path):
    path = folder(tmp_path)
    assert len(read(path / "cells.jsonl").columns) == len(lines(path / "cells.jsonl"))


WRONG = [
    ({"depth": "deep"}, "has depth 'deep': allowed are whole numbers"),
    ({"depth": True}, "has depth True"),
    ({"count": 0}, "has count 0: allowed are whole numbers of 1 or more"),
    ({"count": 2**62, "right": None}, "has count 4611686018427387904: allowed are at most 1099511627776"),
    ({"correct": 129}, "has more right answers than questions"),
    ({"correct": -1}, "has correct -1"),
    ({"loops": -2}, "has loops -2"),
    ({"loops": -1}, "has loops -1: allowed are whole numbers of 0 or more, or null"),
    ({"chance": None}, "has no chance"),
    ({"chance": "0.1"}, "has chance '0.1'"),
    ({"shortcut": 1.5}, "has a shortcut above 1"),
    ({"mean_loops": -1}, "has mean_loops -1"),
    ({"band": "tset"}, "has band 'tset', which is none of train, selection, test"),
    ({"halting": 3}, "has halting 3, which is no name"),
    ({"task": "u"}, "says 'u', 'deep', seed 0"),
    ({"seed": 7}, "says 't', 'deep', seed 7"),
    ({"ties": -1}, "has ties -1"),
    ({"ties": 1.5}, "has ties 1.5"),
    ({"not_numbers": -1}, "has not_numbers -1"),
    ({"not_numbers": 128}, "has more right answers and answers that are no numbers than questions"),
    ({"right": "#"}, "has a field right that is no base64"),
    ({"right": pack(np.zeros(128, bool))}, "has a field right that is not"),
    ({"right": pack(np.ones(64, bool))}, "has a field right that is not"),
]


@pytest.mark.parametrize("change,says", WRONG, ids=lambda value: str(value)[:40])
def test_a_cell_that_cannot_be_is_named_and_left_out_alone(tmp_path, change, says):
    path = altered(folder(tmp_path), "cells.jsonl", lambda i, cell: {**cell, **change} if i == 5 else cell)
    found = results(path)
    assert sum(int((grid.count > 0).sum()) for grid in found.grids.values()) == len(lines(path / "cells.jsonl")) - 1
    (note,) = [note for note in found.notes if "line 6" in note]
    assert says in note and note.endswith("and was left out")


def test_a_cut_last_line_and_a_missing_field_are_told(tmp_path):
    path = altered(
        folder(tmp_path), "cells.jsonl", lambda i, cell: {k: v for k, v in cell.items() if k != "depth" or i}
    )
    with open(path / "cells.jsonl", "a") as file:
        file.write('{"run": "a", "dep')
    notes = "\n".join(results(path).notes)
    assert "line 1 has no field 'depth' and was left out" in notes and "is not whole and was left out" in notes


def test_a_thousand_bad_lines_are_told_in_few(tmp_path):
    path = folder(tmp_path)
    with open(path / "cells.jsonl", "a") as file:
        file.write("nonsense\n" * 1000)
    notes = results(path).notes
    assert len(notes) <= 7 and any("995 more lines were left out" in note for note in notes)


def test_cells_of_runs_without_a_line_are_counted(tmp_path):
    path = altered(folder(tmp_path), "runs.jsonl", lambda i, run: run if i else None)
    assert any("cells of runs that did not end were passed over" in note for note in results(path).notes)


def test_repeated_cells_count_once_and_contradictions_not_at_all(tmp_path):
    once = results(folder(tmp_path / "once")).grids["t", "deep"]
    path = altered(folder(tmp_path / "twice"), "cells.jsonl", lambda i, cell: [cell, cell] if i == 0 else cell)
    twice = results(path)
    assert (twice.grids["t", "deep"].count == once.count).all()
    assert any("1 cells stand more than once" in note for note in twice.notes)
    path = altered(
        folder(tmp_path / "both"), "cells.jsonl",
        lambda i, cell: [cell, {**cell, "correct": 0, "right": None}] if i == 0 else cell,
    )  # fmt: skip
    both = results(path)
    assert (both.grids["t", "deep"].count > 0).sum() == (once.count > 0).sum() - 1
    assert any("1 of them contradict each other and were left out" in note for note in both.notes)


def test_a_configuration_that_does_not_hash_to_its_run_is_named_and_left_out(tmp_path):
    path = altered(
        folder(tmp_path), "runs.jsonl",
        lambda i, run: {**run, "experiment": {**run["experiment"], "train": {"steps": 99}}} if i == 0 else run,
    )  # fmt: skip
    found = results(path)
    assert [run["seed"] for run in found.grids["t", "deep"].runs] == [1]
    assert any("(t, deep, seed 0) was left out: its configuration hashes to" in note for note in found.notes)
    altered(path, "runs.jsonl", lambda i, run: run if i == 0 else None)
    with pytest.raises(UserError, match="holds no run that can be trusted"):
        results(path)


def test_mixed_experiments_stand_apart_and_are_named(tmp_path):
    path, other = folder(tmp_path / "a", models=("deep",)), folder(tmp_path / "b", models=("deep",), salt=5)
    for name in ("runs.jsonl", "cells.jsonl"):
        dump(path / name, lines(path / name) + lines(other / name))
    found = results(path)
    assert set(found.grids) == {("t", "deep train.steps=10"), ("t", "deep train.steps=15")}
    assert any("several experiments, shown apart: they differ in train.steps" in note for note in found.notes)
    sizes = folder(tmp_path / "c", models=("deep",), task={"places": 12})
    for name in ("runs.jsonl", "cells.jsonl"):
        dump(sizes / name, lines(sizes / name) + lines(other / name))
    assert ("t places=12", "deep train.steps=10") in results(sizes).grids


def test_missing_seeds_and_cells_are_named(tmp_path):
    path = folder(tmp_path)
    gone = {line["run"] for line in lines(path / "runs.jsonl") if line["model"] == "shallow" and line["seed"] == 1}
    altered(path, "runs.jsonl", lambda _, run: None if run["run"] in gone else run)
    altered(path, "cells.jsonl", lambda i, cell: None if i == 0 or cell["run"] in gone else cell)
    notes = results(path).notes
    assert "t: no run of seed 1 of shallow" in notes
    alone = results(path)
    alone.only([], ["deep"])
    assert not [note for note in alone.notes if "no run of" in note], "no model that is shown has it"
    assert any("t, deep: seed 0 lacks 1 of 35 cells" in note for note in notes)


def test_what_a_run_was_to_be_asked_and_was_not_is_named(tmp_path):
    path = folder(tmp_path, models=("deep",), seeds=(0, 1))
    runs = lines(path / "runs.jsonl")
    assert not Results(read(path)).notes
    kept = [c for c in lines(path / "cells.jsonl") if c["depth"] != 5 and c["loops"] != 64]
    dump(path / "cells.jsonl", kept)
    told = [f"t, deep: seed {run['seed']} has no cells of depth 5 and of loops 64, which it was asked" for run in runs]
    assert Results(read(path)).notes == told


@pytest.mark.parametrize("named", [[2, [3]], [True], "64", {"loops": 3}])
def test_loops_and_depths_that_are_no_numbers_are_not_missed(tmp_path, named):
    path = folder(tmp_path, models=("deep",), seeds=(0,))
    (run,), cells = lines(path / "runs.jsonl"), lines(path / "cells.jsonl")
    run["experiment"]["evaluate"]["loops"] = run["experiment"]["task"]["test_depths"] = named
    run["run"] = run_id(run["experiment"])
    dump(path / "runs.jsonl", [run])
    dump(path / "cells.jsonl", [{**cell, "run": run["run"]} for cell in cells])
    lacking = ["t, deep: seed 0 has no cells of depth 2 and of loops 2, which it was asked"]
    assert Results(read(path)).notes == (lacking if named == [2, [3]] else [])


def test_notes_of_what_was_left_out_are_left_out(tmp_path):
    path = folder(tmp_path, tasks=("t", "u"), seeds=(0,))
    dump(path / "cells.jsonl", [c for c in lines(path / "cells.jsonl") if (c["task"], c["depth"]) != ("u", 3)])
    results = Results(read(path))
    assert len(results.notes) == 2 and all(note.startswith("u, ") for note in results.notes)
    results.only(["t"], [])
    assert results.notes == []


def test_a_missing_cell_is_empty_in_every_section(tmp_path):
    path = folder(tmp_path, seeds=(0,))
    altered(path, "cells.jsonl", lambda _, c: None if c["depth"] == 40 and c["loops"] == 64 else c)
    found = results(path)
    rows = [row for row in measures.grid_rows(found) if row["depth"] == 40 and row["loops"] == 64]
    assert rows == []
    shown = tables.extrapolation_table(found.grids["t", "deep"]).splitlines()[-1].split()
    assert shown[0] == "40" and shown[4] == written.MISSING


def test_depth95_of_every_seed_is_that_of_its_own_cells(tmp_path):
    path = folder(tmp_path, seeds=tuple(range(6)), models=("deep",), truth=lambda *_: 0.97)
    own = {}
    for cell in lines(path / "cells.jsonl"):
        if cell["loops"] == 64:
            own.setdefault(cell["seed"], {})[cell["depth"]] = cell["correct"] / cell["count"]
    (row,) = measures.measure_rows(results(path))
    assert row["depth95_seeds"] == [depth95(own[seed]) for seed in range(6)]
    assert len(set(row["depth95_seeds"])) > 1


def test_answers_that_are_no_numbers_are_told_of_the_runs_that_are_shown_and_once(tmp_path):
    def lost(_, cell):
        here = (cell["task"], cell["model"], cell["seed"], cell["depth"]) == ("u", "shallow", 0, 40)
        return [{**cell, "not_numbers": 3 if here else 0}] * 2

    path = altered(folder(tmp_path, tasks=("t", "u")), "cells.jsonl", lost)
    told = [note for note in results(path).notes if "no numbers" in note]
    assert told == ["u, shallow: seed 0 gave 3 answers that are no numbers (NaN), which count as wrong"]
    shown = results(path)
    shown.only(["t"], [])
    assert not any("no numbers" in note for note in shown.notes)
