"""The training loop: every parameter in one group, and a cut run goes on as if it had been whole."""

import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load
from torch import nn
from torch.profiler import profile

from evaluate.run import carry, checkpoint
from evaluate.run.carry import Means, carry_out
from evaluate.run.experiment import Experiment, RunFailed, as_named, from_json, override, unread
from evaluate.run.presets import PRESETS, smoke
from evaluate.run.ranks import Alone
from evaluate.run.train import horizons, loss_of, optimizers, rate, step_flops, train, training_rows
from model import MODELS, build
from model.rdt import Outputs, sent
from tasks import NOT_ASKED, TASKS, UserError

CPU = torch.device("cpu")


def tiny(**changes) -> Experiment:
    experiment = smoke()[0]
    return replace(experiment, train=replace(experiment.train, **{"steps": 8, **changes}))


def built(experiment):
    torch.manual_seed(experiment.seed)
    return build(experiment.model, experiment.architecture, experiment.vocabulary, experiment.train.mean_loops)


def test_rows_go_to_a_gpu_from_pinned_memory_and_nobody_waits(monkeypatch):
    """Without a GPU: what torch is asked for, and in which order."""
    asked = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: asked.append("pinned") or self)
    monkeypatch.setattr(torch.Tensor, "to", lambda self, *to, **how: asked.append((*to, how)) or self)
    rows = np.arange(6).reshape(2, 3)
    for name, pinned in (("cpu", []), ("cuda", ["pinned"])):
        assert np.array_equal(sent(torch.from_numpy(rows), torch.device(name)).numpy(), rows)
        assert asked == [*pinned, (torch.device(name), {"non_blocking": True})]
        asked.clear()


@pytest.mark.parametrize("name", MODELS)
def test_what_training_a_model_has_no_use_for_is_what_is_said(name):
    """Loops of a row, the last ones through which the gradient flows, and their mean, by which one stack is built."""
    experiment = replace(tiny(), model=name)
    tokens, targets, _ = (torch.from_numpy(part[:8]) for part in training_rows(experiment, 0, experiment.task))

    def slope(loops=(9, 9, 9, 8, 8, 7, 6, 6), gradient_loops=5, mean_loops=12):
        torch.manual_seed(0)
        model = build(name, experiment.architecture, experiment.vocabulary, mean_loops)
        torch.manual_seed(0)
        loss_of(model, tokens, targets, list(loops), replace(experiment.train, gradient_loops=gradient_loops))[
            0
        ].backward()
        return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])

    as_it_is = slope()
    others = {
        "gradient_loops": [slope(gradient_loops=2)],
        "longest_horizon": [slope(loops=[12] * 8), slope(mean_loops=24)],
    }
    others["shortest_horizon"] = others["longest_horizon"]
    for field, slopes in others.items():
        same = all(torch.equal(other, as_it_is) for other in slopes)
        assert same == unread(name, f"train.{field}"), field


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_every_parameter_is_in_exactly_one_group(name, optimizer):
    model = built(replace(tiny(optimizer=optimizer), model=name))
    made = optimizers(model, tiny(optimizer=optimizer).train)
    grouped = [id(p) for o in made for group in o.param_groups for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in model.parameters())
    assert len(made) == (2 if optimizer == "muon" else 1)


def test_embedding_and_head_of_a_users_own_model_are_not_orthogonalised():
    class Own(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = torch.nn.ModuleDict(
                {"words": torch.nn.Embedding(7, 4), "inside": torch.nn.Linear(4, 4), "out": torch.nn.Linear(4, 7)}
            )

    model = Own()
    adam, muon = optimizers(model, tiny(optimizer="muon").train)
    assert [id(p) for group in muon.param_groups for p in group["params"]] == [id(model.net["inside"].weight)]
    assert len([p for group in adam.param_groups for p in group["params"]]) == 4


def test_matrices_decay_and_vectors_do_not():
    for model in (built(replace(tiny(), model=name)) for name in MODELS):
        groups = [group for made in optimizers(model, tiny(weight_decay=0.5).train) for group in made.param_groups]
        assert {p.dim() > 1 for group in groups if group["weight_decay"] == 0.5 for p in group["params"]} == {True}
        assert {p.dim() > 1 for group in groups if group["weight_decay"] == 0.0 for p in group["params"]} == {False}


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_a_cut_run_goes_on_as_if_it_had_not_been_cut(tmp_path, monkeypatch, optimizer):
    experiment = tiny(optimizer=optimizer, steps=6, average=0.7)  # begins before the cut
    whole = built(experiment)
    train(whole, experiment, CPU)
    monkeypatch.setattr("evaluate.run.train.CHECK_EVERY", 3)
    saved = tmp_path / "run.safetensors"

    class Cut(Exception):
        pass

    def stop(step, loss, accuracy):
        if saved.exists():
            raise Cut

    with pytest.raises(Cut):
        train(built(experiment), experiment, CPU, saved, stop, save_every=0.0)
    again, steps = built(replace(experiment, seed=5)), []
    done = train(again, experiment, CPU, saved, lambda step, loss, accuracy: steps.append(step))
    assert done.status == "ok" and steps == [6]  # went on from step 3
    for (name, a), b in zip(whole.state_dict().items(), again.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


def test_the_weights_of_the_last_steps_are_averaged(monkeypatch):
    experiment = tiny(steps=4, average=0.5)  # of two steps: half of each
    monkeypatch.setattr("evaluate.run.train.AVERAGE", 0.5)
    model, seen = built(experiment), []
    after = model.after_step
    monkeypatch.setattr(model, "after_step", lambda: (after(), seen.append(model.head.weight.detach().clone())))
    train(model, experiment, CPU)
    assert torch.allclose(model.head.weight, (seen[2] + seen[3]) / 2) and not torch.equal(seen[2], seen[3])
    last = built(experiment)
    train(last, tiny(steps=4, average=0.0), CPU)
    assert torch.equal(last.head.weight, seen[3])


def test_each_step_goes_down_clipped_gradients_at_the_rates_of_the_schedule(monkeypatch):
    """What the optimisers are given, step by step: Muon the matrices inside at its own rate, AdamW the rest."""
    experiment = tiny(steps=10, warmup=4, decay=0.4, clip=1e-3, learning_rate=0.004, matrix_learning_rate=0.05)
    model, seen = built(experiment), {torch.optim.AdamW: [], torch.optim.Muon: []}
    names = {id(parameter): name for name, parameter in model.named_parameters()}

    def watched(kind, real):
        def step(self):
            norm = torch.nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])
            matrices = [names[id(p)] for group in self.param_groups for p in group["params"]]
            seen[kind].append(([group["lr"] for group in self.param_groups], float(norm), matrices))
            return real(self)

        return step

    for kind in seen:
        monkeypatch.setattr(kind, "step", watched(kind, kind.step))
    train(model, experiment, CPU)
    for kind, full in ((torch.optim.AdamW, 0.004), (torch.optim.Muon, 0.05)):
        assert len(seen[kind]) == 10
        for step, (rates, norm, _) in enumerate(seen[kind]):
            assert rates == [pytest.approx(full * rate(experiment.train, step))] * len(rates), (kind, step)
            assert 0 < norm < 1.001e-3
    inside = seen[torch.optim.Muon][0][2]
    assert inside and all(name.startswith(("prelude", "recurrent", "coda")) for name in inside)
    assert any(name.startswith("embed") for name in seen[torch.optim.AdamW][0][2])


def test_a_step_is_judged_by_every_answer_by_its_probes_as_one_and_by_the_penalty():
    settings, torch_rng = tiny().train, torch.Generator().manual_seed(0)
    tokens, targets = torch.zeros(3, 4, dtype=torch.long), torch.tensor([[1, 2, NOT_ASKED, 0]] * 3)
    a, b, p, q = torch.randn(4, 3, 4, 5, generator=torch_rng)

    class Stub(torch.nn.Module):
        def training_outputs(self, tokens, loops, gradient_loops):
            return Outputs([a, b], [p, q], torch.tensor(0.7))

    def judged(logits):
        asked = targets.flatten() != NOT_ASKED
        return -logits.flatten(0, 1).log_softmax(-1)[asked, targets.flatten()[asked]].mean()

    loss, answers = loss_of(Stub(), tokens, targets, [1, 1, 1], settings)
    assert float(loss) == pytest.approx(float(judged(a) + judged(b) + (judged(p) + judged(q)) / 2 + 0.7), rel=1e-6)
    assert torch.equal(answers, a.argmax(-1))


class Masked(torch.nn.Module):
    """A user's own model with an infinite mask, and a number that is no vector."""

    def __init__(self, vocabulary):
        super().__init__()
        self.register_buffer("mask", torch.full((4, 4), -torch.inf).triu(1))
        self.scale = torch.nn.Parameter(torch.tensor(1.0))
        self.embedding, self.head = torch.nn.Embedding(vocabulary, 8), torch.nn.Linear(8, vocabulary)

    looped = False

    def forward(self, tokens, loops):
        return self.head(self.scale * self.embedding(tokens))[None]


@pytest.mark.parametrize("spoilt", [False, True])
def test_the_average_keeps_infinite_numbers_and_a_buffer_that_is_no_number_is_a_failure(monkeypatch, spoilt):
    monkeypatch.setattr("evaluate.run.train.step_flops", lambda *_: 0)  # of models that have a name
    experiment = tiny(average=0.5, steps=8)
    model = Masked(experiment.vocabulary)
    if spoilt:
        model.mask[0, 0] = torch.nan
    assert train(model, experiment, CPU).status == ("diverged" if spoilt else "ok")
    if not spoilt:
        assert torch.equal(model.mask, torch.full((4, 4), -torch.inf).triu(1))
        assert model.scale.item() != 1.0


def test_seeds_begin_with_other_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(carry, "asked_together", lambda task: [])
    monkeypatch.setattr(carry, "diagnostics", lambda *of: None)
    still = tiny(steps=1, average=0.0, learning_rate=1e-30, matrix_learning_rate=1e-30, weight_decay=0.0)
    means = Means("cpu", 1, 64, 1e9, (None, None))
    made = [
        carry_out(replace(still, seed=seed), tmp_path / name, means) for seed, name in ((0, "a"), (0, "b"), (1, "c"))
    ]
    first, again, other = (load(one.weights)["embed.weight"] for one in made)
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_another_runs_checkpoint_is_refused(tmp_path):
    model = built(tiny())
    made = optimizers(model, tiny().train)
    checkpoint.save(tmp_path / "c.safetensors", "this", "mod_chain", 3, 1.0, {"model": model}, made)
    with pytest.raises(UserError, match="is of run this, not that"):
        checkpoint.load(tmp_path / "c.safetensors", "that", "mod_chain", {"model": model}, made)
    assert checkpoint.load(tmp_path / "c.safetensors", "this", "mod_chain", {"model": model}, made) == (3, 1.0)


@pytest.mark.parametrize("name", ["rdt", "transformer", "transformer_deep"])
def test_training_learns_and_moves_router_biases(name, monkeypatch):
    monkeypatch.setattr("evaluate.run.train.CHECK_EVERY", 5)
    experiment = replace(tiny(steps=27, batch=32, warmup=10), model=name)
    model, seen = built(experiment), {}
    train(model, experiment, CPU, progress=lambda step, loss, accuracy: seen.update({step: loss}))
    assert seen[27] < seen[5] and list(seen) == [5, 10, 15, 20, 25, 27], "at every fifth step and after the last"
    assert all(router.bias.abs().sum() > 0 and router.load.sum() == 0 for router in model.routers)


@pytest.mark.parametrize("name", MODELS)
def test_counting_what_a_step_costs_leaves_the_model_as_it_was(name):
    experiment = replace(tiny(), model=name)
    model = built(experiment).train()
    for router in getattr(model, "routers", ()):
        router.load.uniform_(1, 9)  # as between a forward and the balance after it
        router.bias.uniform_(-1, 1)
    before = {key: value.clone() for key, value in [*model.named_buffers(), *model.named_parameters()]}
    assert step_flops(model, experiment, experiment.task) > 0
    after = dict([*model.named_buffers(), *model.named_parameters()])
    assert after.keys() == before.keys() and all(torch.equal(after[key], before[key]) for key in before)
    assert model.training and all(parameter.grad is None for parameter in model.parameters())


class Plain(nn.Module):
    """A user's own looped model, which says nothing of how it is trained."""

    def __init__(self, vocabulary):
        super().__init__()
        self.table, self.asked = nn.Embedding(vocabulary, vocabulary), []

    def forward(self, tokens, loops):
        self.asked.append(loops)
        return torch.stack([self.table(tokens) for _ in loops])


def test_a_users_own_model_gets_every_number_of_loops_that_the_recipe_has(monkeypatch):
    experiment = tiny(steps=60, batch=32, shortest_horizon=2, longest_horizon=6)
    model = Plain(experiment.vocabulary)
    monkeypatch.setitem(MODELS, experiment.base, lambda *_: Plain(experiment.vocabulary))
    train(model, experiment, CPU)
    drawn = [loops for (loops,) in model.asked]
    assert set(drawn) == {2, 3, 4, 5, 6} and min(drawn.count(n) for n in set(drawn)) >= 4  # 12 of each are expected


def test_a_loss_that_is_not_finite_ends_the_run():
    experiment = tiny(steps=60, learning_rate=1e30, optimizer="adamw", warmup=0)
    assert train(built(experiment), experiment, CPU).status == "diverged"


def test_a_run_whose_last_step_breaks_the_weights_has_diverged(monkeypatch):
    experiment = tiny(steps=1, average=0.0)
    model = built(experiment)
    monkeypatch.setattr("evaluate.run.train.update", lambda model, *_: model.head.weight.data.fill_(float("inf")))
    assert train(model, experiment, CPU).status == "diverged"


def test_rows_and_horizons_repeat_and_differ():
    experiment = tiny(batch=64, shortest_horizon=2, longest_horizon=9)
    tokens, targets, depths = training_rows(experiment, 7, experiment.task)
    assert np.array_equal(tokens, training_rows(experiment, 7, experiment.task)[0])
    assert not np.array_equal(tokens, training_rows(experiment, 8, experiment.task)[0])
    assert not np.array_equal(tokens, training_rows(replace(experiment, seed=1), 7, experiment.task)[0])
    assert (depths.max(1) == 5).all() and ((depths > 0) == (targets != NOT_ASKED)).all()
    assert tokens.shape == (64, 6) and ((targets == NOT_ASKED).sum(1) == 1).all()
    loops, order = horizons(experiment.train, 0, 7, 64)
    assert loops == sorted(loops, reverse=True) and {2, 9} <= set(loops) <= set(range(2, 10))
    assert sorted(order) == list(range(64)) and horizons(experiment.train, 0, 8, 64)[0] != loops


@pytest.mark.parametrize("name", ["mod_chain", "khop_context", "carry_chain", "chain_end"])
def test_where_deepest_answers_alone_are_asked_rows_of_all_depths_ask_nothing_on_the_way(name):
    sizes = {"khop_context": {"nodes": 8, "names": 8, "curriculum": (), "hops": 6}}.get(name, {})
    task = TASKS[name](**sizes)
    experiment = replace(tiny(batch=60, answers="deepest", blank=0.0), task=task)
    tokens, targets, depths = training_rows(experiment, 3, task)
    blank = len(task.vocabulary)
    assert not (tokens == blank).any()
    asked = targets != NOT_ASKED
    for row, own, of, deep in zip(tokens, targets, asked, depths, strict=True):
        length = max(np.flatnonzero(deep)) + 1
        solved = task.solve(row[:length])
        assert of.any() and np.array_equal(of[:length], solved.depths == solved.depths.max()), "by the oracle's count"
        assert np.array_equal(own[of], solved.targets[of[:length]]) and not of[length:].any()
    shares = np.bincount(depths.max(1))[list(task.train_depths)]
    assert shares.min() and np.ptp(shares) <= 1, "each depth in as many rows"


def test_rows_of_every_depth_get_few_loops_and_many():
    task = TASKS["chain_end"](
        train_depths=(1, 2, 3), test_depths=(7, 8), chains=2, length=9, names=18, queries=1, curriculum=()
    )
    experiment = replace(tiny(steps=1, batch=60, shortest_horizon=2, longest_horizon=4), task=task)
    seen = []

    class Watched(Alone):
        def gradients(self, loss_of, model, tokens, targets, loops, train):
            seen.append((tokens, loops))
            return super().gradients(loss_of, model, tokens, targets, loops, train)

    train(built(experiment), experiment, CPU, ranks=Watched())
    ((tokens, loops),) = seen
    blank = len(task.vocabulary)
    depths = [0 if (row == blank).any() else int(task.solve(row).depths[-1]) for row in tokens.numpy()]
    for depth in task.train_depths:
        assert {2, 3, 4} == {loop for loop, of in zip(loops, depths, strict=True) if of == depth}


def test_a_blank_stands_in_a_share_of_the_rows_and_nothing_else_changes():
    experiment = tiny(batch=400, blank=0.25)
    tokens, targets, _ = training_rows(experiment, 0, experiment.task)
    whole, same, _ = training_rows(tiny(batch=400, blank=0.0), 0, experiment.task)
    blank = tokens == len(experiment.task.vocabulary)
    assert 60 < blank.any(1).sum() < 140 and blank.sum(1).max() == 1
    assert set(np.nonzero(blank)[1]) == set(range(6))
    assert np.array_equal(np.where(blank, whole, tokens), whole) and np.array_equal(targets, same)
    assert (whole < len(experiment.task.vocabulary)).all()


def test_rates_rise_stay_and_fall():
    settings = tiny(steps=100, warmup=10, decay=0.3).train
    rates = [rate(settings, step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and rates[9:70] == [1.0] * 61 and rates[-1] == pytest.approx(1 / 30)


@pytest.mark.parametrize("average", [0.0, 0.05])
def test_an_average_over_no_step_leaves_what_was_trained(average):
    e = tiny(average=average, decay=0.0)
    model = built(e)
    before = model.embed.weight.clone()
    train(model, e, torch.device("cpu"))
    assert not torch.equal(model.embed.weight, before)


@pytest.mark.parametrize("preset", PRESETS)
def test_experiments_survive_their_record(preset):
    experiments = PRESETS[preset]()
    assert len({e.run for e in experiments}) == len(experiments)
    for experiment in experiments:
        experiment.check()
        assert from_json(experiment.to_json()) == experiment
        assert override(experiment, [("train.steps", "77")]).run != experiment.run


def test_a_younger_field_leaves_runs_their_ids():
    """At its default it is not told, so that runs recorded before there was one are still the same runs."""
    plain, other = tiny(), override(tiny(), [("architecture.memory", "0.25")])
    assert "memory" not in plain.to_json()["architecture"] and other.to_json()["architecture"]["memory"] == 0.25
    assert from_json(other.to_json()) == other and other.run != plain.run
    assert "noise" not in plain.to_json()["architecture"]
    assert override(tiny(), [("architecture.noise", "0.1")]).to_json()["architecture"]["noise"] == 0.1


def test_a_tuple_field_is_read_from_text():
    experiment = smoke()[0]
    assert override(experiment, [("evaluate.loops", "1,5,9")]).evaluate.loops == (1, 5, 9)
    with pytest.raises(UserError, match=r"evaluate\.loops is '1,x'"):
        override(experiment, [("evaluate.loops", "1,x")])


def test_sizes_that_allow_one_another_are_set_together_in_any_order():
    start = Experiment(TASKS["khop_context"](), "rdt")
    changes = [("task.nodes", "60"), ("task.names", "60")]  # no more nodes take part than there are names
    assert override(start, changes) == override(start, changes[::-1]) != start
    with pytest.raises(UserError, match="nodes is 60: allowed is 3 to 48"):
        override(start, changes[:1])
    assert override(start, [("task.curriculum", "")]).task.stages == (replace(start.task, curriculum=()),)


def test_a_variant_is_what_its_name_says_and_nothing_else():
    named = as_named(replace(tiny(), model="rdt@halting=none@train.blank=0"))
    assert named.base == "rdt" and named.architecture.halting == "none" and named.train.blank == 0
    plain = replace(named, model="rdt", architecture=tiny().architecture, train=replace(named.train, blank=0.125))
    assert plain == tiny()
    named.check()
    with pytest.raises(UserError, match="its settings say otherwise"):
        replace(named, train=replace(named.train, blank=0.5)).check()
    assert from_json(named.to_json()) == named


def test_where_rows_of_all_depths_are_equally_long_one_in_eight_is_shallower():
    experiment = replace(tiny(batch=64), task=TASKS["khop_context"](nodes=8, names=8, curriculum=(), hops=6))
    deepest = np.concatenate([training_rows(experiment, step, experiment.task).depths.max(1) for step in range(100)])
    shares = np.bincount(deepest, minlength=4) / len(deepest)
    assert shares[3] == pytest.approx(7 / 8, abs=0.02) and shares[1] == pytest.approx(1 / 16, abs=0.02)
    again = training_rows(experiment, 7, experiment.task)
    assert all(np.array_equal(a, b) for a, b in zip(again, training_rows(experiment, 7, experiment.task), strict=True))


@pytest.mark.soak
@pytest.mark.skipif(shutil.which(os.environ.get("CXX", "g++")) is None, reason="torch.compile needs a C++ compiler")
def test_compiled_blocks_train_as_plain_ones(tmp_path, monkeypatch):
    """What --compile does to a step: every Block's forward and backward is compiled code, and learns the same."""
    monkeypatch.setattr(carry, "asked_together", lambda task: [])
    monkeypatch.setattr(carry, "diagnostics", lambda *of: None)
    loops = {"shortest_horizon": 2, "longest_horizon": 2, "gradient_loops": 2}  # few kinds of loops: few to compile
    experiment = tiny(optimizer="adamw", steps=1, average=0.0, warmup=0, **loops)
    experiment = override(experiment, [("architecture.adapters", "none")])
    weights, ran = [], []
    for compiled in (False, True):
        with profile() as told:
            made = carry_out(
                experiment, tmp_path / str(compiled), Means("cpu", 1, 64, 1e9, (None, None), compile=compiled)
            )
        weights.append(load(made.weights))
        assert made.run.versions.get("compiled") == ("Blocks" if compiled else None)
        ran.append({event.key: event.count for event in told.key_averages() if "CompiledFunction" in event.key})
    plain, ours = ran
    assert not plain and {"CompiledFunction", "CompiledFunctionBackward"} <= set(ours)
    assert ours["CompiledFunctionBackward"] == 4  # the Prelude's Block, two loops of the recurrent one, the Coda's
    for name, weight in weights[0].items():
        assert (weight - weights[1][name]).abs().mean() < 1e-5, name


def test_blocks_that_cannot_be_compiled_are_a_run_that_failed(tmp_path, monkeypatch):
    from torch._dynamo.exc import BackendCompilerFailed

    def fails(*of):
        raise BackendCompilerFailed(None, RuntimeError("no C++ compiler\nat all"), None)

    monkeypatch.setattr(carry, "train", fails)
    means = Means("cpu", 1, 64, 1e9, (None, None), compile=True)
    with pytest.raises(RunFailed, match=r"rdt seed 0: cannot be compiled here: no C\+\+ compiler; without"):
        carry_out(smoke()[0], tmp_path, means)


def test_ranks_that_find_different_checkpoints_are_refused():
    """Else they would train on rows of different steps: each finds its own where they see different folders."""

    class Second(Alone):
        def agreed(self, numbers):
            return [number + 25 for number in numbers]

    experiment = smoke()[0]
    model = build(experiment.model, experiment.architecture, experiment.vocabulary, experiment.train.mean_loops)
    with pytest.raises(UserError, match="finds a checkpoint of step 0, and the first another"):
        train(model, experiment, torch.device("cpu"), ranks=Second())
