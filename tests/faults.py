"""What the tests of faults share: a sweep as small as it can be, and what its end should look like."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random

from evaluate.records import NAMES

ROOT = Path(__file__).parent.parent

TINY = [
    "run", "--preset", "smoke", "--tasks", "mod_chain", "--models", "rdt,transformer", "--train.batch", "4",
    "--task.train_depths", "1,2", "--task.selection_depths", "3", "--task.test_depths", "4,5",
    "--evaluate.loops", "1,2", "--evaluate.count", "4", "--train.shortest_horizon", "1", "--train.longest_horizon", "2",
    "--save-every", "0",
]  # fmt: skip
TIMES = ("train_seconds",)


def start(arguments: list[str], out: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "run_benchmarks.py", *arguments, "--out", str(out)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"}, preexec_fn=hears_interrupts,
    )  # fmt: skip


def hears_interrupts() -> None:
    """A job in the background of a shell is born deaf to them, and so would its children be."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def whole(arguments: list[str], out: Path) -> str:
    """Run a command to its end; what it said."""
    process = start(arguments, out)
    shown, told = process.communicate(timeout=300)
    assert process.returncode == 0, told
    return shown + told


def final(out: Path) -> dict[str, object]:
    """All that must be equal, bit for bit: records but for their times and order, and weights."""
    found: dict[str, object] = {}
    for name in NAMES:
        lines = [json.loads(text) for text in (out / name).read_text().splitlines()]
        found[name] = sorted(json.dumps({k: v for k, v in line.items() if k not in TIMES}) for line in lines)
    for path in sorted((out / "weights").iterdir()):
        found[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    assert not list(out.rglob("*.tmp")) and not list(out.glob("checkpoints/*"))
    return found


def stage(out: Path) -> str:
    """What a killed sweep had come to."""
    if list(out.rglob("*.tmp")):
        return "writing"
    runs = out / "runs.jsonl"
    ended = runs.read_text().count("\n") if runs.exists() else 0
    if ended == 2:
        return "all recorded"
    if ended:
        return "one of two recorded"
    return "in training or evaluation" if list(out.glob("checkpoints/*.safetensors")) else "before the first checkpoint"


def kills(out: Path, count: int, seed: int) -> Counter[str]:
    """Kill sweeps at `count` random moments, each going on from what the last has left; where they were.

    A sweep that comes to its end is checked against the first one, undisturbed, and a new one begun.
    """
    random, seen, done = Random(seed), Counter[str](), 0
    killed = [*TINY, "--train.steps", "150"]  # a checkpoint after every 25
    began = time.monotonic()
    whole([*killed, "--workers", "2"], out / "whole")
    takes = time.monotonic() - began
    expected = final(out / "whole")
    folder, number = out / "0", 0
    while done < count:
        process = start([*killed, "--workers", random.choice("12")], folder)
        try:
            told = process.communicate(timeout=random.uniform(0.15, 1.0) * takes)[1]
        except subprocess.TimeoutExpired:
            if random.random() < 0.5:
                os.kill(process.pid, signal.SIGKILL)  # its workers must see to themselves
            else:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            seen[stage(folder)] += 1
            done += 1
            continue
        assert process.returncode == 0, told
        assert final(folder) == expected
        number += 1
        folder = out / str(number)
    whole([*killed, "--workers", "1"], folder)
    assert final(folder) == expected
    seen["sweeps that came to their end"] = number + 1
    return seen
