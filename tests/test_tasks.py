"""Every promise of the task contract, for every task in the registry: a new task is covered by its line in TASKS."""

from __future__ import annotations

import dataclasses
import inspect
import re
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks import NOT_ASKED, SELECTION, TASKS, TEST, TRAIN, Batch, Task, UserError, draw, stream, task_class
from tasks.checks import check
from tasks.task import content_split

NAMES = tuple(TASKS)

# Other sizes than the defaults, so that no promise holds by the luck of one size.
SIZES: dict[str, list[dict[str, object]]] = {
    "khop_facts": [
        {"entities": 3, "relations": 1},
        {"entities": 200, "relations": 10, "facts_seed": 7},
        {"terms": 12},
    ],
    "khop_context": [{"nodes": 3}, {"nodes": 9, "hops": 7}, {"nodes": 16, "names": 16}],
    "chain_end": [{"chains": 2, "length": 6}, {"chains": 5, "short": 2, "length": 4, "queries": 1}],
    "relation_composition": [
        {"nodes": 3},
        {"nodes": 9, "hops": 7, "group": "A5"},
        {"wanted": "all", "group": "S4"},
        {"wanted": "steps"},
    ],
    "reachability": [{"chains": 2, "length": 6}, {"chains": 5, "short": 2, "length": 4, "queries": 1}],
    "tree_path": [{"arms": 2, "length": 6}, {"arms": 5, "short": 2, "length": 4, "queries": 1}],
    "p_hop_induction": [
        {"length": 16, "hops": 8},
        {"length": 256, "names": 256, "alphabet": 4, "hops": 32, "room": 40},
        {"alphabet": 8, "hops": 6, "way": True},
    ],
    "mod_chain": [{"modulus": 3, "largest_operand": 2}, {"modulus": 97, "largest_operand": 96}, {"terms": 12}],
    "nested_expression": [
        {"leaves": 2, "expressions": 1},
        {"leaves": 9, "modulus": 5},
        {"leaves": 33, "names": 40, "modulus": 11},
    ],
    "variable_assignment": [
        {"variables": 5, "levels": 5},
        {"variables": 30, "names": 40},
        {"modulus": 23, "largest_operand": 22},
    ],
    "n_ary_addition": [{"digits": 1}, {"digits": 15}],
    "carry_chain": [{"columns": 2}, {"columns": 9}],
    "prefix_sum": [{}],
    "group_word": [{"group": "S3"}, {"group": "S5"}, {"terms": 12}],
}

# Where the facts stand in the prompt in random order: the tokens of one.
FACT_TOKENS = {
    "khop_context": 3,
    "chain_end": 3,
    "relation_composition": 3,
    "reachability": 3,
    "tree_path": 3,
}


def depths_of(task: Task) -> list[int]:
    return [*task.train_depths, *task.selection_depths, *task.test_depths]


def assert_oracle_agrees(task: Task, batch: Batch, depth: int) -> None:
    assert batch.depths.max(axis=1).tolist() == [depth] * len(batch.tokens)
    for tokens, targets, depths in zip(*batch, strict=True):
        asked = targets != NOT_ASKED
        answers = task.solve(tokens)
        assert answers.targets[asked].tolist() == targets[asked].tolist()
        assert answers.depths[asked].tolist() == depths[asked].tolist(), "the oracle's own count of its steps"


# Tested to less than eight times the trained depth, which would take rows of 144 tokens (nested_expression) to 283.
SHORTER = {"chain_end": 4, "reachability": 4, "tree_path": 4, "p_hop_induction": 5, "nested_expression": 6}


@pytest.mark.parametrize("name", NAMES)
def test_default_bands_can_be_had_and_reach_far(name: str) -> None:
    task = TASKS[name]()
    task.check_bands()
    times = SHORTER.get(name, 8)
    assert task.test_depths[-1] >= times * task.train_depths[-1], "or say in the docstring why not, and except it here"
    assert task.name == name and TASKS[name] is task_class(name)
    assert len(set(task.vocabulary)) == len(task.vocabulary) and 0 < task.chance < 1


@pytest.mark.parametrize("name", NAMES)
def test_shapes_types_and_ranges(name: str) -> None:
    task = TASKS[name]()
    lengths = set()
    for depth in depths_of(task):
        batch = draw(task, seed=0, split=TRAIN, depth=depth, block=0, count=16)
        lengths.add(batch.tokens.shape[1])
        for array in batch:
            assert array.shape == batch.tokens.shape and array.dtype == np.int64 and len(array) == 16
        asked = batch.targets != NOT_ASKED
        assert asked.any(axis=1).all() and ((batch.depths > 0) == asked).all()
        for words in (batch.tokens, batch.targets[asked]):
            assert words.min() >= 0 and words.max() < len(task.vocabulary)
        assert 0 <= task.facts_length < batch.tokens.shape[1]
        assert not asked[:, : task.facts_length].any(), "nothing is asked before the question"
        if task.prefixes:
            assert all(set(row[row > 0].tolist()) == set(range(1, depth + 1)) for row in batch.depths)
    assert (len(lengths) == 1) == task.fixed_length


@pytest.mark.parametrize("name", NAMES)
def test_oracle_agrees_at_every_depth_of_the_bands(name: str) -> None:
    task = TASKS[name]()
    for depth in depths_of(task):
        assert_oracle_agrees(task, draw(task, seed=3, split=TEST, depth=depth, block=1, count=25), depth)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_oracle_agrees_at_any_size_depth_and_seed(name: str, data: st.DataObject) -> None:
    task = TASKS[name](**data.draw(st.sampled_from([{}, *SIZES[name]])))
    depth = data.draw(st.integers(task.min_depth, task.max_depth or 100))
    seed = data.draw(st.integers(0, 2**31))
    assert_oracle_agrees(task, task.sample(stream(seed, TRAIN, depth, 0), depth, 6), depth)


@pytest.mark.parametrize("name", NAMES)
def test_draw_is_reproducible_and_streams_share_nothing(name: str) -> None:
    task = TASKS[name]()
    depth = task.test_depths[0]

    def rows(seed: int, split: int, block: int) -> set[bytes]:
        return {row.tobytes() for row in draw(task, seed, split, depth, block, 200).tokens}

    first = draw(task, 5, TRAIN, depth, 0, 200)
    for array, again in zip(first, draw(task, 5, TRAIN, depth, 0, 200), strict=True):
        assert (array == again).all()
    drawn = [rows(*place) for place in ((5, TRAIN, 0), (6, TRAIN, 0), (5, TRAIN, 1), (5, SELECTION, 0), (5, TEST, 0))]
    assert len(drawn[0]) == 200, "a stream hardly repeats itself"
    for one, other in combinations(drawn, 2):
        assert len(one & other) <= 2, "what two streams share, they share by chance"


@pytest.mark.parametrize("name", NAMES)
def test_splits_are_disjoint_by_content(name: str) -> None:
    task = TASKS[name]()
    depth = task.train_depths[0]  # where the space is smallest
    content = {}
    for split in (TRAIN, SELECTION, TEST):
        batch = draw(task, split, split, depth, 0, 300)
        canonical = task.canonical(batch.tokens)
        assert (content_split(canonical) == split).all()
        content[split] = {row.tobytes() for row in canonical}
    assert not content[TRAIN] & content[SELECTION] and not content[TRAIN] & content[TEST]
    assert not content[SELECTION] & content[TEST]


@pytest.mark.parametrize("name", NAMES)
def test_canonical_keeps_the_answers_and_undoes_the_shuffle(name: str) -> None:
    task = TASKS[name]()
    depth = task.train_depths[-1]
    batch = task.sample(stream(1, TRAIN, depth, 0), depth, 20)
    canonical = task.canonical(batch.tokens)
    assert canonical.shape == batch.tokens.shape and (task.canonical(canonical) == canonical).all()
    assert_oracle_agrees(task, batch._replace(tokens=canonical), depth)
    assert (canonical != batch.tokens).any() == (name in FACT_TOKENS)
    if name in FACT_TOKENS:  # facts in another order are the same content
        facts = batch.tokens[:, : task.facts_length].reshape(20, -1, FACT_TOKENS[name])[:, ::-1].reshape(20, -1)
        turned = np.concatenate([facts, batch.tokens[:, task.facts_length :]], axis=1)
        assert (turned != batch.tokens).any() and (task.canonical(turned) == canonical).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_depth_that_cannot_be_had_is_refused_with_the_range(name: str) -> None:
    task = TASKS[name]()
    with pytest.raises(UserError, match=f"{name} has no depth 0: allowed are depths of {task.min_depth} "):
        draw(task, 0, TRAIN, 0, 0, 1)
    if task.max_depth is not None:
        with pytest.raises(UserError, match=f"of {task.min_depth} to {task.max_depth} at this size"):
            draw(task, 0, TRAIN, task.max_depth + 1, 0, 1)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "prefix_sum"])  # which has no sizes
def test_a_size_that_cannot_be_had_is_refused_in_one_line(name: str) -> None:
    for field in dataclasses.fields(TASKS[name]):
        if field.name.endswith("_depths") or field.name == "curriculum" or field.type == "bool":
            continue
        for bad in ("Q7",) if field.type == "str" else (-1, 10**10):
            with pytest.raises(UserError) as refusal:
                TASKS[name](**{field.name: bad})
            assert field.name in str(refusal.value) and repr(bad) in str(refusal.value)
            assert "allowed" in str(refusal.value) and "\n" not in str(refusal.value)


def worked_examples(docstring: str) -> list[tuple[int, list[str], list[str]]]:
    """(depth, tokens, answers) of each example in a docstring; two may stand side by side."""
    lines = docstring.splitlines()
    found = []
    for above, below in pairwise(lines):
        starts = [m.start() for m in re.finditer(r"depth \d+ +tokens", above)]
        for start, end in zip(starts, [*starts[1:], None], strict=False):
            _, depth, _, *tokens = above[start:end].split()
            _, *answers = below[start:end].split()
            found.append((int(depth), tokens, answers))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_worked_examples_are_true(name: str) -> None:
    docstring = inspect.getdoc(TASKS[name]) or ""
    examples = docstring[docstring.index("Two examples") :]
    sizes = {k: int(v) if v.isdigit() else v.strip('"') for k, v in re.findall(r"`(\w+)=([^`]+)`", examples)}
    task = TASKS[name](**sizes)
    if name == "khop_facts":  # its example states its own facts
        task = TASKS[name](entities=3, relations=2)
        task.__dict__["facts"] = np.array([[2, 0, 1], [1, 0, 2]])
    found = worked_examples(examples)
    assert len(found) == 2 and found[0][0] < found[1][0]
    for depth, tokens, answers in found:
        row = np.array([task.vocabulary.index(word) for word in tokens])
        expected = [NOT_ASKED if word == "." else task.vocabulary.index(word) for word in answers]
        solved = task.solve(row)
        asked = [i for i, target in enumerate(expected) if target != NOT_ASKED]
        assert len(expected) == len(row) and solved.targets[asked].tolist() == [expected[i] for i in asked]
        assert max(solved.depths[asked].tolist()) == depth


def test_all_shares_of_the_splits_are_had() -> None:
    task = TASKS["mod_chain"]()
    rows = task.sample(stream(0, TRAIN, 12, 0), 12, 20_000).tokens
    shares = np.bincount(content_split(rows), minlength=3) / len(rows)
    assert np.abs(shares - [6 / 8, 1 / 8, 1 / 8]).max() < 0.01


def test_an_unknown_task_gets_the_nearest_spelling() -> None:
    with pytest.raises(UserError, match="did you mean 'group_word'"):
        task_class("group_wrod")


def test_p_hop_is_the_papers_definition() -> None:
    """find(i) = the largest j <= i with x[j - 1] = x[i], applied p times; x counted from 1."""
    task = TASKS["p_hop_induction"](length=30, hops=7, room=9, way=True)
    batch = task.sample(stream(0, TRAIN, 4, 0), 4, 50)
    for tokens, targets in zip(batch.tokens.tolist(), batch.targets.tolist(), strict=True):
        x, names = [None, *tokens[1:60:2]], [None, *tokens[:60:2]]

        def find(i: int, x: list = x) -> int | None:
            return max((j for j in range(2, i + 1) if x[j - 1] == x[i]), default=None)

        for i in range(1, 31):
            assert targets[2 * i - 1] == (names[find(i)] if find(i) else NOT_ASKED)
        for walk in (60, 69):  # two walks of four moves
            place = names.index(tokens[walk])
            assert targets[walk] == x[place]
            for hop in range(1, 5):
                place = find(place)
                assert targets[walk + 2 * hop - 1 : walk + 2 * hop + 1] == [names[place], x[place]]
        assert targets[78:] == [NOT_ASKED]


def test_no_value_of_an_expression_is_zero_and_all_heights_are_had() -> None:
    task = TASKS["nested_expression"](leaves=16)
    for depth in range(task.min_depth, task.max_depth + 1):
        batch = task.sample(stream(0, TRAIN, depth, 0), depth, 50)
        assert (batch.targets != 0).all() and (batch.depths[:, -1] == depth).all()


def test_a_name_in_an_expression_asks_where_it_stands_again_and_nowhere_else() -> None:
    """For a digit too, which is one look-up: what nothing asks for is read worst."""
    task = TASKS["nested_expression"]()
    digits = 0
    for tokens, targets, depths in zip(*task.sample(stream(0, TRAIN, 6, 0), 6, 50), strict=True):
        stands: dict[int, int] = {}
        for place, token in enumerate(tokens.tolist()):
            if not task.vocabulary[token].startswith("n"):
                continue
            if token not in stands:
                stands[token] = place
                assert targets[place] == NOT_ASKED
            elif (digit := tokens[stands[token] + 1]) < task.modulus:
                digits += 1
                assert (targets[place], depths[place]) == (digit, 1)
            else:
                assert targets[place] != NOT_ASKED
    assert digits > 100


def test_an_expression_is_not_read_by_a_stack_that_ignores_its_names() -> None:
    """As other expressions stand between operands, it takes one of these; of one expression it would be right."""
    for expressions in (1, 4):
        task = TASKS["nested_expression"](expressions=expressions)
        wrong = 0
        for tokens, targets in zip(*task.sample(stream(0, TRAIN, 8, 0), 8, 100)[:2], strict=True):
            waiting: list[int] = []
            for word in (task.vocabulary[t] for t in tokens.tolist()):
                if word.isdigit():
                    waiting.append(int(word))
                elif not word.startswith("n"):
                    b, a = waiting.pop(), waiting.pop()
                    waiting.append({"+": a + b, "-": a - b, "x": a * b}[word] % task.modulus)
            wrong += waiting[-1] != targets[-1]
        assert wrong == 0 if expressions == 1 else wrong > 30


@pytest.mark.parametrize("name", ["chain_end", "reachability", "tree_path"])
def test_who_knows_the_short_chains_apart_has_still_to_choose_between_two(name: str) -> None:
    """A deep question is about a long chain. Were there one alone, its end could be told in a few steps, as the end
    that no short chain has."""
    task = TASKS[name]()
    batch = task.sample(stream(0, TEST, 12, 0), 12, 200)
    first = 0
    for tokens, targets in zip(batch.tokens, batch.targets, strict=True):
        facts = tokens[: task.facts_length].reshape(-1, 3)
        after = {x: y for x, _, y in facts.tolist()}
        ends = {}  # of every long chain: its end, or for a path-star its first step
        for start in set(facts[:, 0].tolist()) | set(facts[:, 2].tolist()):
            here, steps = start, 0
            while here in after and after[here] != here and task.vocabulary[after[here]] != "root":
                here, steps = after[here], steps + 1
            if steps == task.max_depth:
                ends[here] = start
        assert len(ends) == 2
        if name == "reachability":
            assert {int(tokens[-1])} <= set(ends)
        else:
            assert int(targets[-1]) in ends
            first += int(targets[-1]) == min(ends)
    assert name == "reachability" or 70 < first < 130, "each of the two half of the time"


@pytest.mark.parametrize("name", ["chain_end", "reachability", "tree_path"])
def test_facts_in_order_leave_nothing_to_look_up_before_them(name: str) -> None:
    """So that a causal model's places of facts cannot walk, and who asks has to; shuffled, half of them can."""

    def found_before(task: Task) -> float:
        before = []
        for row in task.sample(stream(0, TRAIN, 1, 0), 1, 50).tokens[:, : task.facts_length]:
            steps = row.reshape(-1, 3)[:, ::2].tolist()
            place = {x: at for at, (x, _) in enumerate(steps)}
            before += [place[y] < place[x] for x, y in steps if x != y and y in place]
        return float(np.mean(before))

    task = TASKS[name]()
    *early, last = task.stages
    assert not any(stage.shuffled for stage in early) and last.shuffled and task.shuffled
    assert {found_before(stage) for stage in early} == {0.0}
    assert 0.4 < found_before(task) < 0.6
    assert [stage.short for stage in early][:6] == [2, 2, 2, 3, 4, 5]
    assert {stage.nodes for stage in early[2:]} == {48, 50}
    if name == "tree_path":
        assert [stage.rooted for stage in early] == [False] * 6 + [True] and task.rooted


@pytest.mark.parametrize("name", [name for name, task in TASKS.items() if len(task().stages) > 1])
def test_the_oracle_answers_every_stage(name: str) -> None:
    for stage in TASKS[name]().stages:
        depth = stage.train_depths[-1]
        assert_oracle_agrees(stage, stage.sample(stream(0, TRAIN, depth, 0), depth, 8), depth)


def test_training_of_reachability_asks_for_ends_and_the_task_does_not() -> None:
    task = TASKS["reachability"]()
    for stage in task.stages:
        batch = stage.sample(stream(0, TRAIN, 1, 0), 1, 20)
        ends = batch.targets[:, stage.facts_length :: 2]
        assert (ends < stage.names).all() and (ends != NOT_ASKED).all()
        same = ends == batch.tokens[:, stage.facts_length + 1 :: 2]
        assert (same == (batch.targets[:, stage.facts_length + 1 :: 2] == stage.vocabulary.index("yes"))).all()
    batch = task.sample(stream(0, TRAIN, 1, 0), 1, 20)
    assert (batch.targets[:, : task.facts_length + 1] == NOT_ASKED).all()
    assert (batch.targets[:, task.facts_length :: 2] == NOT_ASKED).all()
    assert set(batch.targets[:, task.facts_length + 1 :: 2].ravel()) == {task.names + 1, task.names + 2}


def test_training_of_relation_composition_asks_for_each_step_and_the_task_does_not() -> None:
    task = TASKS["relation_composition"]()
    *early, every = task.stages
    assert {stage.wanted for stage in early} == {"steps"} and early[-1].nodes == every.nodes == task.nodes
    for stage in (*early, every, task):
        depth = stage.train_depths[-1]
        batch = stage.sample(stream(0, TRAIN, depth, 0), depth, 50)
        walks = (3 * stage.hops + 1) // (3 * depth + 1)
        asked = batch.targets[:, stage.facts_length :][:, : walks * (3 * depth + 1)].reshape(50, walks, -1)
        relations, products, nodes = (asked[:, :, 1 + part :: 3] for part in range(3))
        assert (asked[:, :, 0] == NOT_ASKED).all(), "a start asks nothing"
        assert (nodes == NOT_ASKED).all() if stage is task else (nodes >= 6).all(), "of S3"
        assert (relations == NOT_ASKED).all() if stage is task else (relations > 0).all(), "never the identity"
        assert ((products >= 0) & (products < 6)).all() if stage in (every, task) else (products == NOT_ASKED).all()


def test_variables_of_level_1_show_every_sum() -> None:
    task = TASKS["variable_assignment"]()
    facts = task.sample(stream(0, TRAIN, 1, 0), 1, 3000).tokens.reshape(-1, 4)
    constants = {op: set() for op in "+-x"}
    for a, op, b, _ in facts[(facts[:, [0, 2]] < task.modulus).all(axis=1)]:
        constants[task.vocabulary[op]].add((int(a), int(b)))
    every = {(a, b) for a in range(task.modulus) for b in range(task.modulus)}
    assert constants["+"] == constants["-"] == every
    assert constants["x"] == {(a, b) for a, b in every if 2 <= min(a, b) <= task.largest_operand}


def test_variables_of_every_level_stand_anywhere_in_a_row() -> None:
    """In training too: where only the first places of a row are asked, only there are definitions learnt."""
    task = TASKS["variable_assignment"]()
    batch = task.sample(stream(0, TRAIN, 3, 0), 3, 400)
    asked = batch.depths.reshape(400, task.variables, 4)[:, :, 3]  # of each definition
    share = [(asked[:, :9] > 0).mean(), (asked[:, 9:18] > 0).mean(), (asked[:, 18:] > 0).mean()]
    assert share[0] > share[1] > share[2] > 0.04 and (asked == 3).any(axis=0)[2:].all()
    words = task.sample(stream(0, TEST, 8, 0), 8, 400).tokens
    deepest = [int(task.solve(row).depths.max()) for row in words]
    assert {*deepest} == {*range(8, task.levels + 1)}, "from the depth that is asked to all levels"


def test_chains_in_order_are_mixed_at_random() -> None:
    task = dataclasses.replace(TASKS["chain_end"](), chains=2, short=2, length=2, names=4, shuffled=False)
    rows = task.sample(stream(0, TRAIN, 1, 0), 1, 6_000).tokens[:, : task.facts_length].reshape(-1, 4, 3)
    ends = rows[:, :, 0] == rows[:, :, 2]  # which places hold an end: A a B b, A B a b, A B b a
    kinds, counts = np.unique(ends, axis=0, return_counts=True)
    assert kinds.tolist() == [[False, False, True, True], [False, True, False, True]]
    assert np.abs(counts / len(rows) - [2 / 3, 1 / 3]).max() < 0.03


def test_yes_and_no_are_balanced_and_alike() -> None:
    task = TASKS["reachability"]()
    for depth in (1, 8, 16):
        batch = task.sample(stream(0, TEST, depth, 0), depth, 4000)
        yes = batch.targets[:, -1] == task.vocabulary.index("yes")
        assert abs(yes.mean() - 0.5) < 0.03


def test_a_curriculum_over_nodes_keeps_the_vocabulary() -> None:
    task = TASKS["khop_context"]()
    small = dataclasses.replace(task, nodes=8)
    assert small.vocabulary == task.vocabulary and small.max_depth == 4 and small.chance == 1 / 8


@pytest.mark.parametrize("name", ["khop_facts", "mod_chain", "group_word"])
def test_rows_of_one_length_hold_several_chains_and_one_of_their_depth_anywhere(name: str) -> None:
    task = TASKS[name](terms=24, selection_depths=(11,), test_depths=(12, 23))
    assert task.fixed_length and not TASKS[name]().fixed_length and task.max_depth == 23
    check(task)
    assert "terms" not in TASKS[name]().written_sizes and task.written_sizes == task.sizes, "old records keep their id"
    alone = {"khop_facts": range(40), "mod_chain": range(11), "group_word": [60]}[name]  # the words that begin a chain
    for depth in (1, 5, 23):
        batch = draw(task, 0, TRAIN, depth, 0, 400)
        assert batch.tokens.shape == (400, 24) and (batch.depths.max(axis=1) == depth).all()
        assert ((batch.depths == 0) == np.isin(batch.tokens, alone)).all() and (batch.depths[:, 0] == 0).all()
        ends = {int(place) for row in batch.depths for place in np.flatnonzero(row == depth)}
        assert ends == set(range(depth, 24)), "a chain of its depth ends at every place where it can"
    for tokens, targets, depths in zip(*draw(task, 0, TEST, 9, 0, 40), strict=True):
        with pytest.raises((ValueError, KeyError, IndexError, RuntimeError, StopIteration)):
            TASKS[name]().solve(tokens)  # a row of one chain holds no other
        begins = [*np.flatnonzero(depths == 0), len(tokens)]
        for begin, end in pairwise(begins):  # each chain is a row of its own to the task without `terms`
            chain = TASKS[name]().solve(tokens[begin:end])
            assert chain.targets.tolist() == targets[begin:end].tolist()
            assert chain.depths.tolist() == depths[begin:end].tolist() == list(range(end - begin))
        end = len(depths) - 1 - depths[::-1].argmax()
        alone = TASKS[name]().recent(tokens[end - depths.max() : end + 1], 4)
        assert task.recent(tokens, 4)[end] == alone[-1]
    batch = draw(task, 0, TEST, 10, 0, 40)
    for tokens, depths, new in zip(batch.tokens, batch.depths, task.asked_first(batch.tokens), strict=True):
        asked = [tuple(tokens[place - depth : place + 1].tolist()) for place, depth in enumerate(depths)]
        assert [chain not in asked[:place] for place, chain in enumerate(asked)] == new.tolist()
    assert not task.asked_first(batch.tokens).all() and TASKS[name]().asked_first(batch.tokens[:, :1]).all()
    with pytest.raises(UserError, match=f"{name} has no depth 24: allowed are depths of 1 to 23 at this size"):
        draw(task, 0, TRAIN, 24, 0, 1)
