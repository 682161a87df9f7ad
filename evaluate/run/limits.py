"""What a machine cannot carry out, told before anything is begun: a zero too many is no crash an hour later."""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import fields

import torch

import model as models
from evaluate.run.experiment import Experiment
from evaluate.run.own_models import model_origin
from tasks import UserError
from tasks.checks import guard

MOST = {
    "train.steps": 10**8,
    "train.batch": 10**6,
    "train.warmup": 10**8,
    "train.shortest_horizon": 10**4,
    "train.longest_horizon": 10**4,
    "train.gradient_loops": 10**4,
    "evaluate.count": 10**7,
    "architecture.width": 2**16,
    "architecture.prelude_blocks": 1000,
    "architecture.recurrent_blocks": 1000,
    "architecture.coda_blocks": 1000,
}
MOST_LOOPS = 10**6
MOST_SIZE = 2**16  # any other whole number of an architecture
COPIES = 5  # of the weights in training: themselves, gradients, their average, and an optimiser's two


def check_limits(experiment: Experiment) -> None:
    """Refuse numbers that no machine could carry out, and a model that this one's memory cannot hold."""
    for part in ("train", "evaluate", "architecture"):
        settings = getattr(experiment, part)
        for field in fields(settings):
            value, name = getattr(settings, field.name), f"{part}.{field.name}"
            most = MOST.get(name, MOST_SIZE if part == "architecture" else None)
            if most is not None and isinstance(value, int) and value > most:
                raise UserError(f"{name} is {value}: allowed is at most {most}")
    if experiment.evaluate.loops[-1] > MOST_LOOPS:
        raise UserError(f"evaluate.loops ends with {experiment.evaluate.loops[-1]}: allowed is at most {MOST_LOOPS}")
    check_size(experiment)


def is_of_memory(error: BaseException) -> bool:
    """Is this what is raised where memory does not do, a machine's or a GPU's?"""
    said = str(error) if isinstance(error, RuntimeError) else ""
    told = any(words in said for words in ("allocate memory", "out of memory", "ALLOC_FAILED"))
    return told or isinstance(error, (MemoryError, torch.OutOfMemoryError))


def check_size(experiment: Experiment) -> None:
    own = guard(f"model {experiment.base!r}") if model_origin(experiment.base) else nullcontext()
    try:
        with own, torch.device("meta"):
            net = models.build(
                experiment.base, experiment.architecture, experiment.vocabulary, experiment.train.mean_loops
            )
    except (RuntimeError, TypeError, ValueError, ZeroDivisionError) as error:
        raise UserError(f"this architecture cannot be built: {str(error).splitlines()[0]}") from None
    needs = 4 * COPIES * models.parameters(net)
    has = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else needs
    if needs > has:
        raise UserError(
            f"{experiment.model} has {models.parameters(net):,} parameters, and training it takes {needs / 2**30:.0f} "
            f"GiB: this machine has {has / 2**30:.0f}"
        )
