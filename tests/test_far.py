"""On a device that is elsewhere, as a GPU is: the same answers, no tensor left behind, no step that waits for it."""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import far
import pytest
import torch
from together import together

import evaluate.run.train as training
from evaluate.run import carry, curriculum
from evaluate.run.experiment import Experiment
from evaluate.run.extrapolation import evaluate
from evaluate.run.presets import smoke
from evaluate.study.ask import ask
from model import MODELS, build
from model.settling import settle
from tasks import TASKS


def experiment(model: str, **changes: Any) -> Experiment:
    first = next(e for e in smoke() if e.task.name == "mod_chain")
    few = {"steps": 3, "batch": 8, "optimizer": "adamw", "average": 0.5, "longest_horizon": 3}
    train = replace(first.train, **{**few, **changes})
    asked = replace(first.evaluate, loops=(1, 3), count=24)
    task = replace(first.task, train_depths=(1, 2), selection_depths=(3,), test_depths=(4,))  # type: ignore[call-arg]
    return replace(first, task=task, model=model, train=train, evaluate=asked)


def staged() -> Experiment:
    """A task with a curriculum."""
    task = TASKS["khop_facts"](
        entities=4, relations=2, train_depths=(1, 2), selection_depths=(3,), test_depths=(4,), curriculum=(1,)
    )
    return replace(experiment("rdt", steps=2 * training.CHECK_EVERY), task=task)


def new(of: Experiment) -> Any:
    torch.manual_seed(of.seed)
    return build(of.model, of.architecture, of.vocabulary, of.train.mean_loops)


def trained(of: Experiment, device: str, **words: Any) -> tuple[Any, list[float], Counter[str]]:
    """The model, the losses of which one is told, and what was waited for."""
    model, losses = new(of), []
    far.WAITS.clear()
    training.train(model, of, torch.device(device), progress=lambda step, loss, _: losses.append(loss), **words)
    return model.eval(), losses, Counter(far.WAITS)


def whole(folder: Path, of: Experiment) -> list[dict[str, Any]]:
    """What becomes of an experiment here and there: trained, asked and looked into."""
    far.register()
    found = []
    for device, mode in (("cpu", nullcontext()), ("far", far.Far())):
        with mode:
            out = carry.carry_out(of, folder / device, carry.Means(device, 1, 16, 0.0, (None, None)))
            cells = {(c.depth, c.halting, c.loops): (c.correct, c.count, c.ties) for c in out.cells}
            inside = out.inside and [out.inside.state_norm, out.inside.state_change]
            found.append({"status": out.run.status, "cells": cells, "inside": inside, "flops": out.run.train_flops})
    return found


def alike(here: dict[str, Any], there: dict[str, Any]) -> None:
    assert here["status"] == there["status"] == "ok" and here["flops"] == there["flops"]
    assert there["cells"].keys() == here["cells"].keys()
    for key, (correct, count, ties) in here["cells"].items():
        assert there["cells"][key][1] == count and abs(there["cells"][key][0] - correct) <= ties, key
    assert len({correct for correct, *_ in here["cells"].values()}) > 2, "or equal counts say little"
    if here["inside"]:
        for mine, other in zip(here["inside"], there["inside"], strict=True):
            assert other == pytest.approx(mine, rel=1e-3, abs=1e-5)


def waited(model: str) -> list[Counter[str]]:
    """What two steps wait for, and four, with one look at the end."""
    far.register()
    with far.Far():  # steps whose weights are averaged send a number
        return [trained(experiment(model, steps=steps, average=0.0), "far")[2] for steps in (2, 4)]


def asked(loops: tuple[int, ...]) -> Counter[str]:
    """What the counting of answers waits for, whatever the model has to wait for itself."""
    of = experiment("rdt")
    of, model = replace(of, evaluate=replace(of.evaluate, loops=loops)), new(of).to("far").eval()
    far.WAITS.clear()
    assert list(evaluate(model, of, [4], torch.device("far"), 8))
    return Counter(wait for wait in far.WAITS if " extrapolation.py" in wait)


def looked_at(folder: Path) -> dict[str, Any]:
    """The RDT there, in parts."""
    found: dict[str, Any] = {"whole": whole(folder, experiment("rdt"))}
    with far.Far():
        near, there = torch.ones(3), torch.ones(3, device="far")
        for name, does in {"mixed": lambda: there + near, "scalar": lambda: there + torch.tensor(1.0)}.items():
            try:
                found[name] = str(does().device)
            except far.Mismatch as error:
                found[name] = str(error)
        far.WAITS.clear()
        found["seen"] = [float(there.sum()), there[there > 2].numel(), there.cpu().tolist()], far.WAITS.copy()
        found["waits"] = waited("rdt")
        found["asked"] = [asked(loops) for loops in ((1, 3), (1, 2, 3))]
        curriculum.PASS = 0.0  # each look leads on
        found["staged"] = training.train(new(staged()), staged(), torch.device("far")).stage_steps
        found["muon"] = [trained(experiment("rdt", optimizer="muon", steps=2), device)[1] for device in ("cpu", "far")]
        training.CHECK_EVERY = 1
        model, through, _ = trained(experiment("rdt"), "far")
        tokens = torch.randint(4, (2, 5))
        rests = [settle(model.to(device), tokens.to(device), 6) for device in ("far", "cpu")]
        found["settled"] = [float((rests[0].h.cpu() - rests[1].h).abs().max()), float(rests[1].h.abs().max())]
        found["anew"] = [[ask(model.to(device), experiment("rdt").task, 4, 6, count=9, seed=0, batch=4, device=device,
                              moving=moving) for device in ("far", "cpu")] for moving in (False, True)]  # fmt: skip
        found["resumed"] = [through, stopped(experiment("rdt"), folder / "c.safetensors")]
    return found


def stopped(of: Experiment, saved: Path) -> list[float]:
    """The losses of a run that is stopped after two steps, before the second is saved, and goes on."""

    class Stop(Exception): ...

    losses: list[float] = []

    def stop(step: int, loss: float, accuracy: float) -> None:
        losses.append(loss)
        if step == 2:
            raise Stop

    with pytest.raises(Stop):
        training.train(new(of), of, torch.device("far"), saved, stop, 0.0)
    return losses[:1] + trained(of, "far", saved=saved, save_every=0.0)[1]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return together(looked_at, tmp_path_factory.mktemp("far"))[0][0]


def test_the_stand_in_refuses_what_a_gpu_would_and_sees_who_waits(found):
    assert found["mixed"] == "add: far tensors, and near ones of shapes [(3,)]" and found["scalar"] == "far:0"
    values, seen = found["seen"]
    assert values == [3.0, 0, [1.0] * 3] and [wait.split()[0] for wait in seen] == [
        "_local_scalar_dense", "index", "_to_copy"
    ]  # fmt: skip


def test_the_rdt_elsewhere_is_the_rdt_here(found):
    alike(*found["whole"])
    assert found["muon"][1] == pytest.approx(found["muon"][0], rel=1e-3)
    assert found["staged"] == [training.CHECK_EVERY] * 2
    assert found["settled"][0] < 1e-4 < found["settled"][1]


def test_answers_are_waited_for_once_all_rows_are_asked(found):
    few, more = found["asked"]
    answers = {loops: loops + 3 for loops in (2, 3)}  # and three rules
    for waits, loops in ((few, 2), (more, 3)):
        assert waits == {"_to_copy extrapolation.py <genexpr>": 4 * answers[loops]}, (
            "and no row is waited for on its way there"
        )


def test_trained_weights_are_asked_anew_elsewhere_as_here(found):
    for there, here in found["anew"]:
        assert there == here and {row["count"] for row in here} == {9}
    assert len(found["anew"][0][0]) > 1, "each rule, and all loops"


def test_no_step_waits_for_the_device(found):
    few, many = found["waits"]
    assert few == many and sum(few.values()) > 10
    assert {wait.split(" ", 1)[1].split()[0] for wait in few} == {"train.py", "flops.py"}, few


def test_a_run_elsewhere_goes_on_from_its_checkpoint(found):
    through, again = found["resumed"]
    assert len(through) == 3 and through == again


@pytest.mark.soak
@pytest.mark.parametrize("model", [name for name in MODELS if name not in ("rdt", "gru")])
def test_every_model_elsewhere_is_the_one_here(model, tmp_path):
    """But for the GRU, which is torch's own and on a GPU one kernel of it."""
    alike(*together(whole, tmp_path, experiment(model))[0][0])
    few, many = together(waited, model)[0][0]
    assert few == many and sum(few.values()) > 10
