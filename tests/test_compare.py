"""Comparisons: paired where questions are the same, refused where they cannot be, silent where nothing differs."""

import base64
import csv
import io
import json

import numpy as np
import pytest
from scipy.stats import ttest_ind
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep

from evaluate.records import read, run_id
from evaluate.show import compare, differences
from evaluate.show.grid import Results
from tests.fakes import dump, folder, lines, told


def loaded(*paths):
    return [Results(read(path)) for path in paths]


def rows(*paths, models=(), force=False):
    found = compare.differences(compare.sides(loaded(*paths), models), force)
    return list(differences.rows(found, compare.adjusted(found)))


def bits(cell):
    packed = np.frombuffer(base64.b64decode(cell["right"]), np.uint8)
    return np.unpackbits(packed)[: cell["count"]].astype(bool)


def cells_of(path):
    names = ("task", "model", "seed", "depth", "halting", "loops")
    return {tuple(cell[name] for name in names): cell for cell in lines(path / "cells.jsonl")}


def test_one_seed_with_each_answer_kept_is_mcnemars_exact_test(tmp_path):
    a = folder(tmp_path / "a", seeds=(0,), models=("deep",), truth=lambda *_: 0.6)
    b = folder(tmp_path / "b", seeds=(0,), models=("deep",), truth=lambda *_: 0.7, salt=1)
    first, second = cells_of(a), cells_of(b)
    compared = rows(a, b)
    assert len(compared) == len(first) == 35 and all(row["paired"] for row in compared)
    theirs = []
    for row in compared:
        halting, loops = ("act", None) if row["first_asked"] == "act" else ("fixed", int(row["first_asked"]))
        key = ("t", "deep", 0, row["depth"], halting, loops)
        one, two = bits(first[key]), bits(second[key])
        theirs.append(mcnemar([[0, (one & ~two).sum()], [(two & ~one).sum(), 0]], exact=True).pvalue)
        assert row["p_questions"] == pytest.approx(theirs[-1], abs=1e-5)
        assert row["difference"] == pytest.approx(two.mean() - one.mean(), abs=1e-5)
        assert row["low"] < row["difference"] < row["high"] and row["p_seeds"] is None
    ours = [row["false_discovery_rate"] for row in compared]
    assert ours == pytest.approx(multipletests(theirs, method="fdr_bh")[1], abs=1e-5)


def test_without_the_answers_it_is_a_test_of_unrelated_questions(tmp_path):
    a = folder(tmp_path / "a", seeds=(0,), models=("deep",), truth=lambda *_: 0.6, right=False)
    b = folder(tmp_path / "b", seeds=(0,), models=("deep",), truth=lambda *_: 0.7, right=False, salt=1)
    first, second = cells_of(a), cells_of(b)
    for row in rows(a, b):
        assert not row["paired"]
        if row["first_asked"] == "64":
            one, two = (cells["t", "deep", 0, row["depth"], "fixed", 64]["correct"] for cells in (first, second))
            ends = confint_proportions_2indep(two, 128, one, 128, method="newcomb", compare="diff")
            assert (row["low"], row["high"]) == pytest.approx(ends, abs=1e-5)


def renamed(path, run, change):
    """The line of a run with its experiment changed, and its cells."""
    new = {**run, "experiment": json.loads(json.dumps(run["experiment"]))}
    change(new["experiment"])
    new |= {"run": run_id(new["experiment"]), "seed": new["experiment"]["seed"]}
    own = [cell for cell in lines(path / "cells.jsonl") if cell["run"] == run["run"]]
    return new, [{**cell, "run": new["run"], "seed": new["seed"]} for cell in own]


def asked_others(path):
    """As if these runs had been asked other questions."""
    made = [renamed(path, run, lambda e: e["evaluate"].update(seed=9)) for run in lines(path / "runs.jsonl")]
    dump(path / "runs.jsonl", [run for run, _ in made])
    dump(path / "cells.jsonl", [cell for _, cells in made for cell in cells])
    return path


@pytest.mark.parametrize("paired", [True, False])
def test_seeds_that_answer_alike_are_worth_no_more_than_one(tmp_path, paired):
    """Against one seed of another model: question by question, and as if asked others."""
    a = folder(tmp_path / "a", seeds=(0,), models=("deep",), truth=lambda *_: 0.3)
    b = folder(tmp_path / "b", seeds=(0,), models=("deep",), truth=lambda *_: 0.4, salt=1)
    many, (run,) = tmp_path / "many", lines(b / "runs.jsonl")
    many.mkdir()
    made = [renamed(b, run, lambda e, seed=seed: e.update(seed=seed)) for seed in range(5)]
    dump(many / "runs.jsonl", [run for run, _ in made])
    dump(many / "cells.jsonl", [cell for _, cells in made for cell in cells])
    if not paired:
        asked_others(a)
    for once, five in zip(rows(a, b), rows(a, many), strict=True):
        assert once["paired"] == five["paired"] == paired and five["p_seeds"] is None
        assert (once["low"], once["high"]) == pytest.approx((five["low"], five["high"]), abs=2e-3)
        assert once["p_questions"] == pytest.approx(five["p_questions"], abs=0.15)
    said = compare.show(compare.sides(loaded(a, many), ()))
    assert "one seed of a: of these trained models only" in " ".join(said.split())


def test_a_rule_that_none_stands_under_is_refused(tmp_path, capsys):
    paths = [folder(tmp_path / name, seeds=(0,), salt=salt) for salt, name in enumerate("ab")]
    for rule, says in (("oracle", "cannot be deployed"), ("atc", "unknown rule 'atc': did you mean 'act'?")):
        status, _, why = told(capsys, "compare", *paths, "--rule", rule)
        assert status == 2 and says in why


@pytest.mark.parametrize("change", ["count", "questions", "one lacks them"])
def test_only_the_same_questions_are_paired(tmp_path, change):
    a = folder(tmp_path / "a", models=("deep",))
    other = {"count": {"count": 64}, "one lacks them": {"right": False}}.get(change, {})
    b = folder(tmp_path / "b", models=("deep",), salt=1, **other)
    if change == "questions":
        asked_others(b)
    assert not any(row["paired"] for row in rows(a, b))
    assert all(row["paired"] for row in rows(a, folder(tmp_path / "c", models=("deep",), salt=2)))


def test_several_seeds_have_to_agree(tmp_path):
    """One seed of five that is far off is a difference over questions, and none over seeds."""

    def lucky(seeds, salt):
        path = folder(tmp_path / str(salt), models=("deep",), seeds=(0, 1, 2, 3), truth=lambda *_: 0.3, salt=salt)
        more = folder(tmp_path / f"{salt}x", models=("deep",), seeds=(4,), truth=lambda *_: seeds, salt=salt)
        for name in ("runs.jsonl", "cells.jsonl"):
            dump(path / name, lines(path / name) + lines(more / name))
        return path

    once = rows(lucky(0.3, 1), lucky(1.0, 2))
    assert np.median([row["p_questions"] for row in once]) < 1e-4 and not any(row["significant"] for row in once)
    always = rows(
        lucky(0.3, 3), folder(tmp_path / "all", models=("deep",), seeds=tuple(range(5)), truth=lambda *_: 0.5, salt=4)
    )
    assert np.mean([row["significant"] for row in always]) > 0.9


def test_where_nothing_differs_nothing_is_marked(tmp_path):
    """Of twenty comparisons of 175 cells each, hardly one marks anything."""
    tasks = tuple(f"t{i}" for i in range(5))
    marked = []
    for trial in range(20):
        sides = [
            folder(
                tmp_path / f"{trial}{side}",
                tasks=tasks,
                models=("deep",),
                noise=0.1,
                seeds=(0, 1, 2),
                salt=2 * trial + side,
            )
            for side in (0, 1)
        ]
        marked.append(sum(row["significant"] for row in rows(*sides)))
    assert sum(count > 0 for count in marked) <= 3


def test_two_folders_say_what_was_made_otherwise(tmp_path, capsys):
    a, b = folder(tmp_path / "a", models=("deep",)), folder(tmp_path / "b", models=("deep",), salt=7)
    assert "\nmade otherwise: train.steps 17 against 10\n" in told(capsys, "compare", a, b)[1]
    again = folder(tmp_path / "c", models=("deep",), loops=(1, 4, 16), count=64)
    out = " ".join(told(capsys, "compare", a, again)[1].split())
    assert "made otherwise: evaluate.count 64 against 128; evaluate.loops 1,4,16 against 1,4,16,64" in out
    assert "made otherwise" not in told(capsys, "compare", a, a)[1]
    assert "made otherwise" not in told(capsys, "compare", *(folder(tmp_path / f"{n}", seeds=(n,)) for n in (0, 1)))[1]
    assert "made otherwise" not in told(capsys, "compare", folder(tmp_path / "d"), "--models", "deep,shallow")[1]


def test_a_model_without_loops_is_held_to_the_most_loops_of_another(tmp_path, capsys):
    path = folder(tmp_path)
    compared = rows(path, models=("shallow", "deep"))
    assert {(row["first_asked"], row["second_asked"]) for row in compared} == {("none", "64")}
    assert {row["depth"]: row["significant"] for row in compared}[20]
    code, out, _ = told(capsys, "compare", path, "--models", "shallow,deep")
    assert code == 0 and "t: deep is better than shallow in 3 of 7 cells and worse in none" in out
    assert "depth95 20 (4x) against 5 (1x); 2 seeds or more a side" in " ".join(out.split())


def test_a_missing_cell_is_no_difference(tmp_path):
    a, b = folder(tmp_path / "a"), folder(tmp_path / "b", salt=1)
    dump(b / "cells.jsonl", [c for c in lines(b / "cells.jsonl") if not (c["depth"] == 40 and c["loops"] == 64)])
    got = {(row["depth"], row["first_asked"]) for row in rows(a, b) if row["first_model"] == "deep"}
    assert (40, "64") not in got and (40, "16") in got and len(got) == 34


MISMATCHES = [
    ({"task": {"places": 12}}, "task.places is 9 in a, 12 in b"),
    ({"changes": {"task_version": 2}}, "task.version is 1 in a, 2 in b"),
    ({"changes": {"train_max_depth": 8}}, "train_max_depth is 5 in a, 8 in b"),
    ({"task": {"train_depths": [1, 3]}}, "task.train_depths is [1, 3, 5] in a, [1, 3] in b"),
    ({"depths": {1: "train", 10: "selection"}}, "depth 10 is of band test in a, selection in b"),
]


@pytest.mark.parametrize("other,says", MISMATCHES, ids=lambda value: str(value)[:40])
def test_what_cannot_be_compared_is_refused_by_name_and_forced_with_it_in_the_heading(tmp_path, capsys, other, says):
    a, b = folder(tmp_path / "a", models=("deep",)), folder(tmp_path / "b", models=("deep",), salt=1, **other)
    code, out, err = told(capsys, "compare", a, b)
    assert code == 2 and "t, deep cannot be compared" in err and says in err and err.count("\n") == 1
    code, out, _ = told(capsys, "compare", a, b, "--force")
    assert code == 0 and "NOT COMPARABLE, forced: " in out and says in out
    if "task" in other:
        assert not any(row["paired"] for row in rows(a, b, force=True))


def test_other_models_and_other_training_may_be_compared(tmp_path):
    assert rows(folder(tmp_path / "a"), folder(tmp_path / "b", salt=7, changes={"parameters": 5}))


def test_mistakes_are_one_line(tmp_path, capsys):
    a, b = folder(tmp_path / "a", tasks=("t",)), folder(tmp_path / "b", tasks=("u",))
    for words, says in (
        (("compare", a), "one folder: name another, or the models to compare"),
        (("compare", a, b), "share no task and model: nothing to compare"),
        (("compare", a, "--models", "deep"), "is one side: name two or more"),
        (("compare", a, "--models", "deep,shalow"), "unknown model 'shalow': did you mean 'shallow'?"),
        (("compare", a, tmp_path / "none"), "no folder"),
        (("compare", a, b, "--format", "cvs"), "unknown format 'cvs': did you mean 'csv'?"),
        (("compare",), "required: FOLDER"),
        (("compare", a, f"{a}/../a"), "is named twice: nothing to compare"),
        (("compare", a, a / "cells.jsonl"), "is named twice"),
        (("compare", a, b, a, "--models", "deep,shallow"), "is named twice"),
        (("compare", a, "--models", "deep,shallow", "--rule", "acd"), "unknown rule 'acd'"),
        (("report", a, a), "is named twice"),
    ):
        code, out, err = told(capsys, *words)
        assert (code, out) == (2, "") and says in err and err.count("\n") == 1, words


def test_three_folders_are_each_held_to_the_first_and_formats_agree(tmp_path, capsys):
    paths = [folder(tmp_path / name, models=("deep",), salt=salt) for salt, name in enumerate("abc")]
    plain = json.loads(told(capsys, "compare", *paths, "--format", "json")[1])
    assert {(row["first"], row["second"]) for row in plain["cells"]} == {("a", "b"), ("a", "c")}
    assert len(plain["summary"]) == 2
    flat = list(csv.DictReader(io.StringIO(told(capsys, "compare", *paths, "--format", "csv")[1])))
    assert [float(row["difference"]) for row in flat] == [row["difference"] for row in plain["cells"]]
    tex = told(capsys, "compare", *paths, "--format", "latex")[1]
    outside = [line for part in tex.split("\\begin{tabular}") for line in part.split("\\end{tabular}")[-1].splitlines()]
    assert all(line.startswith("%") or not line.strip() for line in outside)


def test_tasks_that_one_side_lacks_are_told(tmp_path, capsys):
    a, b = folder(tmp_path / "a", tasks=("t", "u"), models=("deep",)), folder(tmp_path / "b", models=("deep",), salt=1)
    assert "b has no u, deep" in told(capsys, "compare", a, b)[1]


def test_what_failed_in_every_run_of_a_side_is_told(tmp_path, capsys):
    a, b = folder(tmp_path / "a", tasks=("t", "u"), models=("deep",)), folder(tmp_path / "b", models=("deep",), salt=1)
    failed = folder(tmp_path / "c", tasks=("u",), models=("deep",), salt=1, status="diverged")
    dump(b / "runs.jsonl", lines(b / "runs.jsonl") + lines(failed / "runs.jsonl"))
    note = (
        "u, deep: no depth and loops in common; depth95 20 (4x) in a (0 of 2 runs failed) and "
        "0 (0x) in b (2 of 2 runs failed)"
    )
    assert note in told(capsys, "compare", a, b)[1].splitlines()
    assert note in json.loads(told(capsys, "compare", a, b, "--format", "json")[1])["notes"]


def test_folders_are_named_as_shortly_as_tells_them_apart():
    assert compare.distinct(["x/a", "y/b/"]) == ["a", "b"]
    assert compare.distinct(["x/a", "y/a"]) == ["x/a", "y/a"]
    assert len(set(compare.distinct(["x/a", "x/a"]))) == 2


def test_failures_are_told_beside_the_difference(tmp_path, capsys):
    a, b = folder(tmp_path / "a", models=("deep",)), folder(tmp_path / "b", models=("deep",), salt=1)
    more = folder(tmp_path / "c", models=("deep",), seeds=(2,), status="timeout", salt=1)
    dump(b / "runs.jsonl", lines(b / "runs.jsonl") + lines(more / "runs.jsonl"))
    out = " ".join(told(capsys, "compare", a, b)[1].split())
    assert "1 of 3 runs of b failed" in out


def test_seeds_that_failed_count_as_nothing_right_over_seeds(tmp_path, capsys):
    """Two that are better and four that failed are no better than six."""
    a = folder(tmp_path / "a", models=("deep",), seeds=range(6), truth=lambda *_: 0.85)
    b = folder(tmp_path / "b", models=("deep",), seeds=(0, 1), truth=lambda *_: 0.95, salt=1)
    whole = folder(tmp_path / "c", models=("deep",), seeds=(0, 1), truth=lambda *_: 0.95, salt=2)
    more = folder(tmp_path / "d", models=("deep",), seeds=(2, 3, 4, 5), status="diverged", salt=1)
    dump(b / "runs.jsonl", lines(b / "runs.jsonl") + lines(more / "runs.jsonl"))
    compared, without = rows(a, b), rows(a, whole)
    assert any(row["significant"] for row in without) and not any(row["significant"] for row in compared)
    assert all(row["difference"] > 0 > row["seeds_low"] and row["p_seeds"] == 1 for row in compared)
    out = " ".join(told(capsys, "compare", a, b)[1].split())
    assert (
        f"no cell of {len(compared)} tells b from a" in out and "4 of 6 runs of b failed; 6 seeds or more a side" in out
    )


def test_the_oracle_is_compared_with_nobody(tmp_path):
    """It knows the answers: its cells are shown, and are no evidence."""
    a = folder(tmp_path / "a", models=("deep",), rules=("act", "oracle"), truth=lambda *_: 0.4)
    b = folder(tmp_path / "b", models=("deep",), rules=("act", "oracle"), truth=lambda *_: 0.6, salt=1)
    of = {asked: [row for row in rows(a, b) if (row["first_asked"] == "oracle") == asked] for asked in (True, False)}
    assert all(row["false_discovery_rate"] is None and not row["significant"] for row in of[True]) and of[True]
    assert all(row["difference"] is not None for row in of[True])
    p = [max(row["p_questions"], row["p_seeds"]) for row in of[False]]
    rates = multipletests(p, method="fdr_bh")[1]
    assert [row["false_discovery_rate"] for row in of[False]] == pytest.approx(rates.tolist(), rel=1e-4)


def test_every_task_and_model_is_shown_and_corrected_for_together(tmp_path):
    """Of three tasks and two models: the rates are those of all cells at once."""
    tasks = ("t", "u", "v")
    a, b = (folder(tmp_path / str(salt), tasks=tasks, seeds=(0, 1, 2), noise=0.1, salt=salt) for salt in (1, 2))
    compared = rows(a, b)
    assert {(row["task"], row["first_model"]) for row in compared} == {
        (t, m) for t in tasks for m in ("deep", "shallow")
    }
    p = [max(row["p_questions"], row["p_seeds"]) for row in compared]
    rates = multipletests(p, method="fdr_bh")[1]
    assert [row["false_discovery_rate"] for row in compared] == pytest.approx(rates.tolist(), rel=1e-4)


def test_an_interval_over_seeds_is_welchs_of_the_second_less_the_first(tmp_path):
    a = folder(tmp_path / "a", models=("deep",), seeds=(0, 1, 2), truth=lambda *_: 0.4, noise=0.05)
    b = folder(tmp_path / "b", models=("deep",), seeds=(0, 1, 2, 3), truth=lambda *_: 0.6, noise=0.05, salt=1)
    shares = [{}, {}]
    for side, path in zip(shares, (a, b), strict=True):
        for (_, _, _, depth, halting, loops), cell in cells_of(path).items():
            if halting == "fixed":
                side.setdefault((depth, str(loops)), []).append(cell["correct"] / cell["count"])
    for row in rows(a, b):
        if row["first_asked"] != "act":
            first, second = (side[row["depth"], row["first_asked"]] for side in shares)
            test = ttest_ind(second, first, equal_var=False)
            interval = test.confidence_interval(0.95)
            assert (row["seeds_low"], row["seeds_high"]) == pytest.approx((interval.low, interval.high), abs=1e-5)
            assert row["p_seeds"] == pytest.approx(test.pvalue, rel=1e-4)


def test_a_seed_that_lacks_a_cell_is_left_out_of_its_mean(tmp_path):
    a, b = (folder(tmp_path / str(salt), models=("deep",), seeds=(0, 1, 2), salt=salt) for salt in (1, 2))
    left = [c for c in lines(b / "cells.jsonl") if not (c["seed"] == 1 and c["depth"] == 10)]
    dump(b / "cells.jsonl", left)
    (row,) = [row for row in rows(a, b) if (row["depth"], row["second_asked"]) == (10, "64")]
    others = [c["correct"] / c["count"] for c in left if (c["depth"], c["loops"]) == (10, 64)]
    assert len(others) == 2 and row["second_accuracy"] == pytest.approx(np.mean(others), abs=1e-5)


def test_headlines_of_a_comparison_stand_on_the_most_loops_or_on_the_rule(tmp_path, capsys):
    path = folder(tmp_path, seeds=(0, 1))
    for words, wanted in (((), "at 64"), (("--rule", "act"), "at act")):
        code, out, _ = told(capsys, "compare", path, folder(tmp_path / f"b{len(words)}", salt=1), *words)
        assert code == 0 and wanted in out, out
    found = compare.differences(compare.sides(loaded(path), ["shallow", "deep"]), False, "act")
    assert {(a.name, b.name) for one in found for a, b in one.columns} == {("none", "act")}


def test_a_record_whose_task_is_no_table_is_compared_by_force(tmp_path, capsys):
    a, b = folder(tmp_path / "a", models=("deep",), seeds=(0,)), folder(tmp_path / "b", models=("deep",), seeds=(0,))
    (run,) = lines(b / "runs.jsonl")
    odd = {**run, "experiment": {"task": "t", "model": "deep"}, "run": run_id({"task": "t", "model": "deep"})}
    dump(b / "runs.jsonl", [odd])
    dump(b / "cells.jsonl", [{**cell, "run": odd["run"]} for cell in lines(b / "cells.jsonl")])
    code, out, _ = told(capsys, "compare", a, b, "--force")
    assert code == 0 and "unset in b" in out
    code, _, err = told(capsys, "report", a, b, "--force", "--out", tmp_path / "page.html")
    assert code == 0, err
    assert "t, deep: not comparable, shown by force: task." in (tmp_path / "page.html").read_text()
