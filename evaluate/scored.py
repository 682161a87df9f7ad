"""Answers that a model gave elsewhere to exported questions, counted as a run's are, and written as records.

Each line of a file is one that `export` wrote and a field more, `given`: the answer to its last question, a word; or
the answers by the places at which they are asked, as `answers` has them. Needs no torch.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evaluate.checked import shown
from evaluate.records import Cell, Run, audited_as, pack, run_id, shortcuts
from tasks import TRAIN, Answers, Task, UserError, content_split

FIELDS = {"version": int, "depth": int, "tokens": str, "answers": dict}


class Scored(NamedTuple):
    """What a row's deepest questions are, and which of them were answered right."""

    depth: int
    right: list[bool]


def score(
    task: Task, plain: dict[str, Any], path: Path, model: str, seed: int, parameters: int, commit: tuple[Any, Any]
) -> tuple[Run, list[Cell]]:
    """The records of a file of answered questions. `plain`: the task as an experiment's record names it.

    UserError, with the line, for what is no answered question of this task at these sizes.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {str(path)!r}: {error.strerror}") from None
    experiment = {"task": plain, "model": model, "seed": seed, "elsewhere": True}
    run, by_depth = run_id(experiment), defaultdict[int, list[bool]](list)
    for row in rows(task, path, content):
        by_depth[row.depth] += row.right
    if not by_depth:
        raise UserError(f"{str(path)!r} is empty: give a file of answered questions, a line each")
    audited = shortcuts()
    cells = [
        Cell(
            run=run, task=task.name, model=model, seed=seed, band=task.band(depth), depth=depth, loops=None,
            halting="none", count=len(right), correct=sum(right), chance=task.chance,
            shortcut=audited.get(audited_as(task.name, task.version, task.sizes, depth)), mean_loops=None,
            eval_flops=0, right=pack(np.array(right)), ties=0,
        )
        for depth, right in sorted(by_depth.items())
    ]  # fmt: skip
    made_with = {"python": platform.python_version(), "answers": hashlib.sha256(content).hexdigest()[:12]}
    git_commit, git_dirty = commit
    return Run(
        run=run, experiment=experiment, task=task.name, task_version=task.version, model=model, seed=seed,
        train_max_depth=task.train_depths[-1], parameters=parameters, train_flops=0, train_seconds=0.0, steps=0,
        status="ok", versions=made_with, device="elsewhere", threads=1, git_commit=git_commit, git_dirty=git_dirty,
    ), cells  # fmt: skip


def rows(task: Task, path: Path, content: bytes) -> Iterator[Scored]:
    """What each line says. A question that stands there again, as short ones do, is no further evidence."""
    words = {word: index for index, word in enumerate(task.vocabulary)}
    seen: set[bytes] = set()
    for number, text in enumerate(content.splitlines(), 1):
        try:
            line = read(task, words, text)
            tokens = np.array([words[word] for word in line["tokens"].split()])
            row = scored(task, tokens, line)
        except UserError as error:
            raise UserError(f"{path}: line {number}: {error}") from None
        if tokens.tobytes() not in seen:
            seen.add(tokens.tobytes())
            yield row


def read(task: Task, words: dict[str, int], text: bytes) -> dict[str, Any]:
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        line = None
    if not isinstance(line, dict):
        raise UserError("it is no JSON object: allowed are lines of `export`, each with a field `given`")
    if line.get("task") != task.name:
        raise UserError(f"task is {shown(line.get('task'))}: this is {task.name}")
    for name, kind in FIELDS.items():
        if not isinstance(line.get(name), kind):
            raise UserError(f"{name} is {shown(line.get(name))}: leave what `export` wrote as it was")
    if line["version"] != task.version:
        raise UserError(f"version is {line['version']}: {task.name} is at {task.version}, export it anew")
    strange = [word for word in line["tokens"].split() if word not in words]
    if strange or not line["tokens"].split():
        what = f"the token {shown(strange[0])}" if strange else "no token"
        raise UserError(f"it has {what}: leave what `export` wrote as it was, and give its sizes by --task.NAME")
    if not isinstance(line.get("given"), str | dict):
        raise UserError(f"given is {shown(line.get('given'))}: allowed is the last answer, or answers by their places")
    return line


def scored(task: Task, tokens: np.ndarray, line: dict[str, Any]) -> Scored:
    """The oracle answers the row once more, and decides what is right."""
    (targets, depths), new = oracle(task, tokens), task.asked_first(tokens[None])[0]
    known = {str(place): task.vocabulary[targets[place]] for place in np.flatnonzero(depths)}
    if not line["answers"] or any(known.get(place) != answer for place, answer in line["answers"].items()):
        raise UserError("its answers are not this task's at these sizes: give its sizes by --task.NAME")
    if content_split(task.canonical(tokens[None]))[0] == TRAIN:
        raise UserError("it is a question to train on: export the test or the selection split")
    places = sorted(map(int, line["answers"]))
    deepest = [place for place in places if depths[place] == line["depth"] and new[place]]
    if not deepest or line["depth"] != max(depths[place] for place in places):
        raise UserError(f"depth is {line['depth']}: its deepest question is of {max(depths[p] for p in places)}")
    given = line["given"]
    if isinstance(given, str):
        last = places[-1]
        if depths[last] != line["depth"]:
            raise UserError("its last question is not its deepest: give the answers by their places")
        return Scored(line["depth"], [given.strip() == known[str(last)]])
    return Scored(line["depth"], [given.get(str(place)) == known[str(place)] for place in deepest])


def oracle(task: Task, tokens: np.ndarray) -> Answers:
    try:
        return task.solve(tokens)
    except Exception:  # whatever an oracle makes of a row that is no row of its task
        raise UserError("it is no row of this task at these sizes: leave what `export` wrote as it was") from None
