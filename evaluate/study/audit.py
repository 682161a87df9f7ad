"""What would a shortcut score? For each task and depth, the accuracy of answering without the reasoning asked for.

MEANS says what each is. A learner is trained at the very depth that it is then tested at, which is more than any model
gets. Questions of training and test never share a row. Every shortcut is scored on the same rows, at the last deepest
question of each.
In Python: `audit(TASKS["chain_end"](), depths=(8, 16), count=1000, seed=0)`, then `best_shortcut(rows, 16)`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from tasks import NOT_ASKED, TEST, TRAIN, Task, draw

MEANS = {
    "majority": "the commonest answer",
    "question": "a learner that sees the question without the facts",
    "facts": "a learner that sees the facts without the question",
    "shallow": "a learner that sees all of the row, by token counts, positions and pairs",
    "candidates": "a learner that weighs each token as the answer by what stands near it",
    "around": "a learner that sees what lies about the place where the question begins",
    "ahead": "the oracle, after as many steps as the deepest trained depth, and such a learner where it leads to",
    "stop_trained": "the oracle, after as many steps as a trained depth has, of these the best by training rows",
    "stop_early": "the oracle, stopped one step early",
    "corrected": "the oracle as in stop_trained, and a learner that doubts it by token counts",
    "last_steps": "the oracle, having seen only the last steps, as many as a trained depth has, the best of these",
}
"""`candidates` sees where a token stands and what it stands next to, whatever its name: what "the node without a
successor" looks like to it, it can tell."""

NEAR = 8  # positions before the asked one that a learner sees by their distance to it
LEARN = 4  # a learner trains on so many times the rows that it is tested on
LEARN_AROUND = 10  # and one that sees what lies about a place, on so many: it goes on getting better for longer

Row = dict[str, Any]


class Questions(NamedTuple):
    """Rows (count, length), the place of each one's question (count,) and its answer (count,)."""

    tokens: np.ndarray
    places: np.ndarray
    answers: np.ndarray


def audit(task: Task, depths: Iterable[int], count: int = 1000, seed: int = 0) -> list[Row]:
    """One row for each depth and shortcut that applies: task, version, sizes, depth, shortcut, score, chance ..."""
    rows: list[Row] = []
    for depth in depths:
        with threadpool_limits(1):  # on a busy machine the learners' threads would only wait for each other
            scores = _scores(task, depth, count, seed)
        for shortcut, correct in scores.items():
            score = correct / count
            rows.append(
                {
                    "task": task.name,
                    "task_version": task.version,
                    "sizes": task.written_sizes,
                    "depth": depth,
                    "shortcut": shortcut,
                    "correct": correct,
                    "count": count,
                    "score": score,
                    "chance": task.chance,
                }
            )
    return rows


def best_shortcut(rows: Iterable[Row], depth: int) -> Row | None:
    """The row of the best shortcut at a depth; None where the depth was not audited."""
    return max((row for row in rows if row["depth"] == depth), key=lambda row: row["score"], default=None)


def _scores(task: Task, depth: int, count: int, seed: int) -> dict[str, int]:
    """How many of `count` questions each shortcut answers."""
    known = _questions(task, depth, LEARN * count, seed, TRAIN)
    asked = _questions(task, depth, count, seed, TEST)
    tokens, _, answers = asked
    majority = np.bincount(known.answers).argmax()
    scores = {"majority": int((answers == majority).sum())}

    facts = task.facts_length
    parts = {"question": slice(facts, None), "facts": slice(0, facts)} if facts else {}
    for name, part in {**parts, "shallow": slice(0, None)}.items():
        scores[name] = _learn(known, asked, part, len(task.vocabulary), seed)
    scores["candidates"] = _weigh(known, asked, facts, len(task.vocabulary), seed)

    for name, steps in (("around", 0), ("ahead", task.train_depths[-1])):
        here = task.around(tokens, asked.places, steps) if steps < depth else None
        if here is not None:
            many = _questions(task, depth, LEARN_AROUND * count, seed, TRAIN)
            there = task.around(many.tokens, many.places, steps)
            assert there is not None, "as `here`"
            scores[name] = _likeliest(there, many.answers, here, answers, seed, trees=150)

    trained = range(1, task.train_depths[-1] + 1)
    oracles = {
        "stop_trained": (task.partial, trained),
        "stop_early": (task.partial, [depth - 1]),
        "last_steps": (task.recent, trained),
    }
    few = Questions(*(part[:count] for part in known))
    for name, (oracle, numbers) in oracles.items():
        able = [steps for steps in numbers if 1 <= steps < depth]  # more would be the whole oracle
        if able and oracle(tokens[0], able[0]) is not None:
            best = able[0]
            if len(able) > 1:
                best = max(able, key=lambda steps: int((_said(oracle, steps, few) == few.answers).sum()))
            said = _said(oracle, best, asked)
            scores[name] = int((said == answers).sum())
            if name == "stop_trained":
                scores["corrected"] = _correct(known, asked, _said(oracle, best, known), said, len(task.vocabulary))
    return scores


Oracle = Callable[[np.ndarray, int], np.ndarray | None]


def _said(oracle: Oracle, steps: int, asked: Questions) -> np.ndarray:
    """What such an oracle answers by so many steps (count,)."""
    rows = [oracle(row, steps) for row in asked.tokens]
    return np.array([NOT_ASKED if row is None else row[at] for row, at in zip(rows, asked.places, strict=True)])


def _questions(task: Task, depth: int, count: int, seed: int, split: int) -> Questions:
    """Rows, the place of the last deepest question in each, and its answer."""
    batch = draw(task, seed, split, depth, 0, count)
    length = batch.tokens.shape[1]
    places = length - 1 - (batch.depths == depth)[:, ::-1].argmax(axis=1)
    return Questions(batch.tokens, places, batch.targets[np.arange(count), places])


def _learn(known: Questions, asked: Questions, part: slice, vocabulary: int, seed: int) -> int:
    """Correct answers of the better of two learners on shallow features of one part of the row."""
    seen_known, seen_asked = (
        _features(of.tokens, of.places, part.start, part.stop, vocabulary) for of in (known, asked)
    )
    used = np.flatnonzero(seen_known.getnnz(axis=0) > 1)
    near = vocabulary * (1 + NEAR)  # the counts and the near positions, few enough for trees
    if len(np.unique(known.answers)) == 1 or not len(used):  # nothing to learn, or too few rows to learn it from
        return int((asked.answers == known.answers[0]).sum())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # stopped early on purpose: it would only overfit
        linear = LogisticRegression(C=0.1, max_iter=15).fit(seen_known[:, used], known.answers)
    trees = ExtraTreesClassifier(50, max_depth=12, random_state=seed).fit(seen_known[:, :near], known.answers)
    by_linear, by_trees = linear.predict(seen_asked[:, used]), trees.predict(seen_asked[:, :near])
    return max(int((by_linear == asked.answers).sum()), int((by_trees == asked.answers).sum()))


def _correct(known: Questions, asked: Questions, said: np.ndarray, now: np.ndarray, vocabulary: int) -> int:
    """Correct answers of a learner that is told what an oracle said of the rows it knows, `said`, and of those asked,
    `now`: it answers what was right most often where the oracle said that and was wrong, if that is likelier right.

    It sees little, counts and the near positions: a sum is told by few weights, or not at all.
    """
    said, now = (np.where(of == NOT_ASKED, vocabulary, of) for of in (said, now))  # a word that is no answer
    wrong = said != known.answers
    if not wrong.any():
        return int((now == asked.answers).sum())
    doubt = np.ones(len(now))
    if not wrong.all():
        near = vocabulary * (1 + NEAR)
        seen = [_features(of.tokens, of.places, 0, None, vocabulary)[:, :near] for of in (known, asked)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            doubt = LogisticRegression(C=0.1, max_iter=50).fit(seen[0], wrong).predict_proba(seen[1])[:, 1]
    doubt[now == vocabulary] = 1
    instead, right = np.arange(vocabulary + 1), np.zeros(vocabulary + 1)
    for word in np.unique(said[wrong]):
        then = np.bincount(known.answers[wrong & (said == word)])
        instead[word], right[word] = then.argmax(), then.max() / then.sum()
    return int((np.where(doubt * right[now] > 1 - doubt, instead[now], now) == asked.answers).sum())


def _features(
    tokens: np.ndarray, places: np.ndarray, first: int, last: int | None, vocabulary: int
) -> sparse.csr_matrix:
    """Token counts, tokens by distance to the question, tokens by position, adjacent pairs; (count, features).

    A learner sees no further than the question, as a causal model does.
    """
    count, length = tokens.shape
    position = np.arange(length)
    distance = places[:, None] - position
    seen = (distance >= 0) & (position >= first) & (position < (length if last is None else last))
    near = seen & (distance < NEAR)
    pair = seen[:, 1:] & seen[:, :-1]
    blocks = [
        (seen, tokens),
        (near, vocabulary * (1 + distance) + tokens),
        (seen, vocabulary * (1 + NEAR + position) + tokens),
        (pair, vocabulary * (1 + NEAR + length) + vocabulary * tokens[:, :-1] + tokens[:, 1:]),
    ]
    rows = np.concatenate([np.nonzero(mask)[0] for mask, _ in blocks])
    columns = np.concatenate([column[mask] for mask, column in blocks])
    width = vocabulary * (1 + NEAR + length + vocabulary)
    ones = np.ones(len(rows), dtype=np.float32)
    return sparse.csr_matrix((ones, (rows, columns)), shape=(count, width))


def _weigh(known: Questions, asked: Questions, facts: int, vocabulary: int, seed: int) -> int:
    """Correct answers of a learner that takes, in each row, the likeliest of all tokens."""
    few = len(asked.tokens)  # each row is as many examples as there are tokens
    there = _token_features(known.tokens[:few], known.places[:few], facts, vocabulary)
    here = _token_features(asked.tokens, asked.places, facts, vocabulary)
    return _likeliest(there, known.answers[:few], here, asked.answers, seed, trees=50)


def _likeliest(there: np.ndarray, known: np.ndarray, here: np.ndarray, asked: np.ndarray, seed: int, trees: int) -> int:
    """Correct answers of a learner that weighs each possible answer by its features (count, answers, features), taught
    by those `there`, whose answers (count,) are known, and asked by those `here`."""
    answers = there.shape[1]
    learner = HistGradientBoostingClassifier(max_iter=trees, random_state=seed, early_stopping=False)
    learner.fit(there.reshape(-1, there.shape[2]), (np.arange(answers) == known[:, None]).reshape(-1))
    likely = learner.predict_proba(here.reshape(-1, here.shape[2]))[:, 1].reshape(-1, answers)
    return int((likely.argmax(axis=1) == asked).sum())


def _token_features(tokens: np.ndarray, places: np.ndarray, facts: int, vocabulary: int) -> np.ndarray:
    """What a row shows of each token of the vocabulary, up to the question; float32 (count, vocabulary, features)."""
    count, length = tokens.shape
    position = np.arange(length)
    seen = position <= places[:, None]
    row = np.arange(count)
    # The tokens that matter most: the asked one, the one before it, the first of the question.
    question = [tokens[row, places], tokens[row, np.maximum(places - 1, 0)], tokens[:, facts]]

    def counted(where: np.ndarray, what: np.ndarray) -> np.ndarray:
        rows, columns = np.nonzero(where)
        return np.bincount(rows * vocabulary + what[rows, columns], minlength=count * vocabulary)

    after, before = np.roll(tokens, -1, axis=1), np.roll(tokens, 1, axis=1)
    has_after, has_before = position < places[:, None], seen & (position > 0)
    flat = [np.tile(np.arange(vocabulary), count), counted(seen, tokens)]
    for period in (2, 3, 4):
        flat += [counted(seen & (position % period == phase), tokens) for phase in range(period)]
    for asked in question:
        here = tokens == asked[:, None]
        flat += [counted(here & has_after, after), counted(here & has_before, before)]
    last = np.full((count, vocabulary), -1)
    for place in range(length):
        last[row, tokens[:, place]] = np.where(seen[:, place], place, last[row, tokens[:, place]])
    flat.append((places[:, None] - last).reshape(-1))
    beside = (tokens == question[0][:, None]) & (before == question[1][:, None]) & has_before
    turned = (tokens == question[1][:, None]) & (before == question[0][:, None]) & has_before
    flat += [np.repeat(found.sum(axis=1), vocabulary) for found in (beside, turned)]
    return np.stack(flat, axis=1).reshape(count, vocabulary, -1).astype(np.float32)
