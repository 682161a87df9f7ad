"""Folders of records with a known truth, as a run would have left them, but in an instant; and what is told of them."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

import run_benchmarks
from evaluate.records import Cell, Run, pack, read, run_id
from evaluate.show.grid import Results

DEPTHS = {1: "train", 3: "train", 5: "train", 8: "selection", 10: "test", 20: "test", 40: "test"}
LOOPS = (1, 4, 16, 64)


def reach(model: str, depth: int, loops: int | None) -> float:
    """The truth: `deep` answers what its loops reach up to depth 20, `shallow` what it was trained on."""
    far = min(20, 2 * (loops or 99)) if model == "deep" else 5
    return 0.995 if depth <= far else 0.1


def folder(
    path: Path, *, tasks=("t",), models=("deep", "shallow"), seeds=(0, 1), count=128, right=True, truth=reach, salt=0,
    noise=0.0, task=None, changes=None, depths=None, loops=LOOPS, status="ok", rules=("act",), diagnostics=False,
):  # fmt: skip
    """Write a folder; `changes` are fields of the runs, `task` sizes of the task, `truth` tells each accuracy."""
    path.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(salt)
    runs, cells, inside = [], [], []
    for name in tasks:
        for model in models:
            for seed in seeds:
                experiment = {
                    "task": {"name": name, "version": 1, "train_depths": [1, 3, 5], "places": 9, **(task or {})},
                    "model": model,
                    "seed": seed,
                    "train": {"steps": 10 + salt},
                    "evaluate": {"loops": list(loops), "count": count, "seed": 0},
                }
                run = run_id(experiment)
                line = Run(
                    run, experiment, name, 1, model, seed, 5, 1000, 10**9, 1.0, 10, status, {}, "cpu", 1, "c", False
                )
                runs.append({**asdict(line), **(changes or {})})
                inside.append({"run": run, "depth": 10, "routing": [[0.25, 0.75]] * 8, "state_norm": [1.0] * 8,
                               "state_change": [0.5**i for i in range(8)]})  # fmt: skip
                ways = [("none", None)] if model == "shallow" else [("fixed", n) for n in loops]
                ways += [] if model == "shallow" else [(rule, None) for rule in rules]
                for depth, band in (depths or DEPTHS).items() if status == "ok" else ():
                    shift = rng.normal(0, noise) if noise else 0.0
                    for halting, n in ways:
                        answers = rng.random(count) < np.clip(truth(model, depth, n) + shift, 0, 1)
                        used = None if halting == "none" else float(n or depth + 2)
                        kept = pack(answers) if right else None
                        cell = Cell(
                            run, name, model, seed, band, depth, n, halting, count, int(answers.sum()), 0.1, None, used,
                            1000 * depth, kept,
                        )  # fmt: skip
                        cells.append(asdict(cell))
    dump(path / "runs.jsonl", runs)
    dump(path / "cells.jsonl", cells)
    if diagnostics:
        dump(path / "diagnostics.jsonl", inside)
    return path


def dump(path: Path, lines: list[dict]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def lines(path: Path) -> list[dict]:
    return [json.loads(text) for text in path.read_text().splitlines()]


def altered(path: Path, name: str, change) -> Path:
    """The lines of a file, each as `change` makes it; None takes it out, a list puts several."""
    made = [change(place, line) for place, line in enumerate(lines(path / name))]
    flat = [one for line in made if line is not None for one in (line if isinstance(line, list) else [line])]
    dump(path / name, flat)
    return path


def results(path: Path) -> Results:
    return Results(read(path))


def told(capsys, *words) -> tuple[int, str, str]:
    """What a verb says on either side, and its status before that."""
    status = run_benchmarks.main([str(word) for word in words])
    out = capsys.readouterr()
    return status, out.out, out.err
