"""The models that runs have left in a folder of results."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from evaluate.run.experiment import Experiment
from model import ConfigError, build
from model.weights import load_weights
from tasks import UserError


def trained(experiment: Experiment, folder: Path) -> nn.Module | None:
    """The model that a run has left; None where its weights are gone."""
    path = folder / "weights" / f"{experiment.run}.safetensors"
    if not path.exists():
        return None
    mean_loops = experiment.train.mean_loops
    model = build(experiment.base, experiment.architecture, experiment.vocabulary, mean_loops)
    try:
        load_weights(model, path)
    except ConfigError as error:
        raise UserError(str(error)) from None
    return model.eval()
