"""Carries out claims: the runs that they share, what is asked of the trained models, and the ledger of verdicts."""

from __future__ import annotations

import math
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from evaluate import ledger
from evaluate.ledger import Entry
from evaluate.records import Records
from evaluate.run.carry import label
from evaluate.run.experiment import Experiment
from evaluate.run.flops import on_threads
from evaluate.run.folder import claimed, refuse_versions
from evaluate.run.sweep import Machine, sweep
from evaluate.run.train import loss_of, optimizers, training_rows
from evaluate.study.claims import measures
from evaluate.study.claims.claims import CLAIMS, Claim
from evaluate.study.claims.designs import DESIGNS
from evaluate.study.claims.evidence import Evidence, Lacking, evidence
from evaluate.verdicts import INCONCLUSIVE, Judged, combine, judge
from model import build
from tasks import UserError, unknown

QUICK, FULL = (1, 2, 3), tuple(range(1, 11))
"""Training seeds. The full ledger goes on from the quick one's runs. Seed 0 judges nothing: it was looked at while the
designs were sized and the rules written."""


def chosen(words: Sequence[str]) -> list[int]:
    """The numbers of claims by number or name; all for none."""
    by_name = {claim.name: number for number, claim in CLAIMS.items()}
    found = []
    for word in words:
        number = int(word) if word.isdecimal() and len(word) < 9 else by_name.get(word)
        if number not in CLAIMS:
            raise unknown("claim", word, [*by_name, *map(str, CLAIMS)])
        found.append(number)
    return sorted(set(found)) or list(CLAIMS)


def designs_of(numbers: Sequence[int]) -> list[str]:
    """The designs that claims need, each once."""
    return list(dict.fromkeys(design for number in numbers for design in CLAIMS[number].designs))


def experiments_of(numbers: Sequence[int], seeds: Sequence[int]) -> dict[tuple[str, int], Experiment]:
    """Every run that claims need, by design and seed; all designs of one seed before those of the next."""
    return {(name, seed): replace(DESIGNS[name], seed=seed) for seed in seeds for name in designs_of(numbers)}


def reckon(numbers: Sequence[int], seeds: Sequence[int], folder: Path) -> tuple[int, float]:
    """Runs that a folder lacks, and what they will take: core seconds, by a timed step and question of each design."""
    held = Records(folder).runs if folder.is_dir() else {}
    lacking = [name for (name, _), e in experiments_of(numbers, seeds).items() if e.run not in held]
    each = {name: seconds_of(DESIGNS[name]) for name in dict.fromkeys(lacking)}
    return len(lacking), sum(each[name] for name in lacking)


ANSWERED = 2.0
"""The loops for these answers, and about as much again for the rules that stop by themselves."""


def seconds_of(experiment: Experiment) -> float:
    """Core seconds of a run: its steps, each as one that is timed, and eight rows of the deepest depth answered once,
    for all its questions."""
    model = build(experiment.base, experiment.architecture, experiment.vocabulary, experiment.train.mean_loops)
    made, train = optimizers(model, experiment.train), experiment.train
    rows = training_rows(experiment, 0, experiment.task)
    tokens, targets, _ = (torch.from_numpy(array) for array in rows)
    loops = np.linspace(train.longest_horizon, train.shortest_horizon, len(tokens)).round().astype(int).tolist()
    spent = []
    for _ in range(2):
        began = time.process_time()
        loss_of(model, tokens, targets, loops, train)[0].backward()
        for optimizer in made:
            optimizer.step()
            optimizer.zero_grad()
        spent.append(time.process_time() - began)
    length, most = int(experiment.task.test_depths[-1]) + 1, experiment.evaluate.loops
    began = time.process_time()
    with torch.no_grad():
        model.eval()(tokens[:8, :1].repeat(1, length), most if getattr(model, "looped", True) else None)
    answered = ANSWERED * (time.process_time() - began) * experiment.evaluate.count / 8
    return spent[-1] * train.steps + answered


def carry(
    numbers: Sequence[int], seeds: Sequence[int], folder: Path, machine: Machine, options: Sequence[str] = ()
) -> list[Entry]:
    """Carry out what a folder lacks of these claims, measure, judge, and write the ledger; its entries.

    options: those of the command beside the claim's number, for the command that repeats it.
    """
    experiments = experiments_of(numbers, seeds)
    ledger.held(folder)  # what is damaged there is told before anything is run
    measures.held(folder)
    sweep(list(experiments.values()), folder, machine, mixed=True)
    with claimed(folder):
        records = Records(folder)
        take_all(numbers, experiments, records)
        found = evidence(records, {place: e.run for place, e in experiments.items()}, seeds, measures.held(folder))
        entries = [entry(number, found, experiments, records, options) for number in numbers]
        ledger.write(folder, entries)
    return entries


def take_all(numbers: Sequence[int], experiments: dict[tuple[str, int], Experiment], records: Records) -> None:
    """Take every extra measure that these claims need and the folder lacks. A failed run has none."""
    folder, held = records.folder, measures.held(records.folder)
    wanted = dict.fromkeys(pair for number in numbers for pair in CLAIMS[number].measures)
    todo = [
        (name, experiment)
        for design, name in wanted
        for (of, _), experiment in experiments.items()
        if of == design
        and name not in held.get(experiment.run, {})
        and records.runs.get(experiment.run, {}).get("status") == "ok"
    ]
    if todo:
        refuse_versions({e.task.name for e in experiments.values()}, folder)
    with on_threads(1):
        for name, experiment in tqdm(todo, desc="measured", leave=False, disable=None):
            if not measures.take(name, experiment, folder):
                tqdm.write(f"{label(experiment)}: no weights to measure {name!r} from", file=sys.stderr)


def judged(claim: Claim, found: Evidence) -> tuple[list[Judged], str, str]:
    """The figures of a claim, its verdict, and why. What cannot be judged is inconclusive, with the reason."""
    try:
        measured = claim.figures(found)
    except Lacking as lacking:
        return [], INCONCLUSIVE, str(lacking)
    if len(measured) != len(claim.parts):
        raise UserError(
            f"claim {claim.name!r} has {len(claim.parts)} parts, and figures of {len(measured)}: one for each"
        )
    parts = [judge(part, figure) for part, figure in zip(claim.parts, measured, strict=True)]
    return parts, *combine(parts)


def entry(
    number: int, found: Evidence, experiments: dict[tuple[str, int], Experiment], records: Records,
    options: Sequence[str] = (),
) -> Entry:  # fmt: skip
    """The ledger's line for a claim."""
    claim = CLAIMS[number]
    parts, verdict, reason = judged(claim, found)
    runs = [e.run for (design, _), e in experiments.items() if design in claim.designs and e.run in records.runs]
    return Entry(
        number=number,
        name=claim.name,
        statement=claim.statement,
        source=claim.source,
        experiment=claim.experiment,
        rule=claim.rule,
        figures=[
            {
                "what": one.part.what,
                "value": finite(one.value),
                "low": finite(one.low),
                "high": finite(one.high),
                "told": one.told,
                "over": one.over,
                "rule": one.part.rule if one.part.decides else None,
                "premise": one.part.premise,
                "verdict": one.verdict if one.part.decides else None,
            }
            for one in parts
        ],
        verdict=verdict,
        reason=reason,
        seeds=list(found.seeds),
        runs=runs,
        seconds=round(sum(records.runs[run]["train_seconds"] for run in runs), 1),
        command=shlex.join(["python", "run_benchmarks.py", "claims", str(number), *options]),
    )


def finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
