"""The curriculum: the same words at every stage, advanced by training rows alone, and gone on with after a cut."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from evaluate.run.curriculum import Curriculum, rows_a_step
from evaluate.run.experiment import Experiment
from evaluate.run.presets import SMALL
from evaluate.run.ranks import Alone
from evaluate.run.train import horizon_range, horizons, loss_of, step_flops, train, training_rows
from model import build
from tasks import NOT_ASKED, TASKS, TRAIN, UserError, draw

CPU = torch.device("cpu")
ASK_MORE = ("reachability", "p_hop_induction", "relation_composition")  # in training: what is on the way
STAGED = [name for name, task in TASKS.items() if len(task().stages) > 1]


def tiny(**changes) -> Experiment:
    bands = {"train_depths": (1, 2), "selection_depths": (3,), "test_depths": (4,)}
    task = TASKS["khop_context"](nodes=8, names=8, curriculum=(3, 4), hops=4, **bands)
    experiment = Experiment(task, "rdt", architecture=SMALL)
    sizes = {"steps": 8, "batch": 8, "warmup": 2, "shortest_horizon": 2, "longest_horizon": 6, "gradient_loops": 2}
    return replace(experiment, train=replace(experiment.train, **{**sizes, **changes}))


@pytest.mark.parametrize("name", TASKS)
def test_the_last_stage_has_the_rows_of_the_task_and_all_share_its_words(name):
    task, last = TASKS[name](), TASKS[name]().stages[-1]
    rows, those = (draw(t, 0, TRAIN, task.train_depths[-1], 0, 20) for t in (task, last))
    asked = rows.targets != NOT_ASKED
    assert last.train_depths == task.train_depths and np.array_equal(those.tokens, rows.tokens)
    assert np.array_equal(those.targets[asked], rows.targets[asked])
    assert (last != task) == bool((those.targets != NOT_ASKED)[~asked].any()) == (name in ASK_MORE)
    for stage in task.stages:
        assert stage.vocabulary == task.vocabulary and stage.train_depths
        assert set(stage.train_depths) <= set(range(stage.min_depth, task.train_depths[-1] + 1))
        for depth in stage.train_depths:
            stage.check_depth(depth)
    assert "curriculum" not in task.sizes, "how it is trained is no part of what is asked"


@pytest.mark.parametrize("name", STAGED)
def test_stages_grow_and_a_step_costs_about_the_same_at_each(name):
    experiment = Experiment(TASKS[name](), "rdt")
    lengths, tokens = [], []
    for stage in experiment.task.stages:
        rows = training_rows(experiment, 0, stage)
        assert len(rows.tokens) == rows_a_step(experiment, stage)
        lengths.append(rows.tokens.shape[1])
        tokens.append(rows.tokens.size)
    assert all(after > 0.94 * before for before, after in pairwise(lengths)), "or stay, while their shape changes"
    assert max(tokens) == tokens[0] and min(tokens) > 0.8 * tokens[0]


@pytest.mark.parametrize("name", STAGED)
def test_stages_that_allow_none_of_the_training_depths_are_left_out(name):
    task = TASKS[name]()
    deepest = replace(task, train_depths=task.train_depths[-1:])
    Experiment(deepest, "rdt").check()
    assert all(stage.train_depths for stage in deepest.stages)


@pytest.mark.parametrize(
    "name,size,changes",
    [
        ("carry_chain", "columns", {"columns": 16, "test_depths": (10, 12)}),
        ("khop_context", "nodes", {"nodes": 20, "test_depths": (6, 8)}),
        ("variable_assignment", "levels", {"levels": 8, "test_depths": (6, 8)}),
        ("p_hop_induction", "length", {"length": 20, "hops": 6, "test_depths": (6,)}),
        ("relation_composition", "nodes", {"nodes": 20, "test_depths": (6, 8)}),
        ("nested_expression", "leaves", {"leaves": 16, "test_depths": (7, 9)}),
    ],
)
def test_a_task_made_smaller_trains_on_nothing_larger_or_deeper(name, size, changes):
    task = TASKS[name]()
    small = replace(task, **changes)
    top, stages = getattr(small, size), small.stages
    assert all(getattr(stage, size) <= top and max(stage.train_depths) <= small.train_depths[-1] for stage in stages)
    assert any(getattr(stage, size) > top for stage in task.stages[:-1]), "or nothing had to be left out"
    assert len(stages) > 1


def test_a_stage_that_the_task_has_not_the_names_for_is_told():
    small = TASKS["chain_end"](names=49)  # enough for its own chains, not for 25 pairs
    with pytest.raises(UserError, match=r"^at a stage of task.curriculum, chain_end: names is 49: allowed is 50 to"):
        Experiment(small, "rdt").check()


def test_a_stage_deeper_than_the_task_is_refused():
    class Deeper(TASKS["mod_chain"]):
        @property
        def stages(self):
            return replace(self, train_depths=(1, 7)), self

    with pytest.raises(UserError, match=r"a stage of task.curriculum trains to depth 7: allowed is 5"):
        Experiment(Deeper(), "rdt").check()


def test_a_curriculum_over_depth_has_the_same_rows_and_fewer_hops():
    task = TASKS["khop_facts"](curriculum=(2, 4))
    assert [stage.train_depths for stage in task.stages] == [(1, 2), (1, 2, 3, 4), (1, 2, 3, 4, 5)]
    assert task.stages[-1] == task and all(stage.stages == (stage,) for stage in task.stages[:-1])
    rows = [draw(stage, 0, TRAIN, 2, 0, 20).tokens for stage in task.stages]
    assert all(np.array_equal(rows[0], others) for others in rows)
    assert Experiment(TASKS["khop_facts"](), "rdt").to_json()["task"].keys().isdisjoint({"curriculum"})
    assert Experiment(task, "rdt").to_json()["task"]["curriculum"] == [2, 4]


def test_a_stage_that_cannot_be_had_is_refused():
    with pytest.raises(UserError, match="nodes is 2"):
        Experiment(TASKS["khop_context"](curriculum=(2, 8)), "rdt").check()


def told(curriculum: Curriculum, right: int, of: int) -> int:
    """Let it count a step of `of` rows, asked at the deepest depth, of which the first `right` are answered right."""
    tokens = torch.zeros((2 * of, 1), dtype=torch.int64)  # twice as many: the second half has too few loops to count
    answers = torch.arange(2 * of)[:, None].ge(right).long()
    depths = torch.full_like(tokens, curriculum.task.train_depths[-1])
    curriculum.count(answers, tokens, torch.zeros_like(tokens), depths, blank=99)
    curriculum.look()
    return int(curriculum.stage)


def test_it_goes_on_when_the_deepest_depth_is_known():
    curriculum = Curriculum(tiny().task)
    assert told(curriculum, 12, 20) == 0
    assert told(curriculum, 19, 20) == 1
    assert told(curriculum, 0, 20) == 1, "it never goes back"
    assert told(curriculum, 20, 20) == 2 and told(curriculum, 20, 20) == 2
    assert curriculum.spent.tolist() == [2, 2, 1] and curriculum.cost(lambda stage: stage.nodes) == 2 * 3 + 2 * 4 + 8
    assert curriculum.task == tiny().task


def test_only_the_deepest_questions_of_rows_without_a_blank_count():
    curriculum = Curriculum(tiny().task)
    tokens = torch.tensor([[0, 0], [99, 0], [0, 0], [0, 0]])
    targets = torch.tensor([[1, NOT_ASKED]] * 4)
    curriculum.count(targets, tokens, targets, torch.tensor([[1, 0], [1, 0], [1, 0], [1, 0]]), blank=99)
    assert curriculum.tally.tolist() == [1, 1]  # the second row has a blank, the last two the fewest loops
    curriculum.count(targets, tokens, targets, torch.full((4, 2), 2), blank=99)
    assert curriculum.tally.tolist() == [1, 1]


def test_loops_are_in_proportion_to_depth():
    settings = tiny(shortest_horizon=6, longest_horizon=18).train
    assert horizon_range(settings) == (6, 18) and horizon_range(settings, 1 / 3) == (2, 6)
    loops, order = horizons(settings, 0, 0, 200, 1 / 3)
    assert set(loops) == set(range(2, 7)) and sorted(order) == list(range(200))


@pytest.mark.parametrize("place", [0, -1])
def test_what_a_step_is_said_to_cost_is_the_mean_of_what_steps_cost(place):
    experiment, steps = tiny(batch=16, shortest_horizon=4, longest_horizon=12), 10
    stage = experiment.task.stages[place]
    share = stage.train_depths[-1] / experiment.task.train_depths[-1]
    assert share == (0.5 if place == 0 else 1.0)
    torch.manual_seed(0)
    model = build("rdt", experiment.architecture, experiment.vocabulary, experiment.train.mean_loops)
    with FlopCounterMode(display=False) as counter:
        for step in range(steps):
            rows = training_rows(experiment, step, stage)
            loops, order = horizons(experiment.train, 0, step, len(rows.tokens), share)
            tokens, targets, _ = (torch.from_numpy(array[order]) for array in rows)
            loss_of(model, tokens, targets, loops, experiment.train)[0].backward()
    said = step_flops(model, experiment, stage)
    assert said == pytest.approx(counter.get_total_flops() / steps, rel=0.06)


@pytest.mark.parametrize("model", ["rdt", "transformer"])
def test_a_cut_run_goes_on_at_its_stage(tmp_path, monkeypatch, model):
    monkeypatch.setattr("evaluate.run.curriculum.PASS", 0.0)  # goes on at every look
    monkeypatch.setattr("evaluate.run.train.CHECK_EVERY", 2)
    experiment = replace(tiny(), model=model)
    saved = tmp_path / "run.safetensors"

    def built():
        torch.manual_seed(0)
        return build(model, experiment.architecture, experiment.vocabulary, experiment.train.mean_loops)

    class Cut(Exception):
        pass

    def stop(step, loss, accuracy):
        if step == 6:
            raise Cut

    whole = built()
    first = train(whole, experiment, CPU)
    with pytest.raises(Cut):
        train(built(), experiment, CPU, saved, stop, save_every=0.0)
    again = built()
    second = train(again, experiment, CPU, saved)
    assert first.flops == second.flops and second.status == "ok"
    assert first.stage_steps == second.stage_steps and sum(first.stage_steps) == experiment.train.steps
    assert first.stage_steps[:2] == [2, 2], "on at each look, two steps apart"
    for (name, a), b in zip(whole.state_dict().items(), again.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


@pytest.mark.parametrize("model", ["rdt", "transformer"])
def test_each_step_trains_on_the_rows_and_with_the_loops_of_its_stage(monkeypatch, model):
    monkeypatch.setattr("evaluate.run.curriculum.PASS", 0.0)
    monkeypatch.setattr("evaluate.run.train.CHECK_EVERY", 2)
    experiment, seen = replace(tiny(), model=model), []

    class Watched(Alone):
        def gradients(self, loss_of, model, tokens, targets, loops, train):
            seen.append((sorted(tokens.tolist()), loops))
            return super().gradients(loss_of, model, tokens, targets, loops, train)

    net = build(model, experiment.architecture, experiment.vocabulary, experiment.train.mean_loops)
    trained = train(net, experiment, CPU, ranks=Watched())
    stages = experiment.task.stages
    assert trained.stage_steps == [2, 2, 4] and len(seen) == 8
    for step, (tokens, loops) in enumerate(seen):
        stage = stages[min(step // 2, 2)]
        rows = training_rows(experiment, step, stage)
        share = stage.train_depths[-1] / experiment.task.train_depths[-1]
        assert tokens == sorted(rows.tokens.tolist()), step
        assert loops == horizons(experiment.train, experiment.seed, step, len(rows.tokens), share)[0], step
    costs = [step_flops(net, experiment, stage) for stage in stages]
    assert trained.flops == sum(steps * cost for steps, cost in zip(trained.stage_steps, costs, strict=True))


@pytest.mark.parametrize("right, goes_on", [(84, False), (86, True)])
def test_it_goes_on_at_85_percent(right, goes_on):
    assert told(Curriculum(tiny().task), right, 100) == goes_on
