"""The audit must find each kind of shortcut where there is one, and none where there is none."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from evaluate.study.audit import Questions, _correct, _questions, audit, best_shortcut
from tasks import NOT_ASKED, TASKS, TEST, TRAIN, Answers, Batch, Task, draw
from tests.fakes import told

FACTS = 4
LEAKS = (
    "majority", "question", "facts", "shallow", "candidates", "stop_trained", "stop_early", "corrected", "last_steps",
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


def test_counts_of_its_steps_answer_little_of_mod_chain_as_its_docstring_says():
    """The commonest result of those steps in other orders."""
    task, rng, right = TASKS["mod_chain"](), np.random.default_rng(0), {}
    for depth in (10, 20):
        tokens, targets, _ = draw(task, 0, TEST, depth, 0, 300)
        said = []
        for row in tokens:
            orders = [np.append(row[:1], rng.permutation(row[1:])) for _ in range(40)]
            said.append(np.bincount([task.solve(order).targets[-1] for order in orders]).argmax())
        right[depth] = np.mean(np.array(said) == targets[:, -1])
    assert 0.12 < right[10] < 0.22 and right[20] < 0.14


def by_place(task: Task, depth: int, split: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What stands where, seen from where three moves of a row's first walk lead: for each letter (count, letters,
    features), whether it is the answer (count, letters), and the answer (count,)."""
    tokens, targets, depths = draw(task, 0, split, depth, 0, count)
    row, text = np.arange(count), tokens[:, 1 : 2 * task.length : 2]
    at = (tokens[:, : 2 * task.length : 2] == tokens[:, [2 * task.length]]).argmax(axis=1)
    walked = [text[row, at]]
    for _ in range(3):
        before = (text == walked[-1][:, None]) & (np.arange(task.length) < at[:, None])
        at = task.length - before[:, ::-1].argmax(axis=1)
        walked.append(text[row, at])
    back = np.stack([np.where(at >= far, text[row, at - far], -1) for far in range(task.length)], axis=1)
    letters = np.concatenate([text[:, : task.length // 2], back, np.stack(walked, axis=1)], axis=1)
    alike = letters[:, None] == np.arange(task.alphabet)[:, None]
    features = np.concatenate([alike, np.broadcast_to(at[:, None, None], (count, task.alphabet, 1))], axis=2)
    answers = targets[row, (depths == depth).argmax(axis=1)]
    return features, answers[:, None] == np.arange(task.alphabet), answers


def test_three_moves_and_a_guess_answer_some_of_p_hop_induction_as_its_docstring_says():
    task, right = TASKS["p_hop_induction"](), {}
    for depth in (8, 16):
        seen, is_answer, _ = by_place(task, depth, TRAIN, 8000)
        trees = HistGradientBoostingClassifier(max_iter=100, random_state=0, early_stopping=False)
        trees.fit(seen.reshape(-1, seen.shape[2]), is_answer.reshape(-1))
        seen, _, answers = by_place(task, depth, TEST, 1000)
        likely = trees.predict_proba(seen.reshape(-1, seen.shape[2]))[:, 1].reshape(len(answers), -1)
        right[depth] = np.mean(likely.argmax(axis=1) == answers)
    assert 0.38 < right[16] < 0.47 and 0.55 < right[8] < 0.66


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
