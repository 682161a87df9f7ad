"""Evaluation itself is put to the test: players whose score is known go through the same path as any model."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import binomtest
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from evaluate.metrics import depth95, loops_enough, overthinking
from evaluate.run.experiment import Evaluate, Experiment
from evaluate.run.extrapolation import (
    Judged,
    answered_right,
    asked_together,
    by_oracle,
    evaluate,
    questions,
    trained_places,
)
from evaluate.run.flops import Flops, on_cpu
from evaluate.run.presets import SMALL, recipe
from evaluate.statistics import wilson, wilson_many
from evaluate.study.ask import ask
from model import build
from tasks import NOT_ASKED, TASKS

CPU = torch.device("cpu")


def experiment(task="khop_facts", model="rdt", **changes):
    settings = Evaluate(loops=(1, 2, 4, 8), count=48, seed=3)
    sizes = replace(TASKS[task](), test_depths=TASKS[task]().test_depths[:2])
    return replace(Experiment(sizes, model, architecture=SMALL, evaluate=settings), **changes)


class Player(nn.Module):
    """Answers by the oracle questions that need at most `reach(loops)` steps; is right on others as often as chance."""

    def __init__(self, task, reach):
        super().__init__()
        self.task, self.reach, self.rng = task, reach, np.random.default_rng(0)
        self.linear = nn.Linear(1, 1)  # something to count FLOPs of

    def forward(self, tokens, loops):
        self.linear(torch.zeros(1, 1))
        answers = [self.task.solve(row) for row in tokens.numpy()]
        words = len(self.task.vocabulary)
        logits = torch.zeros(len(loops), *tokens.shape, words)
        for i, count in enumerate(loops):
            for b, answer in enumerate(answers):
                known = (answer.depths > 0) & (answer.depths <= self.reach(count))
                lucky = self.rng.random(len(known)) < self.task.chance
                told = np.where(known | lucky, answer.targets, (answer.targets + 1) % words)
                told = np.where(answer.targets < 0, 0, told)
                logits[i, b, torch.arange(len(told)), torch.from_numpy(told)] = 1.0
        return logits


def depths_of(task):
    return sorted({*task.train_depths, *task.selection_depths, *task.test_depths})


def scores(task, player, **changes):
    e = experiment(task, **changes)
    cells = [c for group in asked_together(e.task) for c in evaluate(player(e.task), e, group, CPU, 16)]
    return {(c.depth, c.loops): c for c in cells if c.halting != "oracle"}, e


@pytest.mark.parametrize("task", TASKS)
def test_a_perfect_oracle_scores_everything(task):
    cells, e = scores(task, lambda t: Player(t, lambda loops: 10**9))
    assert len(cells) == len(depths_of(e.task)) * 4
    assert all(c.correct == c.count >= 48 for c in cells.values())


@pytest.mark.parametrize("task", TASKS)
def test_a_uniform_guesser_scores_chance(task):
    cells, e = scores(task, lambda t: Player(t, lambda loops: 0))
    right, asked = sum(c.correct for c in cells.values()), sum(c.count for c in cells.values())
    assert binomtest(right, asked, e.task.chance).pvalue > 1e-4
    assert 0 < right < asked


@pytest.mark.parametrize("task", TASKS)
def test_an_oracle_of_limited_depth_falls_exactly_after_it(task):
    """It reasons one step a loop: the cell at (depth, loops) is right if and only if loops >= depth."""
    cells, _ = scores(task, lambda t: Player(t, lambda loops: loops))
    for (depth, loops), cell in cells.items():
        if loops >= depth:
            assert cell.correct == cell.count
        else:
            assert cell.correct < 0.7 * cell.count


ASKS_ALIKE = [name for name in TASKS if TASKS[name].question_length]


@pytest.mark.parametrize("name", ASKS_ALIKE)
def test_what_a_row_asks_again_counts_once(name):
    task = TASKS[name]()
    rows = questions(task, 8, 64, 0)
    once = task.asked_first(rows.tokens) & (rows.depths == 8)
    facts, words = task.facts_length, task.question_length
    for tokens, depths, counted in zip(rows.tokens, rows.depths, once, strict=True):
        asked = [tuple(tokens[place + 1 - words : place + 1]) for place in np.flatnonzero(depths == 8)]
        kept = [tuple(tokens[place + 1 - words : place + 1]) for place in np.flatnonzero(counted)]
        assert kept == list(dict.fromkeys(asked)) and facts  # each, where it stands first
    assert 64 <= once.sum() < (rows.depths == 8).sum()
    e = replace(experiment(name), task=task, evaluate=Evaluate(loops=(1,), count=64, seed=0))
    told = next(iter(evaluate(Player(task, lambda loops: 99), e, [8], CPU, 16)))
    assert told.count == once.sum()


def test_rows_that_ask_no_question_twice_are_counted_whole():
    assert set(ASKS_ALIKE) == {"chain_end", "tree_path", "reachability"}
    for name in TASKS.keys() - {*ASKS_ALIKE, "variable_assignment"}:
        assert TASKS[name]().asked_first(np.zeros((2, 9), int)).all()


def test_a_variable_that_is_read_again_counts_once():
    task = TASKS["variable_assignment"]()
    rows = questions(task, 6, 16, 0)
    once = task.asked_first(rows.tokens) & (rows.depths > 0)
    for tokens, asked, counted in zip(rows.tokens, rows.depths > 0, once, strict=True):
        assert sorted(tokens[counted]) == sorted(set(tokens[asked])) and (np.flatnonzero(counted) % 4 == 3).all()


@pytest.mark.parametrize("name", ["chain_end", "variable_assignment", "mod_chain"])
def test_ask_counts_the_questions_that_a_run_counts(name):
    e, depth = experiment(name), 4
    net = build("gru", e.architecture, len(e.task.vocabulary) + 1, 4).eval()
    (row,) = ask(net, e.task, depth, 1, count=16, seed=0, batch=4)
    e = replace(e, evaluate=Evaluate(loops=(1,), count=16, seed=0))
    (cell,) = evaluate(net, e, [depth], CPU, 4)
    assert (row["count"], row["correct"]) == (cell.count, cell.correct)


def test_what_is_no_number_is_no_answer():
    logits = torch.tensor([[0.0, 1.0], [2.0, 1.0], [float("nan"), 1.0], [-float("inf"), 1.0], [float("nan")] * 2])
    targets = torch.tensor([1, 0, 0, 1, 0])
    assert answered_right(logits, targets).tolist() == [True, True, False, True, False]


def test_flops_are_counted_on_a_copy_that_is_the_model():
    e = experiment()
    net = build("rdt", e.architecture, e.vocabulary, e.train.mean_loops).eval()
    copy, row = on_cpu(net, e).eval(), torch.zeros(1, 5, dtype=torch.long)
    assert copy is not net and all(torch.equal(a, b) for a, b in zip(copy.parameters(), net.parameters(), strict=True))
    assert torch.equal(copy(row, (3,)), net(row, (3,))) and Flops(copy, row).at(7) == Flops(net, row).at(7)


def test_batch_size_changes_nothing():
    torch.manual_seed(0)
    e = experiment(evaluate=Evaluate(loops=(1, 2, 4, 8), count=10))
    model = build("rdt", e.architecture, e.vocabulary, 10).eval()
    grids = [[c for d in (5, 12) for c in evaluate(model, e, [d], CPU, batch)] for batch in (1, 3, 10, 500)]
    assert all(grid == grids[0] for grid in grids) and len(grids[0]) == 2 * 8


def test_the_oracle_is_right_where_any_number_of_loops_is_and_takes_the_fewest():
    right = {1: [1, 0, 0, 0], 2: [1, 0, 1, 0], 8: [0, 1, 0, 0]}
    tied = {1: [0, 0, 0, 1], 2: [0, 0, 0, 1], 8: [1, 0, 0, 0]}
    none = torch.zeros(4)
    held = {n: Judged(torch.tensor(right[n]).bool(), torch.tensor(tied[n]).bool(), none.bool(), none) for n in right}
    ((key, found),) = by_oracle(held).items()
    assert key == ("oracle", None) and not found.lost.any() and by_oracle({}) == {}
    assert found.right.tolist() == [True, True, True, False] and found.used.tolist() == [1, 8, 2, 8]
    assert found.tied.tolist() == [False, False, False, True], "what rounding could turn with any number of loops"


def test_flops_that_are_counted_lack_attention_as_is_told():
    e = recipe("khop_facts", "rdt")
    model = build("rdt", e.architecture, e.vocabulary, e.train.mean_loops).eval()
    told = (Path(__file__).parent.parent / "results/README.md").read_text()
    seen = []
    for length in (81, 601):
        row = torch.zeros(1, length, dtype=torch.long)
        with torch.no_grad():
            counted = Flops(model, row).at(640)
            with sdpa_kernel(SDPBackend.MATH):  # whose products the counter sees
                seen.append(counted / Flops(model, row).at(640))
    assert f"it sees {seen[0]:.0%} at 81 tokens, {seen[1]:.0%} at 601" in told
    every, chosen = (Flops(model.train(mode), torch.zeros(1, 81, dtype=torch.long)).at(10) for mode in (False, True))
    assert f"but of all experts, as evaluation computes them all ({every / chosen:.2f} times the RDT's" in told


def test_nothing_does_better_than_the_oracle():
    e = experiment("mod_chain")
    cells = list(evaluate(Player(e.task, lambda loops: loops), e, [8], CPU, 16))
    (oracle,) = [c for c in cells if c.halting == "oracle"]
    fixed = {c.loops: c for c in cells if c.halting == "fixed"}
    assert oracle.correct == 48 >= max(c.correct for c in fixed.values()) and oracle.loops is None
    assert 1 < oracle.mean_loops < 8, "some by luck, after fewer loops than the question has steps"


@pytest.mark.parametrize(("depth", "batch", "rows"), [(10, 16, 16), (600, 16, 6), (600, 4, 4), (5000, 16, 1)])
def test_long_rows_are_taken_fewer_at_a_time(depth, batch, rows):
    e = experiment("mod_chain")
    e = replace(e, task=replace(e.task, test_depths=(depth,)), evaluate=Evaluate(loops=(1,), count=16))
    player, taken = Player(e.task, lambda loops: 0), []
    player.register_forward_pre_hook(lambda _, given: taken.append(given[0].shape))
    cell, _ = evaluate(player, e, [depth], CPU, batch)
    asked = [shape[0] for shape in taken if shape != (1, depth + 1)] or [1] * 16  # but the row whose FLOPs are counted
    assert max(asked) == rows and sum(asked) == cell.count == 16


@pytest.mark.parametrize("task", TASKS)
def test_depths_asked_together_are_asked_as_if_alone(task):
    """A row that holds shallower questions asks them as rows of their own would be asked: same words, same answers."""
    e = experiment(task)
    groups = asked_together(e.task)
    assert sorted(depth for group in groups for depth in group) == depths_of(e.task)
    for group in groups:
        rows = questions(e.task, group[-1], 20, 0)
        for depth in group:
            assert (rows.depths == depth).any(1).all()
            if len(group) > 1:
                places = np.unique(np.nonzero(rows.depths == depth)[1])
                for tokens, targets in zip(rows.tokens, rows.targets, strict=True):
                    alone = e.task.solve(tokens[: places.max() + 1])
                    assert (alone.targets[places] == targets[places]).all() and (alone.depths[places] == depth).all()


def test_a_model_answers_a_prefix_as_if_the_row_ended_there():
    e = experiment()
    model = build("rdt", e.architecture, e.vocabulary, 10).eval()
    tokens = torch.from_numpy(questions(e.task, 12, 8, 0).tokens)
    whole, part = model(tokens, (5,)), model(tokens[:, :7], (5,))
    assert torch.allclose(whole[:, :, :7], part, atol=1e-5)


def test_cells_are_what_one_pass_at_a_time_gives():
    torch.manual_seed(0)
    e = experiment()
    model = build("rdt", e.architecture, e.vocabulary, 10).eval()
    asked = questions(e.task, 6, e.evaluate.count, e.evaluate.seed)
    tokens, targets = torch.from_numpy(asked.tokens), torch.from_numpy(asked.targets)
    cells = {(c.halting, c.loops): c for c in evaluate(model, e, [6], CPU, 48)}
    for loops in e.evaluate.loops:
        right = int((model(tokens, (loops,))[0, :, -1].argmax(-1) == targets[:, -1]).sum())
        assert cells["fixed", loops].correct == right
    act = cells["act", None]
    assert act.loops is None and 1 <= act.mean_loops <= 8


def test_a_model_without_loops_has_one_cell_a_depth():
    e = experiment(model="transformer")
    model = build("transformer", e.architecture, e.vocabulary, 10).eval()
    (cell,) = evaluate(model, e, [5], CPU, 16)
    assert cell.loops is None and cell.halting == "none" and cell.mean_loops is None


def test_bands_follow_depth_alone():
    task = experiment().task
    assert [task.band(d) for d in (1, 5, 6, 8, 10)] == ["train", "train", "selection", "selection", "test"]
    held_out = {tuple(row) for row in questions(task, 5, 200, 0).tokens}
    from tasks import TRAIN, draw

    trained = {tuple(row) for block in range(20) for row in draw(task, 0, TRAIN, 5, block, 500).tokens}
    assert not held_out & trained


# metrics


@pytest.mark.parametrize("correct,count", [(0, 10), (3, 10), (10, 10), (997, 1000)])
def test_wilson_agrees_with_scipy(correct, count):
    theirs = binomtest(correct, count).proportion_ci(method="wilson")
    assert wilson(correct, count) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


def test_all_right_reaches_to_all_and_none_right_to_none():
    counts = np.arange(1, 400)
    assert all(wilson(int(n), int(n))[1] == 1.0 and wilson(0, int(n))[0] == 0.0 for n in counts)
    low, high = wilson_many(np.stack([0 * counts, counts]), counts)
    assert (low[0] == 0).all() and (high[1] == 1).all() and (low < high).all()


def test_headline_figures():
    assert depth95({1: 1.0, 5: 0.96, 10: 0.95, 20: 0.94, 40: 1.0}) == 10
    assert depth95({1: 0.5}) == 0
    assert loops_enough({1: 0.1, 8: 0.996, 16: 1.0, 32: 0.99}) == 8 and loops_enough({8: 0.99, 16: 1.0}) == 16
    assert overthinking({8: 1.0, 16: 0.99, 32: 0.4}) == pytest.approx(0.6)
    assert overthinking({8: 1.0, 16: 0.99}) is None


def test_rules_are_told_where_training_asks_of_tasks_that_ask_more_in_training():
    for name in ("reachability", "p_hop_induction", "relation_composition"):
        task = TASKS[name]()
        depth = task.train_depths[-1]
        trained = trained_places(task, depth, 8, 0)
        asked = torch.from_numpy(questions(task, depth, 8, 0).targets) != NOT_ASKED
        assert (trained | ~asked).all() and trained.sum() > asked.sum(), name
    chain = TASKS["mod_chain"]()
    asked = torch.from_numpy(questions(chain, 5, 8, 0).targets) != NOT_ASKED
    assert torch.equal(trained_places(chain, 5, 8, 0), asked)


def test_cells_say_what_a_row_costs_that_ends_with_its_question():
    e = replace(experiment("mod_chain"), task=TASKS["mod_chain"](), evaluate=Evaluate(loops=(1, 2), count=4))
    model = build("rdt", e.architecture, e.vocabulary, e.train.mean_loops).eval()
    for cell in evaluate(model, e, [10, 20], CPU, 4):
        if cell.halting == "fixed":
            with torch.no_grad(), FlopCounterMode(display=False) as counter:
                model(torch.zeros(1, cell.depth + 1, dtype=torch.long), (cell.loops,))
            assert cell.eval_flops == counter.get_total_flops()
