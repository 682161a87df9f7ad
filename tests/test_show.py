"""Tables say what the records hold, in every format."""

import csv
import io
import json
import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

import run_benchmarks
from evaluate.records import audited_as, pack, shortcuts
from evaluate.show import figures, measures, tables, upshot, written
from evaluate.show.rows import formatted
from tasks import TASKS
from tests.fakes import DEPTHS, altered, dump, folder, lines, results, told

ROOT = Path(__file__).parent.parent


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
    for (task, _), grid in results(ROOT / "results/reference/all").grids.items():
        version, sizes = grid.runs[0]["task_version"], TASKS[task]().written_sizes
        tested = grid.depths[np.array(grid.bands) == "test"].tolist()
        since = [shortcuts()[audited_as(task, version, sizes, depth)] for depth in tested]
        assert grid.shortcut[-len(tested) :].tolist() == since, "as it is audited now"
    audited.shortcut[-1] = np.nan  # as of a depth that a user has asked beside those of the audit
    assert tables.corrected_line(audited).endswith(" (guessing alone: no audit there)")


def test_a_ratio_is_to_what_a_model_itself_was_trained_on(tmp_path):
    path = folder(tmp_path)
    runs = [{**run, "train_max_depth": 5 if run["model"] == "deep" else 2} for run in lines(path / "runs.jsonl")]
    dump(path / "runs.jsonl", runs)
    (row,) = measures.ratio_rows(results(path))
    assert row["trained"] == "2 or 5" and (row["deep ratio"], row["shallow ratio"]) == (4, 2.5)
    assert "2 or 5" in tables.show(results(path), "simple", ["ratios"], None)


def test_models_that_were_asked_to_different_depths_are_told(tmp_path):
    path = folder(tmp_path, models=("deep", "shallow"), seeds=(0,))
    assert not [note for note in results(path).notes if "different depths" in note]
    altered(path, "cells.jsonl", lambda _, cell: None if cell["model"] == "shallow" and cell["depth"] > 8 else cell)
    note = (
        f"t: asked to different depths, shallow to 8; deep to {max(DEPTHS)}: who was asked less deep can go no deeper"
    )
    assert [told for told in results(path).notes if "different depths" in told] == [note]
    alone = results(path)
    alone.only([], ["shallow"])
    assert not [told for told in alone.notes if "different depths" in told]


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
    for path, says in ((few, "2 of 3"), (old, "-"), (one, "-")):
        *_, line = [row for row in tables.show(results(path), sections=["seeds"]).splitlines() if " shallow " in row]
        assert f"  {says}  " in line
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


def test_seeds_that_are_alike_leave_room_for_other_questions_in_a_suite_score(tmp_path):
    def at_122(at, cell):
        return {**cell, "correct": 122, "right": None} if cell["depth"] == 40 else cell

    path = altered(folder(tmp_path, models=("deep",), truth=lambda *_: 1.0), "cells.jsonl", at_122)
    (row,) = measures.suite_rows(results(path))
    assert row["score"] == row["most"] == row["high"] == 8.0 and row["over"] == "questions"
    assert row["low"] < 6, "half of other sets of questions end either seed at 20, 4 times as deep as trained"


def test_two_models_that_are_alike_to_the_question_may_still_differ_by_others(tmp_path):
    """What other questions would make of each is drawn apart, or a lead of nothing would be known for sure."""

    def at_122(at, cell):
        return {**cell, "correct": 122, "right": None} if cell["depth"] == 40 else cell

    path = altered(folder(tmp_path, models=("deep", "also"), seeds=(0,), truth=lambda *_: 1.0), "cells.jsonl", at_122)
    lead, low, high = measures.suite_leads(results(path), "deep", "also")
    assert lead == 1.0 and low < 0.7 and high > 1.4


def test_the_fewest_questions_of_a_cell_are_told_as_the_fewest(tmp_path):
    even = results(folder(tmp_path / "even"))
    assert "; 128 questions a cell;" in tables.show(even, sections=["grid"])
    path = altered(folder(tmp_path / "more"), "cells.jsonl", lambda at, cell: {**cell, "count": 200, "right": None}
                   if cell["depth"] == 1 else cell)  # fmt: skip
    assert "; 128 or more questions a cell;" in tables.show(results(path), sections=["grid"])
    assert "; 128 or more questions a cell" in upshot.upshot(results(path)).tiles[-1][2]


def test_a_plus_says_of_every_seed_that_it_may_go_deeper(tmp_path):
    path = folder(tmp_path, models=("deep",), seeds=(0, 1), truth=lambda seed, *_: 1.0)
    ends = altered(path, "cells.jsonl", lambda at, cell: {**cell, "correct": 0, "right": None}
                   if cell["seed"] == 1 and cell["depth"] == 40 else cell)  # fmt: skip
    rows = [line.split() for line in tables.show(results(ends), sections=["seeds"]).splitlines() if " deep " in line]
    assert [row[7] for row in rows] == ["40+", "20"]


def test_a_csv_without_a_row_is_refused(tmp_path, capsys):
    path = folder(tmp_path, status="diverged")
    code, out, err = told(capsys, "table", path, "--format", "csv")
    assert (code, out) == (2, "") and err.endswith("has an answer: nothing to write as csv\n")


def test_a_closed_output_is_no_crash(tmp_path):
    small = f"--preset smoke --tasks mod_chain --models gru,transformer --train.steps 2 --out {tmp_path}"
    for verb, closed in (("list", ">&-"), ("list", "2>&-"), ("list", ">&- 2>&-"), (f"run {small} --workers 2", "2>&-")):
        line = f"{sys.executable} run_benchmarks.py {verb} {closed}"
        assert subprocess.run(line, shell=True, cwd=ROOT, capture_output=True).returncode == 0, closed


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
    "words",
    [
        ["table", "results/reference/quick"],
        ["compare", "results/reference/quick", "--models", "rdt,gru"],
        ["claims", "--show", "results/reference/claims"],
    ],
)
def test_what_is_said_beside_a_table_is_no_row_of_it_and_no_table_of_another_kind(words, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    written = told(capsys, *words, "--format", "github")[1].splitlines()
    for above, below in pairwise(written):
        assert not above or not below or above.startswith("|") is below.startswith("|"), (above, below)
    tex = told(capsys, *words, "--format", "latex")[1]
    assert tex.count("\\begin{tabular}") == tex.count("\\toprule") > 0 and "\\hline" not in tex


@pytest.mark.parametrize(
    "words,says",
    [
        (["--format", "lates"], "unknown format 'lates': did you mean 'latex'?"),
        (["--section", "band"], "unknown section 'band': did you mean 'bands'?"),
        (["--tasks", "tt"], "unknown task 'tt'"),
        (["--tasks", "mod_chain"], "mod_chain is not in "),
        (["--tasks", ","], "--tasks is ',': allowed are names"),
        (["--rule", "65"], "unknown rule '65': allowed: "),
        (["--models", "depe"], "unknown model 'depe': did you mean 'deep'?"),
        (["--rule", "acd"], "unknown rule 'acd': did you mean 'act'?"),
        (["--format", "csv", "--section", "grid,bands"], "csv holds one section"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, capsys, words, says):
    code, out, err = told(capsys, "table", folder(tmp_path), *words)
    assert (code, out) == (2, "") and says in err and err.count("\n") == 1


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
