"""Answers that a model gave elsewhere to exported questions, judged by the oracle and written as records.

Each line of a file is one that `export` wrote and a field more, `given`: the answer to its last question, a word; or
the answers by the places at which they are asked, as `answers` has them. Of each row its deepest questions count, and
each question once. Needs no torch.
"""

from __future__ import annotations

import hashlib
import platform
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evaluate.checked import parsed, shown, table, whole, word
from evaluate.records import Cell, Run, audited, pack, run_id
from tasks import TRAIN, Answers, Task, UserError, content_split

FIELDS = {"version": whole, "depth": whole, "tokens": word, "answers": table}

FEW = 20
"""Questions of a depth of which one wrong answer more decides whether 95% are right."""


class Scored(NamedTuple):
    """What a row's deepest questions are, and which of them were answered right."""

    depth: int
    right: list[bool]


class Odd(NamedTuple):
    """How many lines are not what one expects of them."""

    again: int = 0  # ask what another has asked
    otherwise: int = 0  # of these, are judged otherwise
    strange: int = 0  # give what is no word of the task
    silent: int = 0  # give no answer at a place of a deepest question
    lost: tuple[str, ...] = ()  # depths of which lines of the export are missing, each with how many there are


def score(
    task: Task, plain: dict[str, Any], path: Path, model: str, seed: int, parameters: int, commit: tuple[Any, Any]
) -> tuple[Run, list[Cell], list[str]]:
    """The records of a file of answered questions, and what has to be told of it, a line each.

    plain: the task as an experiment's record names it. UserError, with the line, for what is no answered question of
    this task at these sizes.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {str(path)!r}: {error.strerror}") from None
    found, odd = rows(task, path, content)
    if not found:
        raise UserError(f"{str(path)!r} is empty: give a file of answered questions, a line each")
    by_depth: dict[int, list[bool]] = defaultdict(list)
    for tokens in sorted(found):  # whatever the order of the lines, so that other files of the same questions agree
        by_depth[found[tokens].depth] += found[tokens].right
    experiment = {"task": plain, "model": model, "seed": seed, "elsewhere": True}
    run = run_id(experiment)
    cells = [
        Cell(
            run=run, task=task.name, model=model, seed=seed, band=task.band(depth), depth=depth, loops=None,
            halting="none", count=len(right), correct=sum(right), chance=task.chance, shortcut=None, mean_loops=None,
            eval_flops=0, right=pack(np.array(right)), ties=0,
        )
        for depth, right in sorted(by_depth.items())
    ]  # fmt: skip
    made_with = {
        "python": platform.python_version(),
        "answers": hashlib.sha256(content).hexdigest()[:12],
        "questions": hashlib.sha256(b"".join(sorted(found))).hexdigest()[:12],
    }
    git_commit, git_dirty = commit
    ran = Run(
        run=run, experiment=experiment, task=task.name, task_version=task.version, model=model, seed=seed,
        train_max_depth=task.train_depths[-1], parameters=parameters, train_flops=0, train_seconds=0.0, steps=0,
        status="ok", versions=made_with, device="elsewhere", threads=1, git_commit=git_commit, git_dirty=git_dirty,
    )  # fmt: skip
    return ran, audited(cells, task.version, task.written_sizes), notes(task, cells, odd)


def notes(task: Task, cells: list[Cell], odd: Odd) -> list[str]:
    """What a reader of these cells should know beside their counts."""
    told, asked = [], [cell.depth for cell in cells]
    if odd.strange:
        told.append(
            f"{odd.strange} lines give what is no word of {task.name}, and count as wrong: words are as in `tokens`"
        )
    if odd.silent:
        told.append(f"{odd.silent} lines give no answer to a deepest question of theirs, which counts as wrong")
    if odd.lost:
        lines = f"lines of the export are missing, there are {', '.join(odd.lost)}"
        told.append(f'{lines}: what is left out counts neither way; give it with "given": null to count it as wrong')
    known = (*task.train_depths, *task.selection_depths, *task.test_depths)
    if odd.again:
        told.append(
            f"{odd.again} lines ask what another has asked, and count no second time"
            + (f" ({odd.otherwise} answer otherwise)" if odd.otherwise else "")
        )
    if few := [str(cell.depth) for cell in cells if cell.count < FEW]:
        told.append(f"fewer than {FEW} questions at depth {', '.join(few)}: 95% of so few says little")
    if lacking := [str(depth) for depth in known if depth < max(asked) and depth not in asked]:
        told.append(f"not asked at depth {', '.join(lacking)}: how deep it goes is told without them")
    return told


def rows(task: Task, path: Path, content: bytes) -> tuple[dict[bytes, Scored], Odd]:
    """What the lines say, by their tokens, the first of each; and how many lines are odd."""
    words = {word: index for index, word in enumerate(task.vocabulary)}
    found: dict[bytes, Scored] = {}
    again = otherwise = strange = silent = 0
    there = defaultdict[tuple[int, int, str], set[int]](set)  # rows of each depth of each export, and how many it had
    for number, text in enumerate(content.splitlines(), 1):
        if not text.strip():
            continue
        try:
            line = read(task, words, text)
            tokens = np.array([words[word] for word in line["tokens"].split()])
            row, answered = scored(task, tokens, line)
            first = found.setdefault(tokens.tobytes(), row)
        except UserError as error:
            raise UserError(f"{path}: line {number}: {error}") from None
        again += first is not row
        otherwise += first != row
        given = line["given"].values() if isinstance(line["given"], dict) else [line["given"]]
        strange += any(answer is not None and answer.strip() not in words for answer in given)
        silent += not answered
        there[row.depth, line["of"], f"{line.get('split')} {line.get('seed')}"].add(line["row"])
    lost = (f"{len(have)} of {of} at {depth}" for (depth, of, _), have in sorted(there.items()) if len(have) < of)
    return found, Odd(again, otherwise, strange, silent, tuple(lost))


def read(task: Task, words: dict[str, int], text: bytes) -> dict[str, Any]:
    line = parsed(text)
    if line is None:
        raise UserError("it is no JSON object: allowed are lines of `export`, each with a field `given`")
    if line.get("task") != task.name:
        raise UserError(f"task is {shown(line.get('task'))}: this is {task.name}")
    for name, allowed in FIELDS.items():
        if not allowed(line.get(name)):
            raise UserError(f"{name} is {shown(line.get(name))}: leave what `export` wrote as it was")
    for name in ("row", "of"):  # exports had none once
        if not whole(line.setdefault(name, 0)):
            raise UserError(f"{name} is {shown(line[name])}: leave what `export` wrote as it was")
    if line["version"] != task.version:
        raise UserError(f"version is {shown(line['version'])}: {task.name} is at {task.version}, export it anew")
    strange = [word for word in line["tokens"].split() if word not in words]
    if strange or not line["tokens"].split():
        what = f"the token {shown(strange[0])}" if strange else "no token"
        raise UserError(f"it has {what}: leave what `export` wrote as it was, and give its sizes by --task.NAME")
    if "given" not in line:
        raise UserError('it has no field "given": give the last answer, answers by their places, or null for none')
    given = line["given"]
    if isinstance(given, dict):
        for place, answer in given.items():
            if place not in line["answers"] or not isinstance(answer, str):
                raise UserError(f"given holds {shown({place: answer})}: allowed are words, at the places of answers")
    elif not isinstance(given, str) and given is not None:
        raise UserError(f"given is {shown(given)}: allowed is the last answer, or answers by their places")
    return line


def scored(task: Task, tokens: np.ndarray, line: dict[str, Any]) -> tuple[Scored, bool]:
    """The oracle answers the row once more, and decides what is right; and whether all that counts was answered."""
    targets, depths = oracle(task, tokens)
    new = task.asked_first(tokens[None])[0]
    known = {str(place): task.vocabulary[targets[place]] for place in np.flatnonzero(depths)}
    if not line["answers"] or any(
        place not in known or known[place] != answer for place, answer in line["answers"].items()
    ):
        raise UserError("its answers are not this task's at these sizes: give its sizes by --task.NAME")
    if content_split(task.canonical(tokens[None]))[0] == TRAIN:
        raise UserError("it is a question to train on: export the test or the selection split")
    places = sorted(map(int, line["answers"]))
    deepest = [place for place in places if depths[place] == line["depth"] and new[place]]
    if not deepest or line["depth"] != max(depths[place] for place in places):
        raise UserError(f"depth is {shown(line['depth'])}: its deepest question is of {max(depths[p] for p in places)}")
    given, last = line["given"], places[-1]
    if given is None:
        return Scored(line["depth"], [False] * (1 if depths[last] == line["depth"] else len(deepest))), False
    if isinstance(given, str):
        if depths[last] != line["depth"]:
            raise UserError("its last question is not its deepest: give the answers by their places")
        return Scored(line["depth"], [given.strip() == known[str(last)]]), True
    right = [given.get(str(place), "").strip() == known[str(place)] for place in deepest]
    return Scored(line["depth"], right), all(str(place) in given for place in deepest)


def oracle(task: Task, tokens: np.ndarray) -> Answers:
    try:
        return task.solve(tokens)
    except Exception:  # whatever an oracle makes of a row that is no row of its task
        raise UserError("it is no row of this task at these sizes: leave what `export` wrote as it was") from None
