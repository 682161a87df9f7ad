"""The audit must find each kind of shortcut where there is one, and none where there is none."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import reduce
from typing import ClassVar

import numpy as np
import pytest

from evaluate.study.audit import Questions, _correct, _questions, audit, best_shortcut
from tasks import NOT_ASKED, TASKS, TEST, TRAIN, Answers, Batch, Task, draw
from tests.fakes import told

FACTS = 4
LEAKS = (
    "majority", "question", "facts", "shallow", "candidates", "around", "ahead", "stop_trained", "stop_early",
    "corrected", "last_steps",
)  # fmt: skip


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
        if self.leak == "pairs":  # one 0, anywhere, and behind it the answer
            question = 1 + question % 9
            question[np.arange(count), rng.integers(depth - 1, size=count)] = 0
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
            "pairs": lambda: question[question.index(0) + 1],
            "around": lambda: facts[question[0] % FACTS],
            "ahead": lambda: facts[sum(question[:3]) % FACTS],
            "stop_trained": lambda: sum(question[:2]) % 10,
            "first_step": lambda: question[0],
            "stop_early": lambda: sum(question[:-1]) % 10,
            "corrected": lambda: (sum(question[:2]) + (2 * sum(question) > 9 * len(question))) % 10,
            "always_wrong": lambda: (question[0] + 5) % 10,
            "last_steps": lambda: sum(question[-2:]) % 10,
        }[self.leak]()

    def solve(self, tokens: np.ndarray) -> Answers:
        targets, depths = np.full(len(tokens), NOT_ASKED), np.zeros(len(tokens), dtype=np.int64)
        targets[-1], depths[-1] = self._answer(tokens.tolist()), len(tokens) - FACTS
        return Answers(targets, depths)

    def partial(self, tokens: np.ndarray, steps: int) -> np.ndarray:
        return np.full(len(tokens), tokens[FACTS : FACTS + steps].sum() % 10)

    def recent(self, tokens: np.ndarray, steps: int) -> np.ndarray:
        return np.full(len(tokens), tokens[-steps:].sum() % 10)

    def around(self, tokens: np.ndarray, places: np.ndarray, steps: int) -> np.ndarray:
        at = tokens[:, FACTS : FACTS + steps + 1].sum(axis=1, keepdims=True) % FACTS
        return (np.take_along_axis(tokens, at, axis=1) == np.arange(10))[:, :, None]


@pytest.mark.parametrize("leak", LEAKS)
def test_each_shortcut_is_found_where_it_is(leak: str) -> None:
    rows = audit(Leaky(leak=leak), depths=(8,), count=200)
    assert {row["shortcut"] for row in rows} == set(LEAKS)
    best = best_shortcut(rows, 8)
    scores = {row["shortcut"]: row["score"] for row in rows}
    assert best is not None and scores[leak] > 0.6 and scores[leak] >= best["score"] - 0.1


def test_a_learner_sees_what_stands_side_by_side() -> None:
    scores = {row["shortcut"]: row["score"] for row in audit(Leaky(leak="pairs"), depths=(8,), count=200)}
    assert scores["question"] > 0.8 > 0.5 > scores["facts"], "the word behind another, wherever both stand"


def test_an_oracle_that_stops_at_once_is_found_as_well() -> None:
    """Of three trained depths, where the first step alone gives the answer."""
    task = Leaky(train_depths=(1, 2, 3), selection_depths=(4,), leak="first_step")
    scores = {row["shortcut"]: row["score"] for row in audit(task, depths=(8,), count=200)}
    assert scores["stop_trained"] == 1.0 and scores["stop_early"] < 0.2


def test_an_oracle_that_is_always_wrong_is_corrected() -> None:
    scores = {row["shortcut"]: row["score"] for row in audit(Leaky((1,), leak="always_wrong"), depths=(8,), count=200)}
    assert scores["stop_trained"] == 0.0 and scores["corrected"] == 1.0


def test_an_oracle_is_not_corrected_where_that_is_likelier_wrong() -> None:
    """Of three letters: right more often than either of the others, where it is wrong."""
    scores = {row["shortcut"]: row["score"] for row in audit(TASKS["p_hop_induction"](), depths=(8,), count=300)}
    assert scores["corrected"] > scores["stop_trained"] - 0.05


def test_where_an_oracle_gives_nothing_the_commonest_answer_is_taken() -> None:
    known = Questions(*(np.repeat(part, 20, axis=0) for part in _questions(Leaky(), 8, 10, 0, TRAIN)))
    half = np.where(np.arange(200) % 20 < 10, known.answers, NOT_ASKED)
    lost = known.answers[half == NOT_ASKED]
    assert 100 + np.bincount(lost).max() <= _correct(known, known, half, half, 10) < 200


def test_none_is_found_where_there_is_none() -> None:
    rows = audit(Leaky(), depths=(8,), count=400)
    best = best_shortcut(rows, 8)
    assert best is not None and best["score"] < 0.1 + 0.05 + 3 * 0.015


def test_rows_count_what_they_say() -> None:
    task = TASKS["mod_chain"]()
    rows = audit(task, depths=(1, 10), count=50, seed=1)
    assert rows == audit(task, depths=(1, 10), count=50, seed=1)
    assert rows != audit(task, depths=(1, 10), count=50, seed=2)
    for row in rows:
        assert row["task"] == "mod_chain" and row["count"] == 50 and row["chance"] == task.chance
        assert row["score"] == row["correct"] / 50
    shortcuts = {depth: {row["shortcut"] for row in rows if row["depth"] == depth} for depth in (1, 10)}
    assert shortcuts[10] - shortcuts[1] == {"last_steps", "stop_trained", "stop_early", "corrected"}  # of a part of it
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


def test_who_counts_columns_answers_some_of_carry_chain_as_its_docstring_says():
    """Where the run of nines leaves few others below, most of these decide as the one does that matters."""
    task, right = TASKS["carry_chain"](), {}
    for depth in (10, 40):
        tokens, targets, depths = draw(task, 0, TEST, depth, 0, 1000)
        places = tokens.shape[1] - 1 - (depths == depth)[:, ::-1].argmax(axis=1)
        sums = tokens[:, ::2] + tokens[:, 1::2]
        below = np.arange(sums.shape[1]) < (places // 2)[:, None]
        carry = ((sums > 9) & below).sum(axis=1) > ((sums < 9) & below).sum(axis=1)
        row = np.arange(len(tokens))
        right[depth] = np.mean((sums[row, places // 2] + carry) % 10 == targets[row, places])
    assert 0.56 < right[10] < 0.64 < right[40] < 0.71


def in_other_orders(task: Task, depth: int, steps: slice, count: int, orders: int = 40) -> float:
    """How often the commonest answer of a row, with these of its tokens in other orders, is the right one."""
    rng, right = np.random.default_rng(0), []
    tokens, targets, _ = draw(task, 0, TEST, depth, 0, count)
    for row, answer in zip(tokens, targets[:, -1], strict=True):
        said = []
        for _ in range(orders):
            other = row.copy()
            other[steps] = rng.permutation(row[steps])
            said.append(task.solve(other).targets[-1])
        right.append(np.bincount(said).argmax() == answer)
    return float(np.mean(right))


def test_counts_of_its_steps_answer_little_of_mod_chain_as_its_docstring_says():
    task = TASKS["mod_chain"]()
    assert 0.12 < in_other_orders(task, 10, slice(1, None), 300) < 0.22
    assert in_other_orders(task, 20, slice(1, None), 300) < 0.14
    assert 0.34 < in_other_orders(task, 10, slice(1, -5), 300) < 0.48, "the last five in order"
    assert in_other_orders(task, 20, slice(1, -5), 300) < 0.15


def test_counts_of_its_hops_answer_little_of_khop_facts_as_its_docstring_says():
    task = TASKS["khop_facts"]()
    assert 0.07 < in_other_orders(task, 10, slice(6, None), 300) < 0.18, "after the first five"
    assert in_other_orders(task, 20, slice(6, None), 300) < 0.07


def test_counts_of_its_relations_answer_some_of_relation_composition_as_its_docstring_says():
    """Who walks, and takes the commonest product of the relations on the way in other orders."""
    task, rng, right = TASKS["relation_composition"](), np.random.default_rng(0), []
    tokens, targets, depths = draw(task, 0, TEST, 24, 0, 300)
    facts = tokens[:, : task.facts_length].reshape(len(tokens), -1, 3)
    for row, node, answers, depth in zip(facts, tokens[:, task.facts_length], targets, depths, strict=True):
        leads = {x: (relation, y) for x, relation, y in row.tolist()}
        walked = []
        for _ in range(24):
            relation, node = leads[int(node)]
            walked.append(relation)
        said = [reduce(lambda a, b: task._product[a, b], rng.permutation(walked)) for _ in range(40)]
        right.append(np.bincount(said).argmax() == answers[(depth == 24).argmax()])
    assert 0.25 < np.mean(right) < 0.42


def test_a_look_around_answers_some_of_p_hop_induction_as_its_docstring_says():
    task, right = TASKS["p_hop_induction"](), {}
    for depth in (6, 16):
        scores = {row["shortcut"]: row["score"] for row in audit(task, (depth,), count=400)}
        right[depth] = scores["around"], scores["ahead"]
    assert 0.55 < right[6][0] < 0.78 and right[6][1] > 0.93
    assert 0.33 < right[16][0] < 0.48 and 0.35 < right[16][1] < 0.52


def test_what_lies_around_is_the_text_back_from_where_a_walk_has_got_to():
    task = TASKS["p_hop_induction"]()
    tokens, _, depths = draw(task, 0, TEST, 6, 0, 40)
    places = tokens.shape[1] - 1 - (depths == 6)[:, ::-1].argmax(axis=1)
    for steps in range(7):
        found = task.around(tokens, places, steps)
        assert found.shape == (40, 3, 2 * 40 - 1) and (found[:, :, 40] == found[:, :1, 40]).all()
        for row, place, seen in zip(tokens, places, found, strict=True):
            answers = task.solve(row)
            walk = place - 12 + 2 * steps  # of this walk, the question after so many moves
            here = row[2 * seen[0, 40] + 1]
            assert seen[:, 0].tolist() == (np.arange(3) == here).tolist()
            assert steps == 0 or (answers.depths[walk] == steps and answers.targets[walk] == here)


def levels_left(task: Task, tokens: np.ndarray) -> list[int]:
    """Of each variable, how many levels are still read where its sum is written out as one of lower variables."""
    levels, means, left = {}, {}, []
    for a, op, b, x in ([task.vocabulary[t] for t in row] for row in tokens.reshape(-1, 4)):
        levels[x], means[x] = 1 + max(levels.get(word, 0) for word in (a, b)), (a, op, b)
    for x in means:
        form, read = {x: 1}, 0
        for level in range(levels[x], 0, -1):
            here = {v: form.pop(v) for v in [*form] if levels[v] == level}
            read += any(here.values())
            for v, by in here.items():
                a, op, b = means[v]
                if op == "x":
                    number, a = (int(a), b) if a.isdigit() else (int(b), a) if b.isdigit() else (0, a)
                    shares = [(a, by * number)]
                else:
                    shares = [(a, by), (b, by if op == "+" else -by)]
                for word, share in shares:
                    if not word.isdigit():
                        form[word] = (form.get(word, 0) + share) % task.modulus
        left.append(read)
    return left


def test_levels_fall_out_of_variable_assignment_as_its_docstring_says():
    task = TASKS["variable_assignment"]()
    tokens, _, depths = draw(task, 0, TEST, 24, 0, 300)
    left = [levels_left(task, row) for row in tokens]
    deepest = np.array([max(zip(depths[i, 3::4], of, strict=True))[1] for i, of in enumerate(left)])
    assert (depths.max(axis=1) == 24).all() and 20.5 < deepest.mean() < 22.5
    assert 0.55 < np.mean(deepest < 24) < 0.71 and np.mean(deepest <= 12) < 0.09


def test_a_task_of_other_sizes_is_audited(capsys):
    words = ["audit", "mod_chain", "--depths", "4", "--count", "40", "--format", "json"]
    code, out, _ = told(capsys, *words, "--task.modulus", "5")
    assert code == 0 and {row["chance"] for row in json.loads(out)} == {0.2}
    before = told(capsys, "audit", "--task.modulus", "5", *words[1:])
    assert before[:2] == (0, out), "wherever it stands"
    code, _, err = told(capsys, *words, "--task.modulo", "5")
    assert code == 2 and "did you mean" in err and len(err.splitlines()) == 1
