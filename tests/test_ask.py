"""`ask`: what trained weights answer when they are asked anew is what their records say, or what they would say."""

import json
import shutil

import pytest
import torch

import run_benchmarks
from evaluate.commands.asking import against, as_recorded
from evaluate.records import read
from evaluate.run.experiment import from_json
from evaluate.run.extrapolation import questions
from evaluate.study.weights import trained
from model.settling import settle
from tasks import UserError

SMALL = ["--train.batch", "16", "--train.steps", "12", "--evaluate.count", "16", "--evaluate.loops", "1,4,12"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("asked") / "runs"
    words = ["run", "--preset", "smoke", "--models", "rdt,transformer", "--tasks", "mod_chain", "--seeds", "0,1"]
    words += ["--evaluate.seed", "3"]  # its own questions, which are asked again
    assert run_benchmarks.main([*words, *SMALL, "--workers", "1", "--out", str(out)]) == 0
    return out


def asked(capsys, *words):
    capsys.readouterr()
    assert run_benchmarks.main(["ask", *map(str, words), "--format", "json"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("model", ["rdt", "transformer"])
def test_the_same_questions_are_answered_as_the_records_say(folder, capsys, model):
    rows = asked(capsys, folder, "--model", model, "--count", "16", "--batch", "5", "--depths", "3,8,12")
    held = {}
    for cell in map(json.loads, (folder / "cells.jsonl").read_text().splitlines()):
        if cell["model"] == model and cell["loops"] in (None, 12) and cell["halting"] != "oracle":
            held[cell["run"], cell["depth"], cell["halting"]] = (cell["correct"], cell["count"], cell["mean_loops"])
    assert len(rows) == 2 * 3 * (4 if model == "rdt" else 1)
    for row in rows:
        # at depths that are asked together the record counts a longer row's prefixes: the same depth, other questions
        if row["depth"] == 12:
            correct, count, loops = held[row["run"], 12, row["rule"]]
            assert (row["correct"], row["count"]) == (correct, count) and row["loops"] == pytest.approx(loops)
        assert row["low"] <= row["accuracy"] == row["correct"] / row["count"] <= row["high"]
    assert any(row["correct"] for row in rows), "or equal figures say nothing"


def test_each_step_of_a_deep_question_is_told(folder, capsys):
    how = (folder, "--seeds", "1", "--count", "16")
    rows = asked(capsys, *how, "--depths", "6", "--each-step", "--batch", "5")
    (alone,) = (row for row in asked(capsys, *how, "--depths", "6") if row["rule"] == "act")
    steps = {row["step"]: row for row in rows if row["rule"] == "act"}
    assert sorted(steps) == [1, 2, 3, 4, 5, 6] and len(rows) == 6 * 4
    assert {**alone, "step": 6, "loops": pytest.approx(alone["loops"])} == steps[6]
    assert all(row["loops"] == 12 for row in rows if row["rule"] == "fixed")
    moving = asked(capsys, *how, "--depths", "6", "--each-step", "--moving", "--loops", "90")
    experiment = from_json(read(folder).runs[alone["run"]]["experiment"])
    batch = questions(experiment.task, 6, 16, 3)
    with torch.no_grad():
        told = trained(experiment, folder)(torch.from_numpy(batch.tokens), (12,))[0].argmax(-1).numpy()
    for row in rows:
        if row["rule"] == "fixed":
            here = batch.depths == row["step"]
            assert (row["correct"], row["count"]) == ((told == batch.targets)[here].sum(), here.sum())
    assert len({row["correct"] for row in rows if row["rule"] == "fixed"}) > 1, "or equal figures say nothing"
    rest = settle(trained(experiment, folder), torch.from_numpy(batch.tokens), 90).loops.numpy()
    for step, row in enumerate(moving, 1):
        assert row["step"] == step and row["loops"] == pytest.approx(rest[batch.depths == step].mean())
    capsys.readouterr()
    assert run_benchmarks.main(["ask", str(folder), "--depths", "6", "--each-step"]) == 0
    assert capsys.readouterr().out.splitlines()[0].split()[:4] == ["model", "seed", "depth", "step"]


def test_steps_and_sizes_are_two_tables(folder, capsys):
    assert run_benchmarks.main(["ask", str(folder), "--each-step", "--over", "modulus=11"]) == 2
    assert "--each-step and --over are two tables: give one of them" in capsys.readouterr().err


def test_moving_positions_alone_answer_as_they_rest(folder, capsys):
    (row,) = asked(capsys, folder, "--seeds", "1", "--count", "6", "--depths", "30", "--moving", "--loops", "90")
    experiment = next(from_json(run["experiment"]) for run in read(folder).runs.values() if run["run"] == row["run"])
    assert experiment.seed == 1 and row["rule"] == "settled"
    batch = questions(experiment.task, 30, 6, 3)
    model, tokens = trained(experiment, folder), torch.from_numpy(batch.tokens)
    rest = settle(model, tokens, 90)
    deep = torch.from_numpy(batch.depths == 30)
    with torch.no_grad():
        right = (model.read(rest.h).argmax(-1) == torch.from_numpy(batch.targets))[deep]
    assert (row["correct"], row["loops"]) == (int(right.sum()), pytest.approx(float(rest.loops[deep].float().mean())))


def test_other_sizes_are_other_questions_and_stand_side_by_side(folder, capsys):
    few = asked(capsys, folder, "--depths", "4", "--count", "64", "--over", "largest_operand=3")
    assert {row["sizes"]["largest_operand"] for row in few} == {3}
    capsys.readouterr()
    code = run_benchmarks.main(["ask", str(folder), "--depths", "4,6", "--count", "8", "--over", "modulus=11"])
    head, _, four, six, _ = capsys.readouterr().out.splitlines()
    assert code == 0 and head.split() == ["depth", "modulus", "11"] and [four.split()[0], six.split()[0]] == ["4", "6"]
    rows = asked(capsys, folder, "--depths", "4,6", "--count", "8", "--over", "modulus=11")
    fixed = [row for row in rows if row["rule"] == "fixed" and row["depth"] == 4]
    assert float(four.split()[1]) == pytest.approx(sum(row["accuracy"] for row in fixed) / 2, abs=1e-3)


def test_what_was_cut_off_used_all_that_it_was_given(folder, capsys):
    (row,) = asked(capsys, folder, "--seeds", "0", "--count", "4", "--depths", "30", "--moving", "--loops", "1")
    assert row["loops"] == 1


def test_a_folder_of_failures_has_nothing_to_ask(folder, tmp_path, capsys):
    shutil.copytree(folder, tmp_path / "failed")
    runs = [json.loads(line) for line in (folder / "runs.jsonl").read_text().splitlines()]
    (tmp_path / "failed/runs.jsonl").write_text(
        "".join(json.dumps({**run, "status": "diverged"}) + "\n" for run in runs)
    )
    assert run_benchmarks.main(["ask", str(tmp_path / "failed"), "--depths", "4"]) == 2
    assert "came to its end: there is nothing to ask" in capsys.readouterr().err


@pytest.mark.parametrize("sizes", [{"foo": 3}, {"modulus": 7}])
def test_an_experiment_that_this_code_does_not_have_is_told(folder, sizes):
    run = next(iter(read(folder).runs.values()))
    assert as_recorded(run).run == run["run"]
    task = {**run["experiment"]["task"], **sizes}
    with pytest.raises(UserError, match="that this code does not have"):
        as_recorded({**run, "experiment": {**run["experiment"], "task": task}})


@pytest.mark.parametrize("sizes", [{"name": "ring_walk", "plugin": "ring_walk.py 0a1b"}, {"plugin": "mine.py 0a1b"}])
def test_a_run_of_a_plugin_asks_for_the_plugin(folder, sizes):
    run = next(iter(read(folder).runs.values()))
    task = {**run["experiment"]["task"], **sizes}
    with pytest.raises(UserError, match=rf"the plugin {sizes['plugin'].split()[0]}: name it, unchanged, by --plugin"):
        as_recorded({**run, "run": "another", "experiment": {**run["experiment"], "task": task}})


@pytest.mark.parametrize("change", [{"architecture": {"injection": "convex"}, "parts_plugin": "convex.py 0a1b"}, None,
                                    {"architecture": {"width": 0}}, {"train": 3}, {"task": "mod_chain"}])  # fmt: skip
def test_a_record_of_no_experiment_is_told_in_a_line(folder, tmp_path, capsys, change):
    shutil.copytree(folder, tmp_path / "odd")
    runs = [json.loads(line) for line in (folder / "runs.jsonl").read_text().splitlines()]
    for run in runs:
        run["experiment"] = {**run["experiment"], **change} if change else {}
    (tmp_path / "odd/runs.jsonl").write_text("".join(json.dumps(run) + "\n" for run in runs))
    assert run_benchmarks.main(["ask", str(tmp_path / "odd"), "--depths", "4"]) == 2
    told = capsys.readouterr().err
    assert (
        "of the plugin convex.py: name it" if change and len(change) > 1 else "that this code does not have"
    ) in told
    assert len(told.splitlines()) == 1
    words = ["run", "--preset", "smoke", "--models", "rdt", "--tasks", "mod_chain", "--workers", "1", *SMALL]
    assert run_benchmarks.main([*words, "--out", str(tmp_path / "odd")]) == 2
    assert "holds another experiment of mod_chain" in capsys.readouterr().err


def test_a_size_that_is_called_length_is_not_the_length_of_a_row():
    rows = [
        {"depth": 2, "length": 4 * n, "rule": "fixed", "sizes": {"length": n}, "correct": n, "count": 32}
        for n in (8, 16)
    ]
    assert against(rows, "length") == (
        [{"depth": 2, "length 8": 0.25, "length 16": 0.5}],
        ["depth", "length 8", "length 16"],
    )


def test_rows_are_kept_as_lines_and_never_over_others(folder, tmp_path, capsys):
    out = tmp_path / "rows.jsonl"
    words = ["ask", str(folder), "--depths", "4", "--count", "4", "--out", str(out)]
    assert run_benchmarks.main(words) == 0 and run_benchmarks.main(words) == 2
    assert "exists already" in capsys.readouterr().err
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert {line["task"] for line in lines} == {"mod_chain"} and len(lines) == 8


@pytest.mark.parametrize("words, says", [
    (["--task", "khop_facts"], "it holds mod_chain"),
    (["--model", "rtd"], "unknown model 'rtd': did you mean 'rdt'?"),
    (["--seeds", "7"], "no seed 7 of rdt on mod_chain"),
    (["--seeds", ""], "--seeds is empty"),
    (["--depths", ","], "--depths is empty"),
    (["--over", ""], "--over is ''"),
    (["--over", "modulus"], "--over is 'modulus': allowed is a size and its values"),
    (["--over", "modulus=13"], "change sizes that keep them"),
    (["--over", "modulo=13"], "unknown size 'modulo': did you mean 'modulus'?"),
    (["--over", "test_depths=13"], "unknown size 'test_depths': allowed: "),
    (["--train.steps", "5"], "only the sizes of the task"),
    (["--depths", "0"], "mod_chain has no depth 0"),
    (["--model", "transformer", "--moving"], "only an rdt comes to rest"),
    (["--count", "0"], "--count is 0: allowed is 1 or more"),
    (["--device", "cdua"], "unknown device 'cdua': did you mean 'cuda'?"),
    (["--loops", "0"], "--loops is 0: allowed is 1 or more"),
])  # fmt: skip
def test_what_cannot_be_asked_is_told_in_a_line(folder, capsys, words, says):
    assert run_benchmarks.main(["ask", str(folder), *words]) == 2
    told = capsys.readouterr().err
    assert says in told and len(told.splitlines()) == 1


def test_weights_that_are_gone_are_named(folder, capsys, tmp_path):
    for name in ("runs.jsonl", "cells.jsonl", "diagnostics.jsonl"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    assert run_benchmarks.main(["ask", str(tmp_path)]) == 2
    assert "holds no weights of rdt, seed 0" in capsys.readouterr().err
