"""The verbs that help to make a task: show, export, bench, audit."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import run_benchmarks
from evaluate.run.experiment import Train
from evaluate.run.presets import PRESETS
from evaluate.show import rows as shown_rows
from evaluate.show.example import as_text, lines
from evaluate.study.bench_tasks import bench_tasks
from model import ModelConfig, build
from tasks import NOT_ASKED, TASKS, TEST, TRAIN, draw


def run(*words: object) -> int:
    return run_benchmarks.main([str(word) for word in words])


def test_show_prints_tokens_answers_and_the_oracles_steps(capsys):
    assert run("show", "mod_chain", "--depth", 3, "--seed", 1, "--count", 2) == 0
    out = capsys.readouterr().out
    batch = draw(TASKS["mod_chain"](), 1, TRAIN, 3, 0, 2)
    words = TASKS["mod_chain"]().vocabulary
    blocks = out.split("\n\n")[1:]
    assert len(blocks) == 2
    for block, tokens, targets in zip(blocks, batch.tokens, batch.targets, strict=True):
        tokens_line, answer_line, steps_line = (line.split()[1:] for line in block.splitlines())
        assert tokens_line == [words[t] for t in tokens]
        assert answer_line == ["." if t == NOT_ASKED else words[t] for t in targets]
        assert steps_line == [".", "1", "2", "3"]
    assert run("show", "khop_facts", "--depth", 2, "--task.entities", 5) == 0


def test_a_long_row_is_broken_into_lines_that_fit():
    task = TASKS["khop_facts"]()
    batch = draw(task, 0, TRAIN, 80, 0, 1)
    text = as_text(task, batch.tokens[0], batch.targets[0])
    assert max(map(len, text.splitlines())) <= 100
    tokens = " ".join(line.removeprefix("tokens") for line in text.splitlines() if line.startswith("tokens"))
    assert tokens.split() == [task.vocabulary[t] for t in batch.tokens[0]]


def test_a_graph_is_drawn_where_there_is_one(tmp_path, capsys):
    graph = TASKS["khop_facts"]().graph(np.array([3, 40, 41, 42]))
    assert graph.number_of_edges() == 3 and graph.nodes["e3"]["asked"]
    png = tmp_path / "graph.png"
    assert run("show", "khop_facts", "--depth", 8, "--png", png) == 0
    assert png.read_bytes().startswith(b"\x89PNG") and png.stat().st_size > 5000
    capsys.readouterr()
    assert run("show", "khop_facts", "--depth", 8, "--png", png) == 2
    assert "exists already" in capsys.readouterr().err
    assert run("show", "mod_chain", "--depth", 8, "--png", tmp_path / "none.png") == 2
    told = capsys.readouterr()
    assert "mod_chain has no graph to draw" in told.err and told.out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["graph.png"]


@pytest.mark.parametrize("name", TASKS)
def test_an_export_read_back_is_answered_by_the_oracle(name):
    task = TASKS[name]()
    index = {word: number for number, word in enumerate(task.vocabulary)}
    depths = [task.train_depths[0], task.test_depths[0]]
    found = [json.loads(line) for line in lines(task, depths, "test", 7, 5)]
    assert [line["depth"] for line in found] == [depths[0]] * 5 + [depths[1]] * 5
    for line in found:
        answers = task.solve(np.array([index[word] for word in line["tokens"].split(" ")]))
        assert line["answers"] and max(line["depths"].values()) == line["depth"]
        for place, word in line["answers"].items():
            assert task.vocabulary[answers.targets[int(place)]] == word
            assert answers.depths[int(place)] == line["depths"][place]


def test_export_writes_a_whole_new_file_of_the_split_asked_for(tmp_path, capsys):
    out = tmp_path / "test.jsonl"
    assert run("export", "mod_chain", "--out", out, "--depths", "2,4", "--count", 3, "--seed", 5) == 0
    assert "6 examples of mod_chain, depths 2, 4, test split" in capsys.readouterr().out
    batch = draw(TASKS["mod_chain"](), 5, TEST, 2, 0, 3)
    first = json.loads(out.read_text().splitlines()[0])
    assert first["tokens"].split(" ") == [TASKS["mod_chain"]().vocabulary[t] for t in batch.tokens[0]]
    before = out.read_bytes()
    assert run("export", "mod_chain", "--out", out) == 2
    assert "exists already" in capsys.readouterr().err
    assert out.read_bytes() == before and list(tmp_path.iterdir()) == [out]


@pytest.mark.soak
def test_questions_are_drawn_at_the_speed_that_is_asked():
    rows = bench_tasks([TASKS["mod_chain"](), TASKS["khop_facts"]()])
    assert all(row["sampled"] > row["drawn"] > 200_000 for row in rows)


def test_bench_measures_every_task_at_both_ends(monkeypatch, capsys):
    rows = bench_tasks([TASKS["mod_chain"](), TASKS["khop_facts"]()], seconds=0.05)
    assert [(row["task"], row["band"], row["depth"]) for row in rows] == [
        ("mod_chain", "train", 5), ("mod_chain", "test", 80), ("khop_facts", "train", 5), ("khop_facts", "test", 80),
    ]  # fmt: skip
    speeds = [row[speed] for row in rows for speed in ("sampled", "drawn")]
    assert min(speeds) > 50_000, "a quarter of the speed that is asked of every task, as the machine may be a busy one"
    assert run("bench", "--tasks", "mod_chain", "--format", "json") == 0
    assert len(json.loads(capsys.readouterr().out)) == 2
    assert run("bench", "--tasks", "mod_chain", "--format", "github") == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("|---")


@pytest.fixture
def audited(monkeypatch):
    """An audit that is quick: two shortcuts, of which one scores far too much at depth 12."""

    def audit(task: Any, depths: list[int], count: int, seed: int) -> list[dict[str, Any]]:
        scores = {depth: {"majority": 0.1, "facts": 0.3 if depth == 12 else 0.12} for depth in depths}
        return [
            {"task": task.name, "depth": depth, "shortcut": name, "score": score, "chance": 0.1, "count": count}
            for depth, found in scores.items()
            for name, score in found.items()
        ]

    monkeypatch.setattr("evaluate.study.audit.audit", audit)


def test_audit_prints_a_table_and_writes_its_rows(audited, tmp_path, capsys):
    out = tmp_path / "audit.jsonl"
    assert run("audit", "mod_chain", "--depths", "10,12", "--count", 50, "--out", out) == 0
    text = capsys.readouterr().out
    assert text.splitlines()[0].split() == ["task", "depth", "shortcut", "score", "chance"]
    assert text.count("the commonest answer") == 1 and "facts         a learner that sees the facts" in text
    told = "1 of 4 rows is more than 5 points above chance; the furthest: facts on mod_chain at depth 12, "
    assert re.search(re.escape(told) + r"\+20\.\d points", " ".join(text.split()))
    written = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(written) == 4 and written[0]["count"] == 50
    assert run("audit", "mod_chain", "--depths", "10", "--format", "json") == 0
    assert len(json.loads(capsys.readouterr().out)) == 2
    assert run("audit", "mod_chain", "--depths", "10") == 0
    assert "no shortcut is more than 5 points above chance" in capsys.readouterr().out
    assert run("audit", "mod_chain", "--out", out) == 2


def test_a_missing_figure_is_empty_and_never_zero():
    table = shown_rows.formatted([{"a": 1, "b": 0.5}, {"a": 2}], ("a", "b"), "plain")
    assert table.splitlines()[2].strip() == "2"


def test_what_is_said_beside_a_table_is_a_comment_or_nothing_for_machines():
    table = shown_rows.formatted([{"x": 1}], ("x",), "csv")
    said = {style: shown_rows.together(["above", table, "a\nb"], style) for style in shown_rows.FORMATS}
    assert said.pop("csv") == said.pop("json") == table and said.pop("latex") == f"% above\n{table}\n% a\n% b"
    assert said.pop("github") == f"above\n\n{table}\n\na\nb", "in Markdown they would be rows of it"
    assert set(said.values()) == {f"above\n{table}\na\nb"}


QUICK = Path(__file__).parents[1] / "results/reference/quick"

WRONG = [
    (["show", "mod_chian", "--depth", "2"], "unknown task 'mod_chian': did you mean 'mod_chain'?"),
    (["show", "mod_chain", "--depth", "3.5"], "--depth is '3.5': allowed is a whole number"),
    (["run", "--save-every", "long"], "--save-every is 'long': allowed is a number"),
    (["show", "khop_facts", "--png", "x.foo"], "--png is 'x.foo': allowed is a name that ends in .png"),
    (["new-task", "mine", "--out", "g.txt"], "--out is 'g.txt': allowed is a name that ends in .py"),
    (["list", "mod_chian"], "unknown task 'mod_chian': did you mean 'mod_chain'?"),
    (["show", "mod_chain", "--depth", "0"], "mod_chain has no depth 0: allowed are depths of 1 to 1000000"),
    (["show", "mod_chain", "--depth", str(10**8)], "has no depth 100000000: allowed are depths of 1 to 1000000"),
    (["show", "mod_chain", "--depth", "2", "--task.modulsu", "7"], "did you mean 'task.modulus'?"),
    (["audit", "mod_chain", "--seed", str(2**32)], "--seed is 4294967296: allowed is 4294967295 or less"),
    (["bench", "--what", "slots", "--folder", str(QUICK)], "holds no weights"),
    (["show", "mod_chain", "--depth", "2", "--seed", "-1"], "--seed is -1: allowed is 0 or more"),
    (["show", "mod_chain", "--depth", "2", "--count", "0"], "--count is 0: allowed is 1 or more"),
    (["show", "mod_chain", "--count", str(10**12)], "--count is 1000000000000: allowed is 10000000 or less"),
    (["export", "mod_chain", "--out", "x.jsonl", "--count", str(10**12)], "allowed is 10000000 or less"),
    (["audit", "mod_chain", "--count", str(10**12)], "--count is 1000000000000: allowed is 10000000 or less"),
    (["show", "mod_chain", "--depth", "2", "--task.modulo", "3"], "unknown field of mod_chain 'task.modulo': did"),
    (["show", "mod_chain", "--depth", "2", "--train.steps", "3"], "unknown option --train.steps"),
    (["show", "mod_chain", "--depth", "2", "--plugin", "none.py"], "no plugin file"),
    (["export", "mod_chain"], "required: --out"),
    (["export", "mod_chain", "--out", "no/such/x.jsonl"], "no folder 'no/such'"),
    (["export", "mod_chain", "--out", "x.jsonl", "--split", "tset"], "unknown split 'tset': did you mean 'test'?"),
    (["export", "mod_chain", "--out", "x.jsonl", "--depths", "a"], "--depths is 'a': allowed are whole numbers"),
    (["export", "mod_chain", "--out", "x.jsonl", "--depths", "4-2"], "--depths is '4-2': allowed are whole numbers"),
    (["export", "mod_chain", "--out", "x.jsonl", "--depths", "1-99999"], "allowed are 10,000 numbers at most"),
    (["export", "mod_chain", "--out", "x.jsonl", "--depths", "0"], "has no depth 0"),
    (["new-task", "mod_chain"], "the name 'mod_chain' is already taken"),
    (["new-task", "2fast"], "a task cannot be called '2fast'"),
    (["new-task", "mine", "--out", "no/mine.py"], "no folder 'no'"),
    (["bench", "--what", "models"], "unknown bench 'models'"),
    (["bench", "--what", "scaling", "--format", "csv"], "--format is 'csv', which holds one table, and these are two"),
    (["bench", "--format", "githbu"], "unknown format 'githbu': did you mean 'github'?"),
    (["audit", "mod_chian"], "unknown task 'mod_chian': did you mean 'mod_chain'?"),
    (["audit", "mod_chain", "--depths", "0"], "has no depth 0"),
]  # fmt: skip


@pytest.mark.parametrize("arguments,says", WRONG, ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_a_mistake_is_told_in_one_line(arguments, says, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run_benchmarks.main(arguments) == 2
    told = capsys.readouterr()
    assert says in told.err and told.err.count("\n") == 1 and told.out == ""
    assert not list(tmp_path.iterdir())


def test_a_question_of_the_deepest_trained_depth_is_shown_and_no_line_is_too_long(capsys):
    for name, task in TASKS.items():
        assert run("show", name) == 0
        title, *rest = capsys.readouterr().out.splitlines()
        assert title.startswith(f"{name}, depth {task().train_depths[-1]}, seed 0: ")
        assert max(map(len, [title, *rest])) <= 80
    for name in ("gru", "rdt"):
        assert run("show-model", name) == 0
        shown = capsys.readouterr().out.splitlines()
        assert max(map(len, shown)) <= 80
        (whole,) = (line.split() for line in shown if line.startswith("in all"))
        net = build(name, ModelConfig(), 45, Train().mean_loops)
        assert f"{sum(parameter.numel() for parameter in net.parameters()):,}" in whole and whole[-1] != "0"


def test_every_size_of_a_task_is_named_and_can_be_set_as_it_is_told(capsys):
    for name, task in TASKS.items():
        assert run("list", name) == 0
        told = capsys.readouterr().out
        assert " ".join(told.split()).startswith(f"{name}: {task.summary} --task.train_depths ")
        options = [line for line in told.splitlines() if line.startswith("  --task.")]
        assert set(task().sizes) < {line.split()[0].removeprefix("--task.") for line in options}
        assert run("show", name, *(word for line in options for word in line.split())) == 0
        shown = capsys.readouterr().out
        assert run("show", name) == 0 and capsys.readouterr().out == shown


def test_answers_that_are_not_there_are_missed_before_torch_is_loaded(tmp_path):
    words = ["score", "mod_chain", str(tmp_path / "none"), "--model", "x", "--out", str(tmp_path / "out")]
    code = f"import sys, run_benchmarks as b; b.main({words!r}); print('torch' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], cwd=QUICK.parents[2], capture_output=True, text=True)
    assert shown.stdout.strip() == "False" and shown.stderr.endswith("none': there is no such file\n")


def test_exponents_are_read_off_powers():
    from evaluate.study.bench_scaling import exponent, row

    assert exponent((1, 2, 8), (5.0, 20.0, 320.0)) == pytest.approx(2)
    assert row("a", "b", (1, 10), [3.0, 3.0])["exponent"] == 0


def test_what_is_paid_once_is_reckoned_once(monkeypatch):
    from evaluate.study import bench_scaling

    monkeypatch.setattr(bench_scaling, "asked_seconds", lambda e, count: 5.0 + 0.25 * count)
    experiment = PRESETS["quick"]()[0]
    assert bench_scaling.all_asked_seconds(experiment) == pytest.approx(5 + 0.25 * experiment.evaluate.count)


def test_what_a_preset_costs_grows_with_the_number_of_experiments(monkeypatch):
    from evaluate.study import bench_scaling

    two = PRESETS["smoke"]()[:2]
    monkeypatch.setattr(bench_scaling, "least", lambda call, tries=3: (call(), 36.0)[1])
    monkeypatch.setitem(PRESETS, "smoke", lambda: two)
    ten, hundreds = bench_scaling.reckon("smoke", (10, 150))
    assert hundreds["core hours"] == pytest.approx(15 * ten["core hours"], rel=0.05) and ten["core hours"] > 0
    assert hundreds["records MB"] > 0.75 and hundreds["table holds GB"] >= 0
    assert tuple(ten) == bench_scaling.RECKONED
