"""What is told of a model's inside is what goes on there."""

from base64 import b64decode
from dataclasses import replace

import numpy as np
import pytest
import torch

from evaluate.records import Records
from evaluate.run.diagnostics import LOOPS, ROWS, diagnostics
from evaluate.run.extrapolation import asked_together, evaluate, questions
from evaluate.run.presets import smoke
from evaluate.run.sweep import Machine, sweep
from model import build
from tasks import TASKS

CPU = torch.device("cpu")


def of(model="rdt", task="mod_chain", **changes):
    experiment = next(e for e in smoke() if e.model == "rdt")
    architecture = replace(experiment.architecture, **changes)
    return replace(experiment, task=TASKS[task](), model=model, architecture=architecture)


def built(experiment):
    """A model that is not calm: new Blocks change nothing."""
    torch.manual_seed(0)
    model = build(experiment.model, experiment.architecture, experiment.vocabulary, 2).eval()
    for parameter in model.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.3)
    return model


def test_states_are_those_of_the_trajectory():
    experiment = of()
    model = built(experiment)
    found = diagnostics(model, experiment, CPU)
    assert (found.run, found.depth) == (experiment.run, 5)
    assert len(found.routing) == len(found.state_norm) == len(found.state_change) == LOOPS
    tokens = torch.from_numpy(questions(experiment.task, 5, ROWS, 0).tokens)
    with torch.no_grad():
        path = model.trajectory(tokens)
        h = [next(path) for _ in range(4)]
    for t in (1, 2, 3):
        assert found.state_norm[t - 1] == pytest.approx(float(h[t].pow(2).mean(-1).sqrt().mean()), rel=1e-5)
        change = (h[t] - h[t - 1]).norm(dim=-1) / h[t].norm(dim=-1)
        assert found.state_change[t - 1] == pytest.approx(float(change.mean()), rel=1e-5)
    assert found.state_change[0] == pytest.approx(1)  # h_0 is zero
    assert found.state_norm == [float(f"{norm:.6g}") for norm in found.state_norm]  # no longer than they are exact


def test_routing_is_what_the_routers_say_and_each_loop_sums_to_one():
    experiment = of(recurrent_blocks=2)
    model = built(experiment)
    told = []
    for block in model.recurrent:
        block.feed_forward.router.register_forward_hook(lambda router, given, made: told.append(made))
    found = np.array(diagnostics(model, experiment, CPU).routing)
    assert found.shape == (LOOPS, experiment.architecture.experts) and found.sum(1) == pytest.approx(1, abs=1e-5)
    expected = np.zeros(found.shape[1])
    for chosen, weights in told[4:6]:  # of both blocks in the third loop
        np.add.at(expected, chosen.flatten().numpy(), weights.flatten().detach().numpy() / chosen[..., 0].numel() / 2)
    assert found[2] == pytest.approx(expected, abs=1e-6) and found[2].std() > 0.01
    assert all(len(block.feed_forward.router._forward_hooks) == 1 for block in model.recurrent)  # the test's own


def test_compiled_blocks_tell_the_same():
    experiment = of()
    model = built(experiment)
    plain = diagnostics(model, experiment, CPU)
    for block in model.recurrent:
        block.compile(backend="eager")
    with torch.no_grad():
        model(torch.from_numpy(questions(experiment.task, 5, ROWS, 0).tokens), (2,))
    assert diagnostics(model, experiment, CPU) == plain


def test_a_part_that_a_model_lacks_is_none():
    plain = of("looped")
    found = diagnostics(built(plain), plain, CPU)
    assert found.routing is None and len(found.state_norm) == LOOPS
    assert diagnostics(built(of("transformer")), of("transformer"), CPU) is None


def test_what_is_not_finite_is_none():
    experiment = of("looped")
    model = built(experiment)
    with torch.no_grad():
        model.recurrent[0].feed_forward.leave.weight.fill_(torch.nan)
    found = diagnostics(model, experiment, CPU)
    assert found.state_norm == found.state_change == [None] * LOOPS


def test_one_line_a_run_is_written_and_read(tmp_path):
    rdt = replace(of(), train=replace(of().train, steps=2), evaluate=replace(of().evaluate, count=8))
    runs = [rdt, replace(rdt, model="looped"), replace(rdt, model="transformer")]
    for count in (1, 3, 3):
        sweep(runs[:count], tmp_path / "out", Machine("cpu", workers=1))
    records = Records(tmp_path / "out")
    assert len((tmp_path / "out" / "diagnostics.jsonl").read_text().splitlines()) == 2
    assert set(records.diagnostics) == {rdt.run, runs[1].run} and not records.notes
    assert len(records.columns) and all(bits is not None for bits in records.columns.right) and not records.notes


@pytest.mark.parametrize("task", ["mod_chain", "prefix_sum", "khop_facts"])
def test_which_answers_are_right_stands_in_the_order_of_the_rows(task):
    experiment = replace(of(task=task), evaluate=replace(of().evaluate, count=11, loops=(1, 3)))
    model = built(experiment)
    group = asked_together(experiment.task)[0]
    rows = questions(experiment.task, group[-1], 11, 0)
    right = model(torch.from_numpy(rows.tokens), (1, 3)).argmax(-1).numpy() == rows.targets
    for batch in (11, 4, 1):
        cells = list(evaluate(model, experiment, group, CPU, batch))
        assert {cell.depth for cell in cells} == set(group)
        for cell in cells:
            if cell.halting == "fixed":
                mine = right[(1, 3).index(cell.loops)][rows.depths == cell.depth]
                bits = np.unpackbits(np.frombuffer(b64decode(cell.right), np.uint8))
                assert bits[: cell.count].tolist() == mine.tolist() and not bits[cell.count :].any()
