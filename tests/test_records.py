"""Records: what a crash leaves behind, what readers accept, and what a table makes of it."""

import gzip
import json
import random
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from evaluate.records import Cell, Diagnostics, Records, Run, Writer, audited_as, best_audited, pack, read, run_id
from evaluate.run.experiment import Experiment
from evaluate.run.folder import refuse_mixture
from evaluate.show import tables
from evaluate.show.grid import Results
from evaluate.show.written import percent, points
from tasks import TASKS, UserError
from tests.fakes import DEPTHS, dump, folder, lines, results

ROOT = Path(__file__).parent.parent
A, B = run_id({"x": 1}), run_id({"x": 1, "seed": 1})
CELL = Cell(A, "t", "m", 0, "test", 10, 4, "fixed", 50, 40, 0.1, None, 4.0, 1000)
RUN = Run(A, {"x": 1}, "t", 1, "m", 0, 5, 100, 10**9, 1.0, 10, "ok", {}, "cpu", 1, None, None)


TWO = (RUN, replace(RUN, run=B, experiment={"x": 1, "seed": 1}, seed=1))


def grid(folder, cells, runs=(RUN,)):
    """The one grid of a folder that holds these records."""
    (found,) = Results(read(written(folder, cells, runs))).grids.values()
    return found


def written(folder, cells=(CELL,), runs=(RUN,), inside=()):
    """A folder that `run` might have left: a cell's run need not have ended."""
    lines = {"runs.jsonl": runs, "cells.jsonl": cells, "diagnostics.jsonl": inside}
    folder.mkdir(parents=True, exist_ok=True)
    for name, held in lines.items():
        (folder / name).write_text("".join(json.dumps(asdict(line)) + "\n" for line in held))
    return folder


def test_what_is_written_is_read(tmp_path):
    cells = [replace(CELL, right=pack(np.arange(50) < 40), ties=1), replace(CELL, loops=None, halting="act")]
    inside = Diagnostics(A, 5, [[0.25, 0.75], [1.0, 0.0]], [1.0, None], None)
    Writer(tmp_path).add(RUN, cells, inside)
    records = read(tmp_path)
    assert lines(tmp_path / "cells.jsonl") == [asdict(cell) for cell in cells]
    assert records.runs == {A: asdict(RUN)} and records.diagnostics == {A: inside}
    held = records.columns
    assert held.correct.tolist() == [40, 40] and held.loops.tolist() == [4, -1] and not records.notes
    assert np.unpackbits(np.frombuffer(held.right[0], np.uint8)).sum() == 40 and held.right[1] is None


def test_packed_files_are_read_too(tmp_path):
    written(tmp_path)
    for name in ("runs.jsonl", "cells.jsonl"):
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress((tmp_path / name).read_bytes()))
        (tmp_path / name).unlink()
    assert len(read(tmp_path).columns) == 1
    for name in ("cells.jsonl", "runs.jsonl"):
        packed = tmp_path / f"{name}.gz"
        packed.write_bytes(packed.read_bytes()[:-12])
        with pytest.raises(UserError, match=f"{name}.gz is damaged, or cut off"):
            len(read(tmp_path).columns)


def test_lines_of_a_run_that_was_cut_off_are_passed_over_and_then_removed(tmp_path):
    inside = Diagnostics(A, 5, None, [1.0], [0.5])
    written(tmp_path, (CELL, replace(CELL, run="cut")), inside=(inside, replace(inside, run="cut")))
    assert len(read(tmp_path).columns) == 1 and set(read(tmp_path).diagnostics) == {A}
    Writer(tmp_path)
    assert len(lines(tmp_path / "cells.jsonl")) == len(lines(tmp_path / "diagnostics.jsonl")) == 1


def test_a_line_cut_by_a_crash_is_told_and_left_out(tmp_path):
    written(tmp_path)
    with open(tmp_path / "cells.jsonl", "a") as file:
        file.write(f'[1, 2]\n{{"run": "{A}", "dep')
    records = read(tmp_path)
    assert len(records.columns) == 1 and len(records.notes) == 2
    assert "line 2 is not whole and was left out" in records.notes[0]
    assert "line 2 is not whole" in " ".join(tables.show(Results(read(tmp_path))).split())


@pytest.mark.parametrize("change, says", [
    ({"steps": 1.5}, "steps is 1.5: allowed is a whole number"),
    ({"train_flops": 10**40}, "train_flops is a number beyond all bounds"),
    ({"train_max_depth": 0}, "train_max_depth is 0: allowed is 1 or more"),
    ({"task": "a\nb"}, r"task is 'a\nb': allowed is a name"),
    ({"stage_steps": [5, -5]}, "stage_steps is [5, -5]: allowed is a list of whole numbers of 0 or more"),
    ({"versions": {"torch": 2}}, "versions is {'torch': 2}: allowed is a table of names"),
])  # fmt: skip
def test_a_run_that_cannot_be_is_named_and_left_out(tmp_path, change, says):
    (note,) = read(written(tmp_path, runs=(RUN, replace(TWO[1], **change)))).notes
    assert says in note and f"run '{B}' was left out" in note


@pytest.mark.parametrize("change", [
    {"routing": [[0.5, 0.4]]}, {"routing": [[1.0], [0.5, 0.5]]}, {"routing": []}, {"routing": [[1.5, -0.5]]},
    {"state_norm": [-1.0]}, {"state_norm": ["1"]}, {"state_change": 1.0}, {"depth": None},
])  # fmt: skip
def test_diagnostics_that_cannot_be_are_named_and_left_out(tmp_path, change):
    inside = Diagnostics(A, 5, [[0.25, 0.75]], [1.0], [None])
    assert read(written(tmp_path / "good", inside=(inside,))).diagnostics == {A: inside}
    records = read(written(tmp_path / "bad", inside=(replace(inside, **change),)))
    assert not records.diagnostics and f"{next(iter(change))} is" in records.notes[0]


def test_another_schema_and_an_empty_folder_are_named(tmp_path):
    with pytest.raises(UserError, match="holds no finished run"):
        read(tmp_path)
    written(tmp_path, runs=(replace(RUN, schema_version=99),))
    with pytest.raises(UserError, match="schema version 99: allowed is 1"):
        Records(tmp_path)


def test_a_run_is_the_hash_of_all_of_its_experiment():
    assert run_id({"a": 1, "b": [1, 2]}) == run_id({"b": [1, 2], "a": 1}) != run_id({"a": 1, "b": [1, 3]})


def test_a_missing_cell_is_missing_and_never_zero(tmp_path):
    cells = (CELL, replace(CELL, depth=20, loops=8, correct=0), replace(CELL, depth=1, band="train", correct=50))
    shown = tables.extrapolation_table(grid(tmp_path, cells))
    rows = {line.split()[0]: line.split()[1:] for line in shown.splitlines()[2:]}
    assert rows == {"1*": ["100", "-"], "10": ["80.0", "-"], "20": ["-", "0.0"]}


def test_seeds_are_pooled_and_accuracy_is_never_rounded_up_to_all(tmp_path):
    second = replace(CELL, run=B, seed=1, correct=2000, count=2000)
    correct, count = grid(tmp_path, (replace(CELL, correct=1999, count=2000), second), TWO).pooled
    assert (correct.tolist(), count.tolist()) == ([[3999]], [[4000]])
    assert percent(3999, 4000) == "99.9" and percent(4000, 4000) == "100"
    assert points(0.9999) == "99.9" and points(1.0) == "100"


def test_a_rule_that_stops_by_itself_shows_the_loops_it_used(tmp_path):
    act = replace(CELL, loops=None, halting="act", mean_loops=7.25)
    shown = tables.extrapolation_table(grid(tmp_path, (act,))).splitlines()
    assert shown[0].split() == ["depth", "act", "used"] and shown[2].split() == ["10", "80.0", "7.2"]


def test_pandas_reads_them_as_the_readme_says(tmp_path, capsys):
    code = (ROOT / "results/README.md").read_text().split("```python\n")[1].split("```")[0]
    cells = (CELL, replace(CELL, correct=20, seed=1, run=B), replace(CELL, loops=None, halting="act", correct=10))
    held: dict = {}
    exec(code.replace("results/quick", str(written(tmp_path, cells, TWO))), held)
    assert len(held["both"]) == 3 and held["both"]["parameters"].tolist() == [100] * 3
    shares = (held["sums"]["correct"] / held["sums"]["count"]).tolist()
    assert sorted(shares) == [0.2, 0.6] and "0.6" in capsys.readouterr().out


def test_the_best_audited_shortcut_is_found_by_task_sizes_and_depth(tmp_path):
    row = {"task": "t", "task_version": 1, "sizes": {"n": 4}, "depth": 8, "shortcut": "majority", "score": 0.3}
    rows = [row, {**row, "shortcut": "shallow", "score": 0.4}, {**row, "depth": 9, "score": 0.5}]
    path = tmp_path / "audit.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    assert best_audited(path) == {audited_as("t", 1, {"n": 4}, 8): 0.4, audited_as("t", 1, {"n": 4}, 9): 0.5}
    assert audited_as("t", 1, {"n": 5}, 8) not in best_audited(path) and best_audited(tmp_path / "none") == {}


def test_a_folders_own_audit_counts_beside_the_suites(tmp_path):
    path = folder(tmp_path)
    row = {"task": "t", "task_version": 1, "sizes": {"places": 9}, "depth": 20, "shortcut": "shallow", "score": 0.3}
    rows = [row, {**row, "sizes": {"places": 8}, "depth": 40, "score": 0.9}]
    (path / "audit.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    shown = results(path).grids["t", "deep"]
    assert dict(zip(shown.depths.tolist(), shown.floor.tolist(), strict=True)) == {
        depth: 0.3 if depth == 20 else 0.1 for depth in DEPTHS
    }
    assert "shortcut (at most 30.0%) taken out" in " ".join(tables.corrected_line(shown).split())
    for wrong in ('{"task": "t"}\n', "[]\n", "no\n"):
        (path / "audit.jsonl").write_text(wrong)
        held = results(path)
        assert any("audit.jsonl is not what `audit --out` writes" in note for note in held.notes)
        assert not held.grids["t", "deep"].audited


def test_accuracy_is_corrected_for_the_better_of_chance_and_shortcut(tmp_path):
    cells = [replace(CELL, shortcut=0.5, correct=40), replace(CELL, depth=20, correct=5)]
    assert " ".join(tables.corrected_line(grid(tmp_path, cells)).split()) == (
        "with guessing and the best audited shortcut (at most 50.0%) taken out: depth 10 60.0, depth 20 0.0 "
        "(guessing alone: no audit there)"
    )


def test_headlines_stand_on_the_most_loops(tmp_path):
    def cell(depth, loops, correct):
        return replace(CELL, depth=depth, loops=loops, correct=correct)

    falls = [cell(d, n, 50 if n == d else 0) for d in (10, 20) for n in (10, 20, 64)]  # right at one loop count only
    holds = [cell(d, n, 50 if n >= d else 0) for d in (10, 20) for n in (10, 20, 64)]
    assert tables.headline(grid(tmp_path / "falls", falls)).startswith("depth95 0 (0x) at 64 loops")
    told = tables.headline(grid(tmp_path / "holds", holds))
    assert told == "depth95 20+ (4x) at 64 loops\nat depth 20 at 64 loops: 92.9% to 100.0% (95% interval)"
    line = tables.summary(Results(read(written(tmp_path, holds, (replace(RUN, train_max_depth=10),))))).splitlines()[-1]
    assert line.split() == ["t", "m", "0k", "1.0e+09", "100", "at", "10", "100", "at", "20", "20+", "(2x)"]


# a million


def test_the_first_line_comes_at_once_and_without_torch(tmp_path):
    path = folder(tmp_path, tasks=("t", "u"))
    code = (
        "import sys, time; began = time.process_time(); import run_benchmarks; "
        f"run_benchmarks.main(['table', {str(path)!r}]); "
        "print('torch' in sys.modules, 'pandas' in sys.modules, time.process_time() - began)"
    )
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    torch, pandas, seconds = shown.stdout.split()[-3:]
    assert (torch, pandas) == ("False", "False") and float(seconds) < 20


def million(path, salt=0):
    """1,000,000 cells: 10 tasks, 2 models, 10 seeds, 50 depths, 100 loop counts."""
    depths = {d: "train" if d <= 5 else "test" for d in range(1, 51)}
    one = folder(path, tasks=("t",), models=("deep",), seeds=(0,), depths={1: "train"}, loops=(1,), rules=(), salt=salt)
    run, cell = lines(one / "runs.jsonl")[0], lines(one / "cells.jsonl")[0]
    rng = random.Random(salt)
    runs = []
    with open(path / "cells.jsonl", "w") as file:
        for task in range(10):
            for model in range(2):
                for seed in range(10):
                    experiment = {**run["experiment"], "model": f"m{model}", "seed": seed}
                    experiment["task"] = {**experiment["task"], "name": f"t{task}"}
                    name = run_id(experiment)
                    mine = {"task": f"t{task}", "model": f"m{model}", "seed": seed, "run": name}
                    runs.append({**run, **mine, "experiment": experiment})
                    base = {**cell, **mine, "right": None}
                    for depth, band in depths.items():
                        for loops in range(1, 101):
                            line = {**base, "band": band, "depth": depth, "loops": loops, "mean_loops": loops}
                            file.write(json.dumps({**line, "correct": rng.randrange(128)}) + "\n")
    dump(path / "runs.jsonl", runs)
    return path


@pytest.mark.soak
def test_a_million_records_take_seconds_and_little_memory(tmp_path):
    """table under 10 s and 1 GB, compare under 20 s, in seconds of one core: others may be using this machine too."""
    first, second = million(tmp_path / "a"), million(tmp_path / "b", 1)
    for words, limit in ((["table", first], 10), (["compare", first, second], 20)):
        code = (
            "import resource, run_benchmarks, sys; run_benchmarks.main(sys.argv[1:]); "
            "used = resource.getrusage(resource.RUSAGE_SELF); "
            "print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1e6, file=sys.stderr)"
        )
        command = [sys.executable, "-c", code, *map(str, words)]
        shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        seconds, gigabytes = map(float, shown.stderr.split()[-2:])
        print(f"{words[0]}: {seconds:.1f} s, {gigabytes:.2f} GB")
        assert seconds < limit and gigabytes < 1


def test_a_preset_that_asks_a_task_at_two_depths_goes_on_in_its_folder(tmp_path):
    """As `ablation` does: its baselines are asked less deep. Whatever of both is there, the rest may join it."""
    far, near = (e for e in (Experiment(TASKS["mod_chain"](), "rdt"), Experiment(TASKS["mod_chain"](), "transformer")))
    far = replace(far, task=replace(far.task, test_depths=(10, 160)))
    other = replace(near, task=replace(near.task, test_depths=(12, 20)))
    path = folder(tmp_path, tasks=("mod_chain",), models=("rdt", "transformer"), seeds=(0,))

    def holding(*experiments):
        held = {line["model"]: line for line in lines(path / "runs.jsonl")}
        own = [
            {**next(iter(held.values())), "model": e.model, "experiment": e.to_json(), "run": e.run}
            for e in experiments
        ]
        dump(path / "runs.jsonl", own)

    holding(far)
    refuse_mixture([far, near], path)
    with pytest.raises(UserError, match=r"holds mod_chain of other sizes or depths, of rdt \(task.test_depths is"):
        refuse_mixture([near], path)
    holding(far, near)
    for experiment in (far, near):
        refuse_mixture([replace(experiment, seed=1)], path)
    with pytest.raises(UserError, match="holds another experiment of mod_chain with transformer"):
        refuse_mixture([far, other], path)
    with pytest.raises(UserError, match="of other sizes or depths"):
        refuse_mixture([replace(other, model="looped")], path)
