"""Faults: whatever is cut off, altered, full, locked or of another version is told in a line, and nothing is lost."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from random import Random

import faults
import numpy as np
import pytest
import torch

import run_benchmarks
from evaluate.records import NAMES, Cell, Diagnostics, Records, Run, Writer, run_id
from evaluate.run import checkpoint, folder, sweep, version
from evaluate.run.experiment import Experiment, override
from evaluate.run.presets import smoke
from evaluate.run.sweep import Machine
from evaluate.run.train import optimizers
from model import build
from tasks import TASKS, UserError
from tasks.files import file_name, write_over

HERE = Machine("cpu", workers=1, save_every=0.0)
STEPS = 30  # a checkpoint after 25, and some to go on with
TWO = [*faults.TINY, "--models", "transformer", "--seeds", "0,1"]
CELL = Cell("a", "t", "m", 0, "test", 10, 4, "fixed", 50, 40, 0.1, None, 4.0, 1000)
INSIDE = Diagnostics("a", 5, [[0.5, 0.5]], [1.0], None)
RUN = Run("a", {"x": 1}, "t", 1, "m", 0, 5, 100, 10**9, 1.0, 10, "ok", {}, "cpu", 1, None, None)


def tiny(steps: int = STEPS, seed: int = 0) -> Experiment:
    experiment = next(e for e in smoke() if e.task.name == "mod_chain" and e.model == "rdt")
    words = iter(faults.TINY[7:-2])
    changes = [(name.removeprefix("--"), value) for name, value in zip(words, words, strict=True)]
    return replace(override(experiment, [*changes, ("train.steps", str(steps))]), seed=seed)


def cut(experiment: Experiment, out: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Leave a run as a kill after its first checkpoint would; returns that checkpoint."""
    with monkeypatch.context() as patched:
        patched.setattr("evaluate.run.train.checkpoint.save", saved_once(checkpoint.save))
        with pytest.raises(Cut):
            sweep.sweep([experiment], out, HERE)
    return out / "checkpoints" / f"{experiment.run}.safetensors"


class Cut(Exception):
    pass


def saved_once(save):
    def save_and_stop(*arguments):
        save(*arguments)
        raise Cut

    return save_and_stop


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    sweep.sweep([tiny()], out, HERE)
    return faults.final(out)


# killed


def test_a_kill_loses_nothing(tmp_path, undisturbed):
    out = tmp_path / "out"
    process = faults.start([*faults.TINY, "--models", "rdt", "--train.steps", str(STEPS), "--workers", "1"], out)
    while not list(out.glob("checkpoints/*.safetensors")):
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert faults.stage(out) in ("writing", "in training or evaluation")
    sweep.sweep([tiny()], out, HERE)
    assert faults.final(out) == undisturbed


@pytest.mark.soak
def test_a_hundred_kills_lose_nothing(tmp_path):
    seen = faults.kills(tmp_path, 100, seed=2)
    print(f"\nsurvived 100 of 100 kills: {dict(seen)}")


def every_crash(tmp_path, work):
    """Do `work` in children that end at their first, second, ... step towards the disk, until one comes through."""
    steps = ("replace", "fsync", "write", "unlink")
    for count in range(1, 100):
        place = tmp_path / str(count)
        place.mkdir()
        child = os.fork()
        if not child:
            left = count

            def counted(real):
                def call(*arguments, **options):
                    nonlocal left
                    left -= 1
                    if not left:
                        os._exit(9)
                    return real(*arguments, **options)

                return call

            for name in steps:
                setattr(os, name, counted(getattr(os, name)))
            work(place)
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        yield place
        if status == 0:
            assert count > 3
            return
        assert status == 9


def test_records_are_whole_wherever_their_writer_ends(tmp_path):
    def add(place, name):
        cells = [replace(CELL, run=name, depth=d) for d in (1, 2)]
        Writer(place).add(replace(RUN, run=name), cells, replace(INSIDE, run=name))

    def work(place):
        for name in "ab":
            add(place, name)

    for place in every_crash(tmp_path, work):
        found = Records(place)
        assert np.bincount(found.columns.run).tolist() == [2] * len(found.runs)
        assert list(found.diagnostics) == list(found.runs)
        for name in "ab":
            if name not in found.runs:
                add(place, name)
        again = Records(place)
        assert list(again.runs) == list(again.diagnostics) == ["a", "b"] and len(again.columns) == 4 and not again.notes
        for name, count in {"cells.jsonl": 4, "diagnostics.jsonl": 2}.items():
            assert len((place / name).read_text().splitlines()) == count


def test_a_file_is_the_old_one_or_the_new_one(tmp_path):
    def work(place):
        write_over(place / "state", b"old")
        write_over(place / "state", b"new")

    seen = set()
    for place in every_crash(tmp_path, work):
        seen.add((place / "state").read_bytes() if (place / "state").exists() else None)
    assert seen == {None, b"old", b"new"}


def test_workers_end_with_a_parent_that_was_killed(tmp_path):
    process = faults.start([*TWO, "--train.steps", "5000", "--workers", "2"], tmp_path / "out")
    group = process.pid
    while len(list((tmp_path / "out").glob("checkpoints/*.safetensors"))) < 2:
        assert process.poll() is None
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    for _ in range(600):
        if not alive(group):
            return
        time.sleep(0.1)
    os.killpg(group, signal.SIGKILL)
    raise AssertionError("a worker outlived its parent")


def alive(group):
    """The processes of a group that have not ended, and their commands."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # others come and go
            state, _, its = path.read_text().rpartition(")")[2].split()[:3]
            if int(its) == group and state not in "ZX":
                found[int(path.parent.name)] = (path.parent / "cmdline").read_bytes()
    return found


def test_a_worker_that_is_killed_ends_the_sweep_in_a_line_and_it_goes_on(tmp_path):
    process = faults.start([*TWO, "--train.steps", "3000", "--workers", "2"], tmp_path / "out")
    group = process.pid
    while len(list((tmp_path / "out").glob("checkpoints/*.safetensors"))) < 2:
        assert process.poll() is None
        time.sleep(0.1)
    worker = next(number for number, words in alive(group).items() if b"spawn_main" in words)
    os.kill(worker, signal.SIGKILL)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 2 and told.count("run_benchmarks.py: ") == 1
    assert "a worker process was killed" in told and "the same command goes on from there" in told


# damaged


@pytest.fixture
def saved(tmp_path):
    experiment = tiny()
    model = build(experiment.model, experiment.architecture, experiment.vocabulary, 2)
    made = optimizers(model, experiment.train)
    path = tmp_path / "checkpoints" / "c.safetensors"
    checkpoint.save(path, "this", "mod_chain", 3, 1.0, {"model": model}, made)
    return path


def test_a_checkpoint_of_a_run_that_is_recorded_goes(tmp_path):
    """A kill between the record and its end leaves one."""
    sweep.sweep([tiny(2)], tmp_path, HERE)
    left = tmp_path / "checkpoints" / f"{tiny(2).run}.safetensors"
    left.parent.mkdir(exist_ok=True)
    left.write_bytes(b"left")
    sweep.sweep([tiny(2)], tmp_path, HERE)
    assert not left.exists() and len((tmp_path / "runs.jsonl").read_text().splitlines()) == 1


def test_one_altered_byte_anywhere_is_noticed(saved):
    whole = saved.read_bytes()
    checkpoint.read(saved)
    random = Random(0)
    for place in [*range(300), *(random.randrange(len(whole)) for _ in range(200)), len(whole) - 1]:
        for change in (1, 0x80):
            saved.write_bytes(whole[:place] + bytes([whole[place] ^ change]) + whole[place + 1 :])
            with pytest.raises(checkpoint.Damaged, match="is damaged"):
                checkpoint.read(saved)


def test_a_cut_checkpoint_is_noticed(saved):
    whole = saved.read_bytes()
    for length in [0, 4, 8, 9, 500, len(whole) // 2, len(whole) - 1]:
        saved.write_bytes(whole[:length])
        with pytest.raises(checkpoint.Damaged, match="is damaged"):
            checkpoint.read(saved)
    saved.write_bytes(whole + b"0")
    with pytest.raises(checkpoint.Damaged, match="is damaged"):
        checkpoint.read(saved)


def test_a_damaged_checkpoint_is_told_and_the_run_starts_over(tmp_path, monkeypatch, capsys, undisturbed):
    path = cut(tiny(), tmp_path / "out", monkeypatch)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    sweep.sweep([tiny()], tmp_path / "out", HERE)
    told = capsys.readouterr().err.splitlines()
    assert "its checksum is another; removed, and the run starts over" in told[0]
    assert len(told) == 2 and told[1].startswith("1 of 1: "), "and then that it is written"
    assert faults.final(tmp_path / "out") == undisturbed


def test_damage_in_the_middle_of_records_is_refused_and_not_made_worse(tmp_path):
    sweep.sweep([tiny(2)], tmp_path, HERE)
    lines = (tmp_path / "cells.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "cells.jsonl").write_bytes(lines[0] + b'{"run": \n' + b"".join(lines[2:]))
    before = (tmp_path / "cells.jsonl").read_bytes()
    with pytest.raises(UserError, match=r"cells\.jsonl: line 2 is no record \(it is not whole\): mend it or remove it"):
        sweep.sweep([tiny(2, seed=1)], tmp_path, HERE)
    assert (tmp_path / "cells.jsonl").read_bytes() == before


def test_packed_records_are_not_hidden_by_new_ones(tmp_path):
    (tmp_path / "runs.jsonl.gz").write_bytes(b"")
    with pytest.raises(UserError, match=r"holds packed records: `gunzip` runs\.jsonl\.gz"):
        Writer(tmp_path)


# full, read-only, back in time


def mounted(place, options):
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], capture_output=True).returncode:
        pytest.skip("needs the right to mount a small disk")


@pytest.fixture
def small_disk(tmp_path):
    place = tmp_path / "disk"
    mounted(place, "size=2m")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize("room", [0, 8, 400, 1000])
def test_a_full_disk_is_told_and_the_run_goes_on_once_there_is_room(small_disk, room, undisturbed):
    filler = small_disk / "filler"
    with open(filler, "wb") as file:
        file.write(bytes(1024 * (2048 - room)))
    out = small_disk / "out"
    with pytest.raises(UserError, match="No space left on device") as told:
        sweep.sweep([tiny()], out, HERE)
    assert "\n" not in str(told.value) and "cannot write" in str(told.value)
    assert not list(small_disk.rglob("*.tmp"))
    Records(out)
    filler.unlink()
    sweep.sweep([tiny()], out, HERE)
    assert faults.final(out) == undisturbed


def test_a_disk_that_fills_up_in_the_middle_of_a_record_leaves_whole_ones(tmp_path, monkeypatch):
    writer = Writer(tmp_path)
    writer.add(RUN, [CELL], INSIDE)
    before = [(tmp_path / name).read_bytes() for name in NAMES]
    real = os.fsync

    def full(handle):
        real(handle)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="No space left on device; nothing is damaged, and the same command goes on"):
        writer.add(replace(RUN, run="b"), [replace(CELL, run="b")])
    assert [(tmp_path / name).read_bytes() for name in NAMES] == before


def test_a_folder_made_read_only_is_told(small_disk, undisturbed, monkeypatch):
    out = small_disk / "out"
    cut(tiny(), out, monkeypatch)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(UserError, match=r"cannot write to .*: it is read-only here"):
        sweep.sweep([tiny()], out, HERE)
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    sweep.sweep([tiny()], out, HERE)
    assert faults.final(out) == undisturbed


def test_a_clock_set_back_changes_nothing(tmp_path, monkeypatch, undisturbed):
    path = cut(tiny(), tmp_path / "out", monkeypatch)
    ahead = time.time() + 10 * 365 * 86400
    os.utime(path, (ahead, ahead))
    now = iter(range(2_000_000_000, 0, -3600))
    monkeypatch.setattr(time, "time", lambda: float(next(now)))
    sweep.sweep([tiny()], tmp_path / "out", HERE)
    assert faults.final(tmp_path / "out") == undisturbed
    run = next(iter(Records(tmp_path / "out").runs.values()))
    assert 0 < run["train_seconds"] < 1000


# two at once, two versions


def test_who_works_in_a_folder_that_is_anothers_is_told_so(tmp_path, capsys):
    with folder.claimed(tmp_path):
        assert run_benchmarks.main([*faults.TINY, "--out", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert told.count("run_benchmarks.py: ") == 1 and "another process is at work in" in told
    assert not list(tmp_path.iterdir())
    with folder.claimed(tmp_path):
        pass


def test_who_is_refused_a_claim_leaves_the_folder_that_its_owner_has_just_made(tmp_path, monkeypatch):
    made, owner, out = Path.mkdir, contextlib.ExitStack(), tmp_path / "out"

    def later(*words, **more):
        monkeypatch.undo()
        owner.enter_context(folder.claimed(out))  # between the other's look and its own making of the folder
        made(*words, **more)

    monkeypatch.setattr(Path, "mkdir", later)
    with owner:
        with pytest.raises(UserError, match="another process is at work"), folder.claimed(out):
            pass
        assert out.exists()
    assert not out.exists()


def test_who_waited_at_a_folder_that_was_then_removed_holds_nothing(tmp_path, monkeypatch):
    """A claim of what is gone would keep nobody out: whoever comes next makes the folder anew."""
    owner, out, real = contextlib.ExitStack(), tmp_path / "out", os.open
    owner.enter_context(folder.claimed(out))

    def then_removed(*words, **more):
        handle = real(*words, **more)
        monkeypatch.undo()
        owner.close()  # its owner has put nothing there
        owner.enter_context(folder.claimed(out))
        return handle

    monkeypatch.setattr(os, "open", then_removed)
    with owner:
        with pytest.raises(UserError, match="has just removed"), folder.claimed(out):
            pass
        assert out.exists()


def test_a_claim_ends_with_its_process(tmp_path):
    code = f"from evaluate.run.folder import *\nwith claimed(Path({str(tmp_path)!r})):\n print(1, flush=True); input()"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=faults.ROOT, stdout=-1, stdin=-1, text=True)
    assert process.stdout.readline() == "1\n"
    with pytest.raises(UserError, match="another process is at work"), folder.claimed(tmp_path):
        pass
    process.kill()
    process.wait()
    with folder.claimed(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_a_run_that_another_version_began_is_refused_by_name(tmp_path, monkeypatch, undisturbed):
    path = cut(tiny(), tmp_path / "out", monkeypatch)
    before = path.read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "code_version", lambda task: "feedbeeffeed")
        with pytest.raises(UserError, match=rf"{path.name} was begun by code .*, this is code feedbeeffeed: go on"):
            sweep.sweep([tiny()], tmp_path / "out", HERE)
    with monkeypatch.context() as patched:
        patched.setattr(torch, "__version__", "9.9")
        with pytest.raises(UserError, match=r"was begun by torch 2\..*, this is torch 9\.9"):
            sweep.sweep([tiny()], tmp_path / "out", HERE)
    assert path.read_bytes() == before
    sweep.sweep([tiny()], tmp_path / "out", HERE)
    assert faults.final(tmp_path / "out") == undisturbed


def test_runs_of_another_version_are_shown_but_not_added_to(tmp_path, monkeypatch):
    sweep.sweep([tiny(2)], tmp_path, HERE)
    before = (tmp_path / "runs.jsonl").read_bytes()
    monkeypatch.setattr(folder, "code_version", lambda task: "feedbeeffeed")
    sweep.sweep([tiny(2)], tmp_path, HERE)  # nothing to add
    with pytest.raises(UserError, match=rf"holds run {tiny(2).run} \(mod_chain rdt\) of code .*, this is code feedb"):
        sweep.sweep([tiny(2, seed=1)], tmp_path, HERE)
    assert (tmp_path / "runs.jsonl").read_bytes() == before


def test_the_version_is_of_what_decides_a_result(tmp_path, monkeypatch):
    for name in ("tasks", "model", "evaluate/run"):
        shutil.copytree(faults.ROOT / name, tmp_path / name)
    monkeypatch.setattr(version, "ROOT", tmp_path)

    def of(name=None, task="khop_facts"):
        if name:
            with open(tmp_path / name, "a") as file:
                file.write("\n")
        version.read.cache_clear()
        return version.code_version.__wrapped__(task)

    first = of()
    assert of() == first and of("evaluate/run/sweep.py") == first
    assert of("tasks/graph/tree_path.py") == first and of("tasks/__init__.py") == first
    changed = of("evaluate/run/train.py"), of("model/moe.py"), of("tasks/graph/khop_facts.py"), of("tasks/task.py")
    assert len({first, *changed}) == 5
    own = of(task="one_of_my_own")
    monkeypatch.setitem(version.TASKS, "one_of_my_own", type("OneOfMyOwn", (), {"__module__": "loopbench_plugin_own"}))
    assert of(task="one_of_my_own") == own != of("tasks/graph/tree_path.py", task="one_of_my_own")
    began = of()
    with open(tmp_path / "tasks/graph/khop_facts.py", "a") as file:
        file.write("\n")  # while runs go on: they were made by what was read at their start
    assert version.code_version.__wrapped__("khop_facts") == began != of()
    for name in version.DECIDES_NOTHING:
        assert of() == of(name)


def test_every_tasks_version_is_of_its_own_file_and_what_all_share(tmp_path, monkeypatch):
    for name in ("tasks", "model", "evaluate/run"):
        shutil.copytree(faults.ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(version, "ROOT", tmp_path)

    def versions():
        version.read.cache_clear()
        return {task: version.code_version.__wrapped__(task) for task in TASKS}

    seen, after = set(), versions()
    for path in [*tmp_path.glob("tasks/**/*.py"), tmp_path / "model/norm.py", tmp_path / "evaluate/run/train.py"]:
        text, before = path.read_text(), after
        path.write_text(text + "\n")
        after = versions()
        own = set(re.findall(r'^    name: ClassVar\[str\] = "(\w+)"', text, re.M)) & set(TASKS)
        place = path.relative_to(tmp_path).as_posix()
        should = set() if place in {"tasks/__init__.py", *version.DECIDES_NOTHING} else own or set(TASKS)
        assert {task for task in TASKS if after[task] != before[task]} == should, path
        seen |= own
    assert seen == set(TASKS)


# files of others


def test_nothing_is_ever_unpickled():
    forbidden = ("torch.load", "pickle.load", "joblib", "allow_pickle", "cloudpickle", "marshal", "shelve", "eval(")
    for path in [*faults.ROOT.glob("*.py"), *(p for d in ("evaluate", "model", "tasks") for p in
                 (faults.ROOT / d).rglob("*.py"))]:  # fmt: skip
        for number, line in enumerate(path.read_text().splitlines(), 1):
            for word in forbidden:
                own = "pickle.loads(pickle.dumps(" in line or ".eval()" in line  # a copy of one's own; torch's mode
                assert word not in line or own, f"{path}:{number}: {line}"


def test_a_name_never_leads_out_of_a_runs_folder(tmp_path, drawing):
    sweep.sweep([tiny(2)], tmp_path / "in", HERE)
    (line,) = Records(tmp_path / "in").runs.values()
    line["experiment"]["task"]["name"] = "../../mod_chain"
    for file in NAMES:
        text = (tmp_path / "in" / file).read_text().replace(tiny(2).run, run_id(line["experiment"]))
        text = text.replace(version.code_version("mod_chain"), version.code_version("../../mod_chain"))
        (tmp_path / "in" / file).write_text(text.replace('"mod_chain"', '"../../mod_chain"'))
    words = [*faults.TINY, "--models", "rdt", "--train.steps", "2", "--out", str(tmp_path / "in")]
    assert run_benchmarks.main(words) == 0
    assert list(tmp_path.iterdir()) == [tmp_path / "in"] and list((tmp_path / "in" / "plots").iterdir())
    assert [file_name(n) for n in ("../a", "/etc/x", "a b", "mod_chain-rdt", "é")] == [
        "___a", "_etc_x", "a_b", "mod_chain-rdt", "é"]  # fmt: skip
