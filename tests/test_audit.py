"""The audit must find each kind of shortcut where there is one, and none where there is none."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from evaluate.study.audit import audit, best_shortcut
from tasks import NOT_ASKED, TASKS, TEST, Answers, Batch, Task, draw
from tests.fakes import told

FACTS = 4
LEAKS = ("majority", "question", "facts", "shallow", "candidates", "stop_trained", "stop_early", "last_steps")


@dataclass(frozen=True)
class Leaky(Task):
    """Four different digits as facts, then `depth` digits, the last one asked; `leak` says what gives the answer."""

    train_depths: tuple[int, ...] = (2,)
    selection_depths: tuple[int, ...] = (3,)
    test_depths: tuple[int, ...] = (8,)
    leak: str = "none"

    name: ClassVar[str] = "leaky"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "a task with a shortcut of one's choice"
    fixed_length: ClassVar[bool] = False
    prefixes: ClassVar[bool] = False

    @property
    def vocabulary(self) -> tuple[str, ...]:
        return tuple("0123456789")

    @property
    def chance(self) -> float:
        return 1 / 10

    @property
    def facts_length(self) -> int:
        return FACTS

    def sample(self, rng: np.random.Generator, depth: int, count: int) -> Batch:
        facts = rng.permuted(np.tile(np.arange(10), (count, 1)), axis=1)[:, :FACTS]
        question = rng.integers(10, size=(count, depth))
        if self.leak == "candidates":  # the asked digit stands among the facts, before its answer
            question[:, -1] = facts[np.arange(count), rng.integers(FACTS - 1, size=count)]
        tokens = np.concatenate([facts, question], axis=1)
        targets, depths = np.full_like(tokens, NOT_ASKED), np.zeros_like(tokens)
        targets[:, -1], depths[:, -1] = [self._answer(row) for row in tokens.tolist()], depth
        return Batch(tokens, targets, depths)

    def _answer(self, row: list[int]) -> int:
        facts, question = row[:FACTS], row[FACTS:]
        last = question[-1]
        return {
            "none": lambda: (sum(question) + facts[0]) % 10,
            "majority": lambda: 7 if facts[0] else 1,
            "question": lambda: (question[-1] + 1) % 10,
            "facts": lambda: (facts[2] + 1) % 10,
            "shallow": lambda: facts[2] if last % 2 else (last + 1) % 10,
            "candidates": lambda: facts[facts.index(last) + 1],
            "stop_trained": lambda: sum(question[:2]) % 10,
            "first_step": lambda: question[0],
            "stop_early": lambda: sum(question[:-1]) % 10,
            "last_steps": lambda: sum(question[-3:]) % 10,
        }[self.leak]()

    def solve(self, tokens: np.ndarray) -> Answers:
        targets, depths = np.full(len(tokens), NOT_ASKED), np.zeros(len(tokens), dtype=np.int64)
        targets[-1], depths[-1] = self._answer(tokens.tolist()), len(tokens) - FACTS
        return Answers(targets, depths)

    def partial(self, tokens: np.ndarray, steps: int) -> np.ndarray:
        return np.full(len(tokens), tokens[FACTS : FACTS + steps].sum() % 10)

    def recent(self, tokens: np.ndarray, steps: int) -> np.ndarray:
        return np.full(len(tokens), tokens[-steps:].sum() % 10)


@pytest.mark.parametrize("leak", LEAKS)
def test_each_shortcut_is_found_where_it_is(leak: str) -> None:
    rows = audit(Leaky(leak=leak), depths=(8,), count=200)
    assert {row["shortcut"] for row in rows} == set(LEAKS)
    best = best_shortcut(rows, 8)
    scores = {row["shortcut"]: row["score"] for row in rows}
    assert best is not None and scores[leak] > 0.6 and scores[leak] >= best["score"] - 0.1


def test_an_oracle_that_stops_at_once_is_found_as_well() -> None:
    """Of three trained depths, where the first step alone gives the answer."""
    task = Leaky(train_depths=(1, 2, 3), selection_depths=(4,), leak="first_step")
    scores = {row["shortcut"]: row["score"] for row in audit(task, depths=(8,), count=200)}
    assert scores["stop_trained"] == 1.0 and scores["stop_early"] < 0.2


def test_none_is_found_where_there_is_none() -> None:
    rows = audit(Leaky(), depths=(8,), count=400)
    best = best_shortcut(rows, 8)
    assert best is not None and best["score"] < 0.1 + 0.05 + 3 * 0.015


def test_rows_count_what_they_say() -> None:
    task = TASKS["mod_chain"]()
    rows = audit(task, depths=(3, 10), count=50, seed=1)
    assert rows == audit(task, depths=(3, 10), count=50, seed=1)
    assert rows != audit(task, depths=(3, 10), count=50, seed=2)
    for row in rows:
        assert row["task"] == "mod_chain" and row["count"] == 50 and row["chance"] == task.chance
        assert row["score"] == row["correct"] / 50
    shortcuts = {depth: {row["shortcut"] for row in rows if row["depth"] == depth} for depth in (3, 10)}
    assert shortcuts[10] - shortcuts[3] == {"last_steps"}  # at depth 3 it sees everything
    assert best_shortcut(rows, 4) is None


@pytest.mark.parametrize("name", TASKS)
def test_no_shortcut_answers_a_task(name: str) -> None:
    """A smoke test: few rows, so a wide margin; the full audit is run and stored by the command line."""
    task = TASKS[name]()
    depth = task.test_depths[0]
    best = best_shortcut(audit(task, (depth,), count=100), depth)
    assert best is not None
    if not task.known_shortcut:  # which is printed beside the results
        assert best["score"] <= task.chance + 0.05 + 3 * (task.chance * (1 - task.chance) / 100) ** 0.5


def test_the_last_steps_of_an_expression_rule_answers_out_as_its_docstring_says():
    task = TASKS["nested_expression"]()
    right = {}
    for depth in (8, 25):
        tokens, targets, _ = draw(task, 0, TEST, depth, 0, 400)
        for steps in (3, 12):
            right[depth, steps] = np.mean([task.recent(row, steps)[-1] for row in tokens] == targets[:, -1])
    assert 0.14 < right[8, 3] < 0.24 < right[25, 3] - 0.01 < 0.29 and 0.56 < right[25, 12] < 0.68


def test_one_look_answers_carry_chain_as_its_docstring_says():
    task = TASKS["carry_chain"]()
    tokens, targets, depths = draw(task, 0, TEST, 40, 0, 64)
    sums = tokens[:, ::2] + tokens[:, 1::2]
    decides = np.where(sums != 9, np.arange(sums.shape[1]), 0)
    nearest = np.maximum.accumulate(decides, axis=1)[:, :-1]  # of each column but the first, the one below that decides
    carry = np.take_along_axis(sums, nearest, axis=1) > 9
    assert ((sums[:, 1:] + carry) % 10 == targets[:, 3::2]).all() and depths.max() == 40


def test_a_task_of_other_sizes_is_audited(capsys):
    words = ["audit", "mod_chain", "--depths", "4", "--count", "40", "--format", "json"]
    code, out, _ = told(capsys, *words, "--task.modulus", "5")
    assert code == 0 and {row["chance"] for row in json.loads(out)} == {0.2}
    before = told(capsys, "audit", "--task.modulus", "5", *words[1:])
    assert before[:2] == (0, out), "wherever it stands"
    code, _, err = told(capsys, *words, "--task.modulo", "5")
    assert code == 2 and "did you mean" in err and len(err.splitlines()) == 1
