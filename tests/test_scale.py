"""Scale: engines, ranks, threads, batches and order decide how long it takes, and never what is found."""

from __future__ import annotations

import base64
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
import weakref
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import faults
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from together import frees, late, losses, meet, together

import evaluate.run.train as training
import run_benchmarks
from evaluate.run import carry, local
from evaluate.run.extrapolation import asked_together, evaluate, undecided
from evaluate.run.folder import claimed
from evaluate.run.presets import smoke
from evaluate.run.sweep import Machine
from model import build
from model.draws import normal_like, rows_of

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
QUIET = {**os.environ, "OMP_NUM_THREADS": "1"}


def trained_by(ranks: int, *words: Any) -> dict[str, Any]:
    return together(losses, *words, ranks=ranks)[0][0]


@pytest.mark.parametrize("model", ["rdt", pytest.param("transformer", marks=pytest.mark.soak)])
def test_two_ranks_train_as_one_process_does(model):
    one, two = (trained_by(ranks, "khop_facts", model, "adamw") for ranks in (1, 2))
    assert len(one["losses"]) == 8 and one["losses"][-1] < one["losses"][0]
    assert two["losses"] == pytest.approx(one["losses"], abs=1e-5, rel=0)
    assert two["biases"] == one["biases"] and two["accuracies"] == one["accuracies"]
    assert two["norm"] == pytest.approx(one["norm"], abs=1e-3)


def test_two_ranks_train_a_users_own_looped_model_as_one_process_does():
    """With every horizon of the range, drawn for all rows at once."""
    one, two = (trained_by(ranks, "khop_facts", "own", "adamw") for ranks in (1, 2))
    assert two["losses"] == pytest.approx(one["losses"], abs=1e-5, rel=0)


def test_two_ranks_go_through_a_curriculum_as_one_process_does():
    """Of stages whose rows do not divide by the ranks."""
    one, two = (trained_by(ranks, "carry_chain", "rdt", "adamw") for ranks in (1, 2))
    assert one["rows"] == [17, 13, 9]
    assert two["losses"] == pytest.approx(one["losses"], abs=1e-5, rel=0) and two["accuracies"] == one["accuracies"]


def test_two_ranks_step_with_muon_as_one_process_does():
    """Muon orthogonalises in bfloat16, so that the last bit of a sum grows to 1e-3 of a loss within ten steps.
    With the sums in one order nothing differs, not by a bit."""
    one, two = (trained_by(ranks, "khop_facts", "rdt", "muon")["losses"] for ranks in (1, 2))
    assert two[:3] == pytest.approx(one[:3], abs=1e-5, rel=0) and two == pytest.approx(one, rel=0.01)
    assert two == trained_by(1, "khop_facts", "rdt", "muon", True)["losses"]


TIMES = ("train_seconds",)
ROUNDED = (*TIMES, "correct", "mean_loops", "eval_flops")  # what the last bit of a sum can change


def records(out: Path, without: tuple[str, ...]) -> list[list[str]]:
    return [
        sorted(
            json.dumps({k: v for k, v in json.loads(text).items() if k not in without})
            for text in (out / file).read_text().splitlines()
        )
        for file in ("runs.jsonl", "cells.jsonl")
    ]


def started(out: Path, steps: int) -> subprocess.Popen[str]:
    words = [*TORCHRUN, "run_benchmarks.py", *faults.TINY, "--train.steps", str(steps), "--out", str(out)]
    return subprocess.Popen(words, cwd=faults.ROOT, env=QUIET, text=True, stdout=-1, stderr=-1, start_new_session=True)


def ranks_of(process: subprocess.Popen[str]) -> dict[int, int]:
    """The process of each rank."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            words = dict(w.split("=", 1) for w in path.read_text().split("\0") if "=" in w)
            parent = int(re.search(r"PPid:\s+(\d+)", (path.parent / "status").read_text())[1])
        except OSError:
            continue
        if parent == process.pid and "LOCAL_RANK" in words:
            found[int(words["LOCAL_RANK"])] = int(path.parent.name)
    return found


@pytest.mark.soak
@pytest.mark.parametrize("dies", [0, 1])
def test_a_rank_that_dies_ends_the_run_in_a_line_and_it_resumes(tmp_path, dies):
    process = started(tmp_path / "out", 500)
    while not list((tmp_path / "out").glob("checkpoints/*.safetensors")):
        assert process.poll() is None
        time.sleep(0.1)
    os.kill(ranks_of(process)[dies], signal.SIGKILL)
    _, told = process.communicate(timeout=400)
    assert process.returncode != 0
    mine = [line for line in told.splitlines() if line.startswith("run_benchmarks.py: ")]
    assert len(mine) == 1 and "the same command goes on from there" in mine[0]
    assert list((tmp_path / "out").glob("checkpoints/*.safetensors")) and not (tmp_path / "out/runs.jsonl").exists()
    again = started(tmp_path / "out", 500)
    shown, told = again.communicate(timeout=400)
    assert again.returncode == 0 and shown.count("plots: ") == 1, told
    assert len((tmp_path / "out/runs.jsonl").read_text().splitlines()) == 2


def test_a_sweep_keeps_no_outcome_that_was_handed_over(monkeypatch, tmp_path):
    """Weights and answers of hundreds of runs: the one that is written, and no other, is in memory."""

    class Pool:
        _processes = None

        def __init__(self, *_: Any, **__: Any) -> None:
            pass

        def submit(self, *_: Any) -> Future[Any]:
            ended: Future[Any] = Future()
            ended.set_result(Big())
            return ended

        def shutdown(self, **_: Any) -> None:
            pass

    class Big:
        alive: ClassVar[weakref.WeakSet[Big]] = weakref.WeakSet()

        def __init__(self) -> None:
            self.alive.add(self)

    monkeypatch.setattr(local, "ProcessPoolExecutor", Pool)
    left = []
    for _ in local.carry_out_here(smoke(), tmp_path, None, workers=2):
        left.append(len(Big.alive))
    assert len(left) == len(smoke()) > 3 and left == sorted(left, reverse=True) and left[-1] == 1


@pytest.mark.soak
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="asks for two cores")
def test_two_workers_keep_two_cores_busy_on_reference(tmp_path):
    """Of the time of two cores, from the first line to an interrupt five minutes later, on a machine at rest."""

    def spent() -> float:
        of = resource.getrusage(resource.RUSAGE_CHILDREN)
        return of.ru_utime + of.ru_stime

    before, began = spent(), time.monotonic()
    process = faults.start(["run", "--preset", "reference", "--workers", "2"], tmp_path / "out")
    time.sleep(300)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=100)
    share = (spent() - before) / (time.monotonic() - began) / 2
    print(f"\nbusy {share:.1%} of two cores")
    assert share > 0.85


def test_ranks_together_write_the_records_of_one_and_only_the_first_speaks(tmp_path):
    words = [*faults.TINY, "--train.steps", "4", "--out", str(tmp_path / "together")]
    (first, shown), second = together(run_benchmarks.main, words, ranks=2)
    assert first == 0 and shown.count("plots: ") == 1 and second == (0, "")
    alone = [*faults.TINY, "--train.steps", "4", "--workers", "1", "--out", str(tmp_path / "alone")]
    assert run_benchmarks.main(alone) == 0
    assert records(tmp_path / "together", ROUNDED) == records(tmp_path / "alone", ROUNDED)
    assert len(records(tmp_path / "alone", ROUNDED)[1]) == 35
    (first, shown), second = together(run_benchmarks.main, words, ranks=2)
    assert first == 0 and shown.count("2 of 2 runs are in") == 1 and second == (0, "")


def test_ranks_put_noise_of_their_own_on_their_rows_and_stay_in_step():
    drawn, after = [], []
    for rank in (0, 1):
        torch.manual_seed(0)
        with rows_of(6, slice(rank, None, 2)):
            drawn.append(normal_like(torch.zeros(2, 4)))  # two of its three rows have begun
        after.append(torch.rand(3))
    assert drawn[0].shape == (2, 4) and not torch.isclose(drawn[0], drawn[1]).any() and torch.equal(*after)


@pytest.mark.soak
def test_ranks_go_on_from_one_checkpoint_however_late_one_of_them_is(tmp_path, monkeypatch):
    words = [*faults.TINY, "--models", "rdt", "--seeds", "0,1", "--train.steps", "10"]

    def stops(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:  # the first run is trained, and its last checkpoint is there
        patched.setattr(carry, "evaluate", stops)
        assert run_benchmarks.main([*words, "--workers", "1", "--out", str(tmp_path / "late")]) == 2
    assert len(list((tmp_path / "late").glob("checkpoints/*.safetensors"))) == 1
    for out, seconds in (("late", 8.0), ("whole", 0.0)):
        ended = together(late, [*words, "--out", str(tmp_path / out)], seconds, ranks=2)
        assert [status for status, _ in ended] == [0, 0]
    runs = map(json.loads, (tmp_path / "late/runs.jsonl").read_text().splitlines())
    (second,) = (run["run"] for run in runs if run["seed"] == 1)
    (one, other) = (load_file(tmp_path / out / f"weights/{second}.safetensors") for out in ("late", "whole"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_ranks_are_told_that_the_folder_is_anothers(tmp_path):
    words = [*faults.TINY, "--train.steps", "10", "--out", str(tmp_path / "out")]
    with claimed(tmp_path / "out"):
        (status, told), second = together(run_benchmarks.main, words, ranks=2)
    assert status == 2 and "another process is at work" in told and second == (0, "")


def test_no_rank_goes_on_before_all_have_found_each_other():
    ((_, on), _), ((found, _), _) = together(meet, 1.0, ranks=2)
    assert on >= found


@pytest.mark.parametrize(("fails", "freed"), [(False, [False]), (True, [])])
def test_what_averages_gradients_never_lasts_longer_than_the_group_of_processes(fails, freed):
    """Else it is the one to free the group, under a lock that the group's own threads may wait for: a rank hangs. Where
    training fails the traceback holds it, and the group ends with the process."""
    assert together(frees, fails) == [(freed, "")]


def test_a_batch_that_ranks_cannot_share_is_refused(tmp_path):
    words = [*faults.TINY, "--train.batch", "1", "--out", str(tmp_path / "out")]
    for status, told in together(run_benchmarks.main, words, ranks=2):
        assert status == 2 and "train.batch is 1, which makes 1 rows a step" in told
        assert "allowed here is one row or more for each of the 2 processes" in told
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def trained():
    """A model that has learnt a little, so that its answers are neither all right nor all wrong."""
    experiment = next(e for e in smoke() if e.task.name == "mod_chain" and e.model == "rdt")
    experiment = replace(experiment, train=replace(experiment.train, steps=60, batch=32))
    experiment = replace(experiment, evaluate=replace(experiment.evaluate, count=6))
    torch.manual_seed(0)
    model = build("rdt", experiment.architecture, experiment.vocabulary, experiment.train.mean_loops)
    training.train(model, experiment, torch.device("cpu"))
    return experiment, model.eval()


def counts(experiment, model, batch, groups):
    cells = [c for group in groups for c in evaluate(model, experiment, group, torch.device("cpu"), batch)]
    for cell in cells:
        bits = np.frombuffer(base64.b64decode(cell.right), np.uint8)
        assert len(bits) == -(-cell.count // 8) and np.unpackbits(bits).sum() == cell.correct
    return {(c.depth, c.halting, c.loops): (c.correct, c.ties, c.count, c.right) for c in cells}


def test_counts_are_the_same_whatever_the_batch_the_threads_and_the_order(trained):
    experiment, model = trained
    groups = asked_together(experiment.task)[::3]
    held = counts(experiment, model, 6, groups)
    assert len({correct for correct, *_ in held.values()}) > 3
    before = torch.get_num_threads()
    try:
        for batch, threads, order in ((1, 1, -1), (5, 2, 1)):
            torch.set_num_threads(threads)
            found = counts(experiment, model, batch, groups[::order])
            for key, (correct, ties, count, right) in held.items():
                near = max(ties, found[key][1])
                assert found[key][2] == count and abs(found[key][0] - correct) <= near
                differ = int.from_bytes(base64.b64decode(found[key][3])) ^ int.from_bytes(base64.b64decode(right))
                assert differ.bit_count() <= near
            assert sum(ties for _, ties, *_ in held.values()) > 0 or found == held
    finally:
        torch.set_num_threads(before)


def test_an_answer_that_rounding_could_change_is_counted_as_a_tie():
    targets = torch.tensor([[1, 1, 1, 1]])
    logits = torch.tensor([[[0.0, 5.0, 0.0], [5.0, 5.0 - 1e-6, 0.0], [5.0, 0.0, 5.0], [5.0, 4.9, 0.0]]])
    assert undecided(logits, targets).tolist() == [[False, True, False, False]]  # the third is wrong either way


def test_processes_and_threads_share_the_cores_out(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert Machine().shared_out(100, "cpu") == (8, 1) and Machine(threads=0).shared_out(2, "cpu") == (2, 4)
    assert Machine(workers=3, threads=0).shared_out(100, "cpu") == (3, 2)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    assert Machine().shared_out(100, "cuda") == (4, 1) and Machine().shared_out(2, "cuda") == (2, 1)
