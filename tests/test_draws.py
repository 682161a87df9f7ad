"""What is drawn, not only that it is answered rightly: the oracle agrees with any rows, records with these alone."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from tasks import NOT_ASKED, TASKS, TEST, TRAIN, draw, stream
from tasks.graph.prompt import cut
from tasks.groups import elements, product_table

DRAWN: dict[str, tuple[int, str]] = {
    "khop_facts": (1, "8b274359c5427264"),
    "khop_context": (2, "3bec0f3b0e7d9157"),
    "chain_end": (3, "adb38788e6b6d4a0"),
    "relation_composition": (6, "87b36e4118c69040"),
    "reachability": (4, "c4505c0db27b329c"),
    "tree_path": (5, "e27ec0cc7897b935"),
    "p_hop_induction": (2, "1409692a807c6019"),
    "mod_chain": (1, "f6f28c06022e8efc"),
    "nested_expression": (4, "b65b6e613ee1c42f"),
    "variable_assignment": (6, "e3056451a95c2e89"),
    "n_ary_addition": (2, "d6dea36661247bec"),
    "carry_chain": (1, "d15592d51b7cc139"),
    "prefix_sum": (2, "dd3a0880f414afe0"),
    "group_word": (3, "6c8ec51730cd04a0"),
}
"""Of each task its version, and what its rows hash to: new rows want a new version, or questions pair up in `compare`
that are not the same."""


def digest(name: str) -> str:
    task, told = TASKS[name](), hashlib.sha256()
    asked = [(task, TEST, task.test_depths[0]), (task, TEST, task.test_depths[-1])]
    for rows, split, depth in [*asked, *((stage, TRAIN, stage.train_depths[-1]) for stage in task.stages)]:
        for array in draw(rows, 0, split, depth, 0, 16):
            told.update(array.astype("<i8").tobytes())
    return told.hexdigest()[:16]


@pytest.mark.parametrize("name", TASKS)
def test_rows_are_those_of_their_version(name: str) -> None:
    assert (TASKS[name]().version, digest(name)) == DRAWN[name]


@pytest.mark.parametrize("group", ["A5", "S5", "S3"])
def test_letters_generate_the_whole_group(group: str) -> None:
    """Else words would be of a smaller group, and of A5's subgroups all but itself can be solved."""
    task = TASKS["group_word"](group=group)
    product, had = product_table(elements(group)), {0}
    while len(more := had | {int(product[a, b]) for a in had for b in task._letters}) > len(had):
        had = more
    assert len(had) == len(elements(group))
    drawn = task.sample(stream(0, TEST, 10, 0), 10, 2000).tokens[:, 2:]
    counts = np.bincount(drawn.ravel(), minlength=len(had))[task._letters]
    assert counts.sum() == drawn.size and abs(counts / counts.mean() - 1).max() < 0.1


def test_columns_carry_as_often_as_not() -> None:
    task = TASKS["carry_chain"]()
    for depth in (1, 10, 40):
        batch = task.sample(stream(0, TEST, depth, 0), depth, 2000)
        first, second = batch.tokens[:, 0], batch.tokens[:, 1]
        assert abs(float((first + second > 9).mean()) - 0.5) < 0.04
        carried = (batch.targets[:, 3] - batch.tokens[:, 2] - batch.tokens[:, 3]) % 10  # into the second column
        assert set(carried.tolist()) <= {0, 1} and abs(float(carried.mean()) - 0.5) < 0.04


def test_relations_are_drawn_alike_and_do_not_commute() -> None:
    task = TASKS["khop_facts"]()
    words = task.sample(stream(0, TEST, 8, 0), 8, 4000).tokens
    relations = np.bincount(words[:, 1:].ravel() - task.entities, minlength=task.relations)
    starts = np.bincount(words[:, 0], minlength=task.entities)
    assert abs(relations / relations.mean() - 1).max() < 0.1 and starts.min() > 0.6 * starts.mean()
    pairs = list(combinations(range(task.relations), 2))
    assert all((task.facts[a][task.facts[b]] != task.facts[b][task.facts[a]]).mean() > 0.7 for a, b in pairs)
    assert not np.array_equal(replace(task, facts_seed=1).facts, task.facts)


@pytest.mark.parametrize("name", ["khop_context", "relation_composition", "chain_end", "reachability", "tree_path"])
def test_facts_stand_in_no_order(name: str) -> None:
    """Half of all facts come after the one that they lead to, and their distance is not told by a step."""
    task, gaps = TASKS[name](), []
    for row in task.sample(stream(0, TEST, 6, 0), 6, 60).tokens[:, : task.facts_length]:
        steps = row.reshape(-1, 3)[:, ::2].tolist()
        place = {x: at for at, (x, _) in enumerate(steps)}
        gaps += [place[y] - place[x] for x, y in steps if x != y and y in place]
    shares = np.unique(gaps, return_counts=True)[1] / len(gaps)
    assert 0.42 < (np.array(gaps) < 0).mean() < 0.58 and shares.max() < 0.1


@pytest.mark.parametrize("name", ["n_ary_addition", "mod_chain", "prefix_sum", "p_hop_induction"])
def test_answers_are_spread_as_chance_says(name: str) -> None:
    task = TASKS[name]()
    depth = task.test_depths[0]
    batch = task.sample(stream(0, TEST, depth, 0), depth, 3000)
    deepest = batch.targets[(batch.targets != NOT_ASKED) & (batch.depths == depth)]
    shares = np.bincount(deepest) / len(deepest)
    assert shares.max() < task.chance + 0.06


def test_numbers_that_are_added_have_every_digit_at_every_place() -> None:
    task = TASKS["n_ary_addition"]()
    words = task.sample(stream(0, TEST, 12, 0), 12, 500).tokens
    digits = words[words < 10]
    assert abs(np.bincount(digits, minlength=10) / (len(digits) / 10) - 1).max() < 0.1


def test_definitions_and_expressions_have_all_their_kinds() -> None:
    task = TASKS["variable_assignment"]()
    rows = [[task.vocabulary[t] for t in row] for row in task.sample(stream(0, TEST, 8, 0), 8, 200).tokens]
    kinds = {}  # variables that a definition reads, and its operator
    for row in rows:
        for a, sign, b, _ in cut(row, 4):
            kind = ((a[0] == "v") + (b[0] == "v"), sign)
            kinds[kind] = kinds.get(kind, 0) + 1
    total = sum(kinds.values())
    assert set(kinds) == {(n, sign) for n in (0, 1, 2) for sign in "+-x"} - {(2, "x")}
    assert 0.3 < sum(kinds[2, sign] for sign in "+-") / total < 0.5 and min(kinds.values()) > 0.005 * total
    task = TASKS["nested_expression"]()
    words = [task.vocabulary[t] for t in task.sample(stream(0, TEST, 8, 0), 8, 200).tokens.ravel()]
    counts = {sign: words.count(sign) for sign in "+-x"}
    assert min(counts.values()) > 0.1 * sum(counts.values()), counts


@pytest.mark.parametrize("name", [name for name, task in TASKS.items() if task().facts_length or not task().prefixes])
def test_an_oracle_that_stops_in_time_is_right_and_one_step_early_says_something(name: str) -> None:
    """What the audit's shortcuts `stop_early` and `stop_trained` stand on."""
    task, depth = TASKS[name](), TASKS[name]().test_depths[0]
    batch, early = task.sample(stream(0, TEST, depth, 0), depth, 40), []
    for tokens, targets, depths in zip(*batch, strict=True):
        asked = (targets != NOT_ASKED) & (depths == depth)
        full, less = task.partial(tokens, depth), task.partial(tokens, depth - 1)
        assert full is not None and less is not None
        assert full[asked].tolist() == targets[asked].tolist()
        early += (less[asked] != NOT_ASKED).tolist()
    assert np.mean(early) > 0.9


@pytest.mark.parametrize("name", ["chain_end", "reachability", "tree_path"])
def test_a_row_asks_questions_of_every_depth_up_to_its_own(name: str) -> None:
    task = TASKS[name]()
    depths = task.sample(stream(0, TEST, 6, 0), 6, 200).depths
    assert np.unique(depths[depths > 0]).tolist() == [1, 2, 3, 4, 5, 6] and (depths.max(1) == 6).all()


def test_walks_over_a_text_start_all_over_it() -> None:
    task = TASKS["p_hop_induction"]()
    batch = task.sample(stream(0, TEST, 6, 0), 6, 100)
    starts = set()
    for row in batch.tokens:
        words = [task.vocabulary[t] for t in row]
        names = {word: at for at, word in enumerate(words[: 2 * task.length : 2])}
        starts |= {names[word] for word in words[2 * task.length :] if word in names}
    assert len(starts) > task.length // 3
