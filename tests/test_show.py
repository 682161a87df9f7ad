"""Tables say what the records hold, whatever is wrong with a record is told, and a million is no matter."""

import csv
import io
import json
import os
import pty
import random
import re
import subprocess
import sys
import termios
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

import run_benchmarks
from evaluate.metrics import depth95
from evaluate.records import pack, read, run_id
from evaluate.show import figures, measures, tables, written
from evaluate.show.grid import Results
from evaluate.show.rows import formatted
from evaluate.show.screen import fitted
from tasks import UserError
from tests.fakes import DEPTHS, dump, folder, lines

ROOT = Path(__file__).parent.parent


def results(path):
    return Results(read(path))


def told(capsys, *arguments):
    """What a verb prints, and its status."""
    status = run_benchmarks.main([str(word) for word in arguments])
    out = capsys.readouterr()
    return status, out.out, out.err


def altered(path, name, change):
    """The lines of a file, each as `change` makes it; None takes it out, a list puts several."""
    made = [change(place, line) for place, line in enumerate(lines(path / name))]
    flat = [one for line in made if line is not None for one in (line if isinstance(line, list) else [line])]
    dump(path / name, flat)
    return path


# what is shown is what the records hold


def test_grid_rows_pool_the_cells_as_a_plain_loop_does(tmp_path):
    path = folder(tmp_path, tasks=("t", "u"), seeds=(0, 1, 2), right=False)
    sums = {}
    for cell in lines(path / "cells.jsonl"):
        key = tuple(cell[name] for name in ("task", "model", "depth", "halting", "loops"))
        correct, count = sums.get(key, (0, 0))
        sums[key] = correct + cell["correct"], count + cell["count"]
    rows = list(measures.grid_rows(results(path)))
    assert len(rows) == len(sums)
    for row in rows:
        correct, count = sums[tuple(row[name] for name in ("task", "model", "depth", "halting", "loops"))]
        assert (row["correct"], row["count"], row["seeds"]) == (correct, count, 3)
        assert (row["low"], row["high"]) == pytest.approx(proportion_confint(correct, count, method="wilson"), abs=1e-6)


def test_what_was_never_audited_is_not_said_to_be(tmp_path):
    grid = results(folder(tmp_path)).grids["t", "deep"]
    assert not grid.audited and "no audit of these questions is on record" in tables.corrected_line(grid)
    audited = results(ROOT / "results/reference/all").grids["khop_facts", "rdt"]
    assert audited.audited and "with guessing and the best audited shortcut (at most" in tables.corrected_line(audited)
    assert "no audit there" not in tables.corrected_line(audited)
    audited.shortcut[-1] = np.nan  # as of a depth that a user has asked beside those of the audit
    assert tables.corrected_line(audited).endswith(" (guessing alone: no audit there)")


def test_a_ratio_is_to_what_a_model_itself_was_trained_on(tmp_path):
    path = folder(tmp_path)
    runs = [{**run, "train_max_depth": 5 if run["model"] == "deep" else 2} for run in lines(path / "runs.jsonl")]
    dump(path / "runs.jsonl", runs)
    (row,) = measures.ratio_rows(results(path))
    assert row["trained"] == "2 or 5" and (row["deep ratio"], row["shallow ratio"]) == (4, 2.5)
    assert "2 or 5" in tables.show(results(path), "simple", ["ratios"], None)


def test_a_legend_breaks_between_words_where_a_part_is_wider_than_a_line():
    wide = " ".join(["khop_facts", *(f"test_depths={d},{d + 1},{d + 2}" for d in range(10, 40, 5)), "asked to 40"])
    told = tables._folded("; ", [wide, "short and whole"])
    assert told.split() == f"{wide}; short and whole".split() and max(map(len, told.splitlines())) <= 80


def test_one_section_named_twice_is_one(tmp_path, capsys):
    words = ["table", str(folder(tmp_path)), "--section", "seeds", "--seeds", "--format", "csv"]
    assert run_benchmarks.main(words) == 0 and capsys.readouterr().out.startswith("task,model,seed,")


def test_large_ratios_are_whole_numbers():
    assert [written.times(value) for value in (None, 4, 16, 123.4, 960.4, 1240)] == [
        "-",
        "4x",
        "16x",
        "123x",
        "960x",
        "1,240x",
    ]


def test_bands_keep_questions_and_seeds_apart(tmp_path):
    path = folder(tmp_path, seeds=(0, 1, 2), models=("deep",), right=False, noise=0.4, truth=lambda *_: 0.5)
    (row,) = [row for row in measures.band_rows(results(path)) if row["band"] == "test"]
    cells = [c for c in lines(path / "cells.jsonl") if c["band"] == "test" and c["loops"] == 64]
    seeds = [sum(c["correct"] for c in cells if c["seed"] == seed) / (3 * 128) for seed in (0, 1, 2)]
    assert row["accuracy"] == pytest.approx(np.mean(seeds), abs=1e-6)
    assert row["median"] == pytest.approx(np.median(seeds), abs=1e-6)
    assert (row["worst"], row["best"]) == pytest.approx((min(seeds), max(seeds)), abs=1e-6)
    ends = proportion_confint(row["correct"], row["count"], method="wilson")
    assert (row["low"], row["high"]) == pytest.approx(ends, abs=1e-6)
    assert row["corrected"] == pytest.approx((row["accuracy"] - 0.1) / 0.9, abs=1e-5)


def test_the_same_questions_asked_of_more_seeds_are_no_new_questions(tmp_path):
    """Seeds that answer the very same questions right widen no evidence: the interval is that of one seed."""
    path = folder(tmp_path, models=("deep",), seeds=(0, 1, 2, 3), truth=lambda *_: 0.5)
    bits = np.random.default_rng(0).random(128) < 0.5
    altered(path, "cells.jsonl", lambda _, cell: {**cell, "correct": int(bits.sum()), "right": pack(bits)})
    (row,) = [row for row in measures.band_rows(results(path)) if row["band"] == "selection"]
    assert (row["low"], row["high"]) == pytest.approx(proportion_confint(bits.sum(), 128, method="wilson"), abs=0.002)


def test_depths_that_are_asked_of_the_same_rows_are_no_other_questions(tmp_path):
    """Who is wrong at one depth and at all deeper ones of the row is wrong once; the same cell has one interval."""
    path = folder(tmp_path, models=("deep",), seeds=(0,), truth=lambda *_: 0.5)
    bits = np.random.default_rng(0).random(128) < 0.5
    altered(path, "cells.jsonl", lambda _, cell: {**cell, "correct": int(bits.sum()), "right": pack(bits)})
    found = results(path)
    (row,) = [row for row in measures.band_rows(found) if row["band"] == "test"]
    assert row["count"] == 3 * 128
    assert (row["low"], row["high"]) == pytest.approx(proportion_confint(bits.sum(), 128, method="wilson"), abs=0.002)
    two = folder(tmp_path / "two", models=("deep",), seeds=(0, 1), truth=lambda *_: 0.6)
    grid = results(two).grids["t", "deep"]
    for cell in measures.grid_rows(results(two)):
        if cell["depth"] == 40 and cell["loops"] == 64:
            told = figures.told(grid, len(grid.depths) - 1, grid.headline())
            assert f"({written.span(cell['low'], cell['high'])})" in told
            assert f"{cell['low']:.1%} to {cell['high']:.1%}" in tables.headline(grid)


def test_what_reaches_nothing_is_not_the_deepest_asked_and_each_model_is_held_to_what_it_was_asked(tmp_path):
    failed = folder(tmp_path / "failed", models=("deep",), seeds=(0,), status="diverged")
    assert tables.summary_rows(results(failed))[0]["depth95"] == "0 (0x)"
    near = {depth: band for depth, band in DEPTHS.items() if depth <= 10}
    path = folder(tmp_path / "two", models=("deep",), seeds=(0,))
    less = folder(tmp_path / "near", models=("other",), seeds=(0,), depths=near, truth=lambda *_: 1.0)
    for name in ("runs.jsonl", "cells.jsonl"):
        dump(path / name, lines(path / name) + lines(less / name))
    (row,) = measures.ratio_rows(results(path))
    assert tables.ratio_of(row, "other") == "10+ (2x)" and tables.ratio_of(row, "deep") == "20 (4x)"


def test_headlines_are_reached_by_half_of_the_seeds_and_failures_count_as_nothing(tmp_path):
    path = folder(tmp_path / "ok", seeds=(0, 1), models=("deep",))
    more = folder(tmp_path / "bad", seeds=(2,), models=("deep",), status="diverged", changes={"train_flops": 1})
    for name in ("runs.jsonl", "cells.jsonl"):
        dump(path / name, lines(path / name) + lines(more / name))
    found = results(path)
    (row,) = measures.measure_rows(found)
    assert row["depth95_seeds"] == [20, 20, 0] and row["depth95"] == 20 and row["failed"] == 1
    assert {one["seeds"] for one in measures.band_rows(found)} == {3}, "the one that failed is one of them"
    assert tables.BANDS.columns["corrected"]({"corrected": 0.99976}) == "99.9"
    assert "0.999" in formatted([{"a": 0.9996}], ["a"]), "no share is rounded up to all"
    assert row["train_flops"] == found.grids["t", "deep"].runs[0]["train_flops"] > 1
    assert (row["depth95_low"], row["depth95_high"]) == (0, 20) and row["ratio"] == 4.0
    (suite,) = measures.suite_rows(found)
    assert suite["score"] == pytest.approx(np.expm1(np.mean(np.log1p([4, 4, 0]))), abs=1e-5)
    assert any("seed 2 diverged; it counts as depth95 0" in note for note in found.notes)
    assert "no answers from seeds 2 (diverged)" in tables.show(found)


def test_what_is_told_of_seeds_half_of_which_fall_short_is_the_worse_half(tmp_path, capsys):
    """In every table, as no more than half reach further."""
    far = lambda model, depth, loops: 0.999 if depth <= 40 else 0.1  # noqa: E731
    near = lambda model, depth, loops: 0.999 if depth <= 8 else 0.1  # noqa: E731
    path = folder(tmp_path / "far", seeds=(0, 1), models=("deep",), truth=far)
    less = folder(tmp_path / "near", seeds=(2, 3), models=("deep",), truth=near)
    for name in ("runs.jsonl", "cells.jsonl"):
        dump(path / name, lines(path / name) + lines(less / name))
    found = results(path)
    (row,), (of_task,) = measures.measure_rows(found), measures.ratio_rows(found)
    assert sorted(row["depth95_seeds"]) == [8, 8, 40, 40]
    assert row["depth95"] == of_task["deep"] == 8 and row["rules"][0]["depth95"] == 8
    grid = found.grids["t", "deep"]
    assert written.how_deep(grid, grid.headline()) == "8 (1.6x)"
    assert tables.summary_rows(found)[0]["depth95"] == "8 (1.6x)"


def test_a_single_run_goes_as_deep_as_other_questions_would_let_it(tmp_path):
    """Of 128 questions a hair above 95% and of others a hair below: its depth95 is told with a range."""
    path = folder(tmp_path, seeds=(0,), models=("deep",), truth=lambda model, depth, loops: 0.96 if depth > 5 else 1.0)
    (row,) = measures.measure_rows(results(path))
    assert row["depth95_low"] < row["depth95_high"]


def test_a_seeds_row_has_each_band_for_itself(tmp_path):
    path = folder(
        tmp_path, seeds=(0, 1), models=("deep",), truth=lambda model, depth, loops: min(1.0, 0.9 + depth / 100)
    )
    held = lines(path / "cells.jsonl")
    for row in measures.seed_rows(results(path)):
        for band in ("train", "selection", "test"):
            of = [c for c in held if (c["seed"], c["band"], c["loops"]) == (row["seed"], band, 64)]
            share = sum(c["correct"] for c in of) / sum(c["count"] for c in of)
            assert row[band] == pytest.approx(share, abs=1e-4), band


def test_what_a_shortcut_scores_is_taken_out_of_a_band(tmp_path):
    path = folder(tmp_path, seeds=(0,), models=("deep",), truth=lambda *_: 0.8)
    (plain,) = [row for row in measures.band_rows(results(path)) if row["band"] == "selection"]
    altered(path, "cells.jsonl", lambda _, cell: {**cell, "shortcut": 0.6})
    (row,) = [row for row in measures.band_rows(results(path)) if row["band"] == "selection"]
    assert row["corrected"] == pytest.approx((row["accuracy"] - 0.6) / 0.4, abs=1e-3) != plain["corrected"]
    assert plain["corrected"] == pytest.approx((row["accuracy"] - 0.1) / 0.9, abs=1e-3)


def test_a_run_that_ran_out_of_time_keeps_its_cells_and_counts_as_nothing(tmp_path):
    (row,) = measures.measure_rows(results(folder(tmp_path, models=("deep",), changes={"status": "timeout"})))
    assert row["depth95"] == 0 and row["failed"] == 2
    assert len(list(measures.grid_rows(results(tmp_path)))) == 35


def test_a_failed_run_counts_as_nothing_right_in_the_spread_over_seeds(tmp_path):
    """Over questions stand the runs that came to an end."""
    folder(tmp_path, models=("deep",), seeds=(0, 1), depths={1: "train"}, truth=lambda *_: 1.0)
    more = folder(tmp_path / "bad", models=("deep",), seeds=(2,), status="diverged")
    for name in ("runs.jsonl", "cells.jsonl"):
        with open(tmp_path / name, "a") as file:
            file.write((more / name).read_text())
    (row,) = measures.band_rows(results(tmp_path))
    assert (row["accuracy"], row["seeds"], row["failed"]) == (1.0, 3, 1)
    assert (row["worst"], row["median"], row["best"]) == (0.0, 1.0, 1.0) and 0 < row["iqm"] < 1


@pytest.mark.parametrize("status", ["diverged", "timeout"])
def test_a_folder_of_failures_has_a_table_too(tmp_path, status, capsys):
    path = folder(tmp_path, status=status)
    code, out, _ = told(capsys, "table", path)
    assert code == 0 and f"seed 0 {status}" in out and "0 (0x)" in out


def test_the_oracle_never_stands_behind_a_headline(tmp_path, capsys):
    def truth(model, depth, loops):
        return 0.99 if loops is None else 0.2

    path = folder(tmp_path, models=("deep",), truth=truth, rules=("oracle",))
    (row,) = measures.measure_rows(results(path))
    assert row["depth95"] == 0 and row["rules"] == [] and row["asked"] == "at 64 loops"
    code, _, err = told(capsys, "table", path, "--rule", "oracle")
    assert code == 2 and "cannot be deployed" in err
    only = folder(tmp_path / "only", models=("deep",), truth=truth, rules=("oracle",), loops=())
    assert measures.measure_rows(results(only))[0]["depth95"] == 0


def test_a_rule_that_stops_by_itself_stands_beside_and_is_chosen_only_when_asked(tmp_path):
    def truth(model, depth, loops):
        return 0.99 if depth <= (40 if loops is None else 10) else 0.1

    path = folder(tmp_path, models=("deep",), truth=truth, rules=("settled",))
    found = results(path)
    (row,), (chosen,) = measures.measure_rows(found), measures.measure_rows(found, "settled")
    assert row["depth95"] == 10 and row["rules"][0]["rule"] == "settled" and row["rules"][0]["depth95"] == 40
    assert chosen["depth95"] == 40 and chosen["asked"] == "stopping by settled"


def test_overthinking_and_halting_cost_are_means_over_test_depths(tmp_path):
    def truth(model, depth, loops):
        return 1.0 if loops == 4 or loops is None else 0.0

    path = folder(tmp_path, models=("deep",), seeds=(0,), truth=truth)
    (row,) = measures.measure_rows(results(path))
    assert row["overthinking"] == 1.0
    assert row["rules"][0]["halting_cost"] == pytest.approx(np.mean([12 / 4, 22 / 4, 42 / 4]))


def test_a_run_that_never_came_to_the_task_itself_says_so(tmp_path):
    few = folder(tmp_path / "few", changes={"stage_steps": [6, 4, 0]})
    old = folder(tmp_path / "old", changes={"stage_steps": None})
    one = folder(tmp_path / "one", changes={"stage_steps": [10]})
    for path, told in ((few, "2 of 3"), (old, "-"), (one, "-")):
        *_, line = [row for row in tables.show(results(path), sections=["seeds"]).splitlines() if " shallow " in row]
        assert f"  {told}  " in line
    assert json.loads(tables.show(results(few), "json", ["seeds"]))["seeds"][0]["stage_steps"] == [6, 4, 0]


def test_ratios_put_every_model_beside_every_task(tmp_path):
    path = folder(tmp_path / "a", tasks=("t",), models=("deep", "shallow"), seeds=(0, 1))
    more = folder(tmp_path / "b", tasks=("u",), models=("deep",), seeds=(0, 1, 2), truth=lambda *_: 0.999)
    short = folder(tmp_path / "c", tasks=("u",), models=("deep",), seeds=(3,), truth=lambda _, depth, __: depth < 9)
    for name in ("runs.jsonl", "cells.jsonl"):
        dump(path / name, [line for one in (path, more, short) for line in lines(one / name)])
    t, u = measures.ratio_rows(results(path))
    assert (t["task"], t["trained"], t["deepest"]) == ("t", 5, 40)
    assert (t["deep"], t["deep ratio"], t["shallow"], t["shallow ratio"]) == (20, 4.0, 5, 1.0)
    assert (u["deep"], u["deep worst"], u["deep best"], u["shallow"]) == (40, 8, 40, None)
    even = folder(tmp_path / "d", tasks=("t",), models=("deep",), seeds=(0, 1), truth=lambda *_: 0.999)
    low = folder(tmp_path / "e", tasks=("t",), models=("deep",), seeds=(2, 3), truth=lambda _, depth, __: depth < 9)
    for name in ("runs.jsonl", "cells.jsonl"):
        dump(even / name, lines(even / name) + lines(low / name))
    (half,) = measures.ratio_rows(results(even))
    assert (half["deep"], half["deep worst"], half["deep best"]) == (8, 8, 40)  # 40 by half of the seeds, no more
    text = tables.show(results(path), sections=["ratios"])
    assert "20 (4x)" in text and "5 (1x)" in text and "40+ (8x), 8 to 40" in text
    assert text.split(" u ")[1].splitlines()[0].split()[-1] == "-"


def test_of_many_models_each_has_a_line_and_each_task_a_column(tmp_path):
    def text(count, tasks=("t", "u")):
        names = tuple(f"model_{i}" for i in range(count))
        path = folder(tmp_path / f"{count} of {len(tasks)}", tasks=tasks, models=names)
        return tables.show(results(path), sections=["ratios"]).splitlines()

    few, many = text(tables.SIDE_BY_SIDE), text(tables.SIDE_BY_SIDE + 1)
    heads = [re.split(r" {2,}", line.strip()) for line in (few[3], many[3])]
    assert heads == [["task", "trained to", "asked to", *(f"model_{i}" for i in range(6))], ["model", "t", "u"]]
    (of_t, of_u) = (line.split()[3:] for line in few if line.split()[:1] in (["t"], ["u"]))
    shown = {line.split()[0]: line.split()[1:] for line in many if "model_" in line}
    assert list(shown) == [f"model_{i}" for i in range(7)]
    for i in range(tables.SIDE_BY_SIDE):
        assert shown[f"model_{i}"] == of_t[2 * i : 2 * i + 2] + of_u[2 * i : 2 * i + 2]
    assert many[-1] == "t is trained to 5 and asked to 40; u is trained to 5 and asked to 40."
    as_many = text(tables.SIDE_BY_SIDE + 1, tuple("tuvwxyz"))
    assert as_many[3].split()[0] == "task", "no more models than tasks"


def test_suite_scores_say_what_they_lack(tmp_path):
    path = folder(tmp_path / "a", tasks=("t", "u"), models=("deep",))
    more = folder(tmp_path / "b", tasks=("t",), models=("shallow",))
    for name in ("runs.jsonl", "cells.jsonl"):
        dump(path / name, lines(path / name) + lines(more / name))
    rows = {row["model"]: row for row in measures.suite_rows(results(path))}
    assert rows["deep"]["missing"] == [] and rows["shallow"]["missing"] == ["u"]


# formats


def test_every_format_says_the_same(tmp_path, capsys):
    path = folder(tmp_path)
    plain = json.loads(told(capsys, "table", path, "--format", "json")[1])
    assert set(plain) == {"notes", *tables.SECTIONS}
    read_back = list(csv.DictReader(io.StringIO(told(capsys, "table", path, "--format", "csv")[1])))
    assert [float(row["accuracy"]) for row in read_back] == [row["accuracy"] for row in plain["bands"]]
    grid = csv.DictReader(io.StringIO(told(capsys, "table", path, "--format", "csv", "--section", "grid")[1]))
    assert [int(row["correct"]) for row in grid] == [row["correct"] for row in plain["grid"]]
    for style, mark in (("github", "|---"), ("latex", "\\toprule"), ("plain", "depth95"), ("simple", "-----")):
        code, out, _ = told(capsys, "table", path, "--format", style)
        assert code == 0 and mark in out
    tex = told(capsys, "table", path, "--format", "latex")[1]
    outside = [line for part in tex.split("\\begin{tabular}") for line in part.split("\\end{tabular}")[-1].splitlines()]
    assert all(line.startswith("%") or not line.strip() for line in outside)
    with open(path / "cells.jsonl", "a") as file:
        file.write("cut")
    for style in ("csv", "json", "simple", "latex"):
        _, out, err = told(capsys, "table", path, "--format", style)
        assert "is not whole and was left out" in (err if style == "csv" else out)
    _, out, _ = told(capsys, "table", path, "--seeds", "--tasks", "t", "--models", "deep")
    assert all(run["run"] in out for run in plain["seeds"] if run["model"] == "deep")
    _, out, _ = told(capsys, "table", path, "--seeds", "--section", "seeds,suite,seeds")
    assert out.count("every seed, accuracy") == out.count("suite score") == 1


@pytest.mark.parametrize(
    "words,says",
    [
        (["--format", "lates"], "unknown format 'lates': did you mean 'latex'?"),
        (["--section", "band"], "unknown section 'band': did you mean 'bands'?"),
        (["--tasks", "tt"], "unknown task 'tt'"),
        (["--models", "depe"], "unknown model 'depe': did you mean 'deep'?"),
        (["--rule", "acd"], "unknown rule 'acd': did you mean 'act'?"),
        (["--format", "csv", "--section", "grid,bands"], "csv holds one section"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, capsys, words, says):
    code, _, err = told(capsys, "table", folder(tmp_path), *words)
    assert code == 2 and says in err and err.count("\n") == 1


def test_tasks_and_models_that_no_run_has_together_are_told(tmp_path, capsys):
    path = folder(tmp_path / "x", tasks=("t",), models=("deep",))
    for name in ("runs.jsonl", "cells.jsonl"):
        more = lines(folder(tmp_path / "y", tasks=("u",), models=("shallow",)) / name)
        dump(path / name, lines(path / name) + more)
    for verb in ("table", "report"):
        code, _, err = told(capsys, verb, path, "--tasks", "u", "--models", "deep")
        assert code == 2 and f"{str(path)!r} holds no run of deep on u" in err and err.count("\n") == 1
    code, _, err = told(capsys, "table", Path(__file__))
    assert code == 2 and "test_show.py' is no folder: give a folder" in err


def test_a_terminal_that_lacks_a_letter_is_told_its_number(tmp_path):
    path = folder(tmp_path, models=("модель",), seeds=(0,))
    shown = subprocess.run(
        [sys.executable, "run_benchmarks.py", "table", str(path), "--section", "summary"], cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": "latin-1"}, capture_output=True, text=True,
    )  # fmt: skip
    assert shown.returncode == 0 and "\\u043c\\u043e" in shown.stdout and not shown.stderr


# bad input: one line each, nothing guessed, a missing cell never zero


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


# in a terminal


@pytest.mark.parametrize("seed", range(20))
def test_a_wide_table_goes_on_below_and_nothing_is_lost(seed):
    rng = random.Random(seed)
    heads = ["task", "depth", *(f"c{i}" * rng.randint(1, 4) for i in range(rng.randint(2, 30))), "used"]
    rows = [[f"t{i}", str(i), *(" of ".join("9" * rng.randint(1, 6) for _ in range(2)) for _ in heads[2:])]
            for i in range(rng.randint(1, 6))]  # fmt: skip
    width = rng.randint(50, 100)
    text = "above it\n" + tables.lined(heads, rows, "simple") + "\nand below"
    blocks = fitted(text, width).removeprefix("above it\n").removesuffix("\nand below").split("\n\n")
    found = [[], *([] for _ in rows)]
    for block in blocks:
        head, ruler, *body = block.split("\n")
        assert all(len(line) <= width for line in [head, ruler, *body]) and len(body) == len(rows)
        spans = [found.span() for found in re.finditer("-+", ruler)]
        for place, line in enumerate([head, *body]):
            cells = [line[a:b].strip() for a, b in spans]
            assert cells[:2] == [heads, *rows][place][:2], "each part names its rows"
            found[place] += cells[2:]
    assert found == [line[2:] for line in [heads, *rows]]
    assert blocks[-1].split("\n")[0].split()[-2:] == heads[-2:], "what was used stands beside the rule that used it"


@pytest.mark.parametrize("text", [
    "no -- here\n\nat all",
    "a  b\n-  -\n1  2\nfits",
    "| a | b |\n|---|---|\n| 1 | 2 |",
    "---\n-----  ------",
    "",
])  # fmt: skip
def test_what_is_no_wide_table_stays_as_it_is(text):
    assert fitted(text, 10) == text


def test_long_lines_go_on_under_what_they_say_and_commands_stay_whole():
    told = fitted(
        "  name  what it is and more\nsome words that go on\n  python run_benchmarks.py table results/quick", 20
    )
    assert told.splitlines() == [
        "  name  what it is",
        "        and more",
        "some words that go",
        "on",
        "  python run_benchmarks.py table results/quick",
    ]


def test_what_stands_below_a_table_is_no_row_of_it():
    heads = ["model" * 14, "score", "interval", "lacks"]
    text = tables.lined(heads, [["m", "9x", "8 to 9", "-"]], "simple") + "\nscore: a mean over tasks of what each\n"
    blocks = fitted(text, 85).split("\n\n")
    assert len(blocks) > 1 and "score: a mean" not in "".join(blocks[:-1]) and blocks[-1].count("score: a mean") == 1


def test_a_row_whose_last_cell_is_empty_is_folded_with_the_others():
    rows = [["d1", "a" * 30, "b" * 30, "*"], ["d2", "c" * 30, "d" * 30, ""]]
    text = tables.lined(["depth", "first", "second", "at 640"], rows, "simple")
    assert len({len(line) for line in text.splitlines()}) > 1, "as it is printed"
    for block in fitted(text, 50).split("\n\n"):
        assert [line.split()[0] for line in block.splitlines()] == ["depth", "-----", "d1", "d2"]


def test_a_table_that_folding_cannot_help_stays_whole():
    wide = tables.lined(["task", "score", "size"], [["t" * 90, "1", "2"]], "simple")
    assert fitted(wide, 80) == wide
    ledger = "claim  measured  seeds\n-----  --------  -----\n1 it   90% of    3    \n       them           "
    assert fitted(ledger, 14) == ledger


def parts(text):
    """Of each part of the folded tables: its heads, and its rows as cells."""
    for block in text.split("\n\n"):
        written = block.splitlines()
        for at, line in enumerate(written):
            if line.startswith("---"):
                spans = [found.span() for found in re.finditer("-+", line)]
                rows = [below for below in written[at + 1 :] if len(below) == len(line)]
                yield [[row[a:b].strip() for a, b in spans] for row in [written[at - 1], *rows]]


@pytest.mark.parametrize("section, width", [("ratios", 105), ("seeds", 130)])
def test_every_part_says_of_what_each_row_is(section, width):
    text = tables.show(results(ROOT / "results/reference/rates"), sections=[section])
    found = list(parts(fitted(text, width)))
    assert len(found) > 1 or section == "ratios"
    for heads, *rows in found:
        of = [at for at, head in enumerate(heads) if head in ("task", "model", "seed")]
        named = [tuple(row[at] for at in of) for row in rows]
        assert rows and len(named) == len(set(named)), "no two rows have the same names"


def test_what_belongs_together_stays_together():
    text = tables.show(results(ROOT / "results/reference/quick"), sections=["bands", "measures"])
    for width in range(60, 120):
        heads = [heads for heads, *_ in parts(fitted(text, width))]
        for left, right in (("accuracy", "95% interval"), ("median", "IQM"), ("depth95", "range")):
            (held,) = (one for one in heads if left in one)
            assert held[held.index(left) + 1 :][:1] == [right]


def test_a_rule_that_falls_short_is_not_told_what_it_saves():
    rules = [
        {"rule": "act", "depth95": 3, "halting_cost": 0.4},
        {"rule": "settled", "depth95": 16, "halting_cost": 1.1},
    ]
    row = {"depth95": 16, "rules": rules}
    assert [tables.by_rule(row, rule) for rule in ("act", "settled", "graves")] == ["3", "16 for 1.1x", "-"]


def test_every_section_fits_a_terminal_of_eighty_columns():
    for name in ("quick", "all"):
        text = tables.show(results(ROOT / "results/reference" / name), sections=tables.SECTIONS)
        assert max(map(len, text.splitlines())) > 100
        assert [line for line in fitted(text, 80).splitlines() if len(line) > 80] == []
        assert all(len(line) <= 80 for line in text.splitlines() if "  " not in line), "no legend needs it"


def in_a_terminal(columns, *words):
    """What a verb shows on the committed records, in a terminal of so many columns."""
    there, here = pty.openpty()
    termios.tcsetwinsize(here, (24, columns))
    bare = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    child = subprocess.Popen([sys.executable, "run_benchmarks.py", *words], cwd=ROOT, stdout=here, env=bare)
    os.close(here)
    shown = b""
    with suppress(OSError):  # the end of a terminal
        while part := os.read(there, 4096):
            shown += part
    assert child.wait() == 0
    return shown.decode().replace("\r\n", "\n")


def piped(*words):
    run = subprocess.run(
        [sys.executable, "run_benchmarks.py", *words], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return run.stdout


def test_a_terminal_is_asked_for_its_width_and_a_file_is_not():
    words = ["table", "results/reference/quick", "--section", "grid,summary"]
    for shown, fits in ((in_a_terminal(60, *words), True), (piped(*words), False)):
        ruled = [line for line in shown.splitlines() if line.startswith("---")]
        assert ruled and (max(map(len, ruled)) <= 60) is fits


@pytest.mark.parametrize("style", ["github", "plain", "latex", "csv", "json"])
def test_what_is_not_for_people_is_the_same_in_a_terminal(style):
    words = ["table", "results/reference/quick", "--section", "bands", "--format", style]
    assert in_a_terminal(40, *words) == piped(*words)


@pytest.mark.parametrize("style", ["github", "json"])
def test_so_is_a_ledger(style):
    words = ["claims", "--show", "results/reference/claims", "--format", style]
    assert in_a_terminal(40, *words) == piped(*words)
