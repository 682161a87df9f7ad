"""CONTRIBUTING.md: its examples are carried out as they stand, and its map names what there is."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

import run_benchmarks
from evaluate.records import Records
from evaluate.study.claims import carry
from evaluate.study.claims.claims import CLAIMS
from evaluate.study.claims.evidence import evidence
from evaluate.verdicts import SUPPORTED
from model import MODELS, SUMMARIES, ModelConfig
from model.injection import INJECTION
from model.stopping import RULES
from tasks import TASKS, plugin

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
EXAMPLES = {code.split("\n")[0].removeprefix("# "): code for code in re.findall(r"```python\n(.*?)```", TEXT, re.S)}
COMMANDS = [line for block in re.findall(r"```bash\n(.*?)```", TEXT, re.S) for line in block.splitlines()]


@pytest.fixture(autouse=True)
def clean():
    held = (MODELS, SUMMARIES, INJECTION, RULES, TASKS, ModelConfig.PARTS, CLAIMS)
    before = [dict(one) for one in held]
    yield
    for source in plugin.sources():
        plugin.forget(source.module)
    for one, was in zip(held, before, strict=True):
        one.clear()
        one.update(was)


def carried_out(name, tmp_path, monkeypatch, capsys):
    """Write an example to its file and run the commands that name it; the cells of the folder that they left."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text(EXAMPLES[name])
    stem = name.removesuffix(".py")
    commands = [line for line in COMMANDS if stem in line]
    assert commands
    for line in commands:
        _, _, *words = shlex.split(line)
        (tmp_path / "results").mkdir(exist_ok=True)
        assert run_benchmarks.main([*words, *(["--workers", "1"] if words[0] == "run" else [])]) == 0, line
    cells = (tmp_path / "results" / stem / "cells.jsonl").read_text().splitlines()
    return [json.loads(cell) for cell in cells], capsys.readouterr().out


def test_a_task_is_added(tmp_path, monkeypatch, capsys):
    cells, shown = carried_out("clock.py", tmp_path, monkeypatch, capsys)
    assert {cell["task"] for cell in cells} == {"clock"} and {cell["depth"] for cell in cells} == {1, 2, 3, 4, 6, 8}
    assert "mirror" in shown and "stop_early" in shown
    task = TASKS["clock"]()
    row = [task.vocabulary.index(word) for word in ("h2", "+3", "mirror", "+1")]
    assert task.solve(np.array(row)).targets.tolist() == [-100, 5, 6, 7], "as its docstring says"


def test_a_model_part_is_added(tmp_path, monkeypatch, capsys):
    cells, _ = carried_out("convex.py", tmp_path, monkeypatch, capsys)
    assert {cell["model"] for cell in cells} == {"convex"}
    net = MODELS["convex"](ModelConfig(), 9, 4.0)
    assert isinstance(net.inject, INJECTION["convex"])
    words = [
        "run",
        "--preset",
        "smoke",
        "--tasks",
        "mod_chain",
        "--models",
        "rdt",
        "--architecture.injection",
        "convex",
    ]
    words += ["--train.steps", "2", "--workers", "1", "--out", str(tmp_path / "named")]
    assert run_benchmarks.main(words) == 0, "and by its dotted name"


def test_a_stopping_rule_is_added(tmp_path, monkeypatch, capsys):
    cells, shown = carried_out("sure.py", tmp_path, monkeypatch, capsys)
    under = [cell for cell in cells if cell["halting"] == "sure"]
    assert len(under) == len({cell["depth"] for cell in cells}) and all(3 <= c["mean_loops"] <= 8 for c in under)
    assert re.search(r" overthinking .* settled +sure\n[- ]+\n[^\n]* \d+( for [\d.]+x)? +\d+( for [\d.]+x)?\n", shown)


def test_a_claim_is_added():
    exec(EXAMPLES["enough.py"], {"__name__": "enough"})
    records = Records(ROOT / "results/reference/claims")
    runs = {place: one.run for place, one in carry.experiments_of([15], carry.FULL).items()}
    found = evidence(records, runs, carry.FULL, {})
    parts, verdict, _ = carry.judged(CLAIMS[15], found)
    right = [
        [run.at(5, loops).correct / run.at(5, loops).questions for run in found.whole("rdt")] for loops in (16, 64)
    ]
    assert [part.value for part in parts] == pytest.approx([np.mean(right[0]), np.mean(right[1]) - np.mean(right[0])])
    assert len(right[0]) == 10 and parts[0].verdict == SUPPORTED == verdict, (
        "as the wide recipe loses nothing (claim 9)"
    )
    assert carry.chosen(["enough"]) == carry.chosen(["15"]) == [15]


def test_every_example_and_every_check_is_there():
    assert set(EXAMPLES) == {"clock.py", "convex.py", "sure.py", "enough.py"}
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M))
    for line in COMMANDS:
        program, verb, *_ = line.split()
        known = targets if program == "make" else run_benchmarks.COMMANDS
        assert (verb if program == "make" else line.split()[2]) in known, line


def test_the_map_names_every_room_and_every_link_leads_somewhere():
    for folder in ("tasks", "model", "evaluate", "results", "tests"):
        assert f"`{folder}/" in TEXT
    for folder in (ROOT / "evaluate").iterdir():
        if folder.is_dir() and folder.name != "__pycache__":
            assert f"`evaluate/{folder.name}/`" in TEXT
    for link in re.findall(r"\]\(([^)#]+)", TEXT):
        assert (ROOT / link).exists(), link
