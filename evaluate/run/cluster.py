"""The engine on a Ray cluster: the same experiments and records as here, each run on a node that has room for it.

Every run declares its cores and GPU. A run whose node is lost starts again on another one: from its checkpoint where
the folder is on a file system that all nodes share, else from the beginning.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

from evaluate.run.carry import Means, Outcome, attempted
from evaluate.run.experiment import Experiment, RunFailed
from evaluate.run.version import ROOT
from tasks import UserError, plugin

RETRIES = 10  # lost nodes that one run survives
LEAVE_OUT = [".git", ".venv", "results", "tests", "**/__pycache__", ".*_cache", ".hypothesis"]


def carry_out_on_ray(
    todo: list[Experiment], folder: Path, means: Means
) -> Iterator[tuple[Experiment, Outcome | RunFailed]]:
    """Every experiment with what came of it, as they end, on the cluster that RAY_ADDRESS names, or on a new one."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # tells nobody outside about itself
    os.environ.setdefault("RAY_worker_niceness", "0")  # a cluster begun here; by default runs give way to all else
    try:
        import ray
    except ModuleNotFoundError:
        raise UserError(
            "--engine ray needs ray: python -m pip install -r requirements-cluster.txt -c constraints.txt"
        ) from None
    began_here = not ray.is_initialized()
    if began_here:
        environment = {"working_dir": str(ROOT), "excludes": LEAVE_OUT}
        try:
            ray.init(runtime_env=environment, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise UserError(f"no Ray cluster: {str(error).splitlines()[0]}") from None
    needs = {"CPU": means.threads, "GPU": 1 if means.device == "cuda" else 0}
    nodes: list[dict[str, float]] = [n["Resources"] for n in ray.nodes() if n["Alive"]]
    for kind, wanted in needs.items():
        most = max((node.get(kind, 0) for node in nodes), default=0)
        if most < wanted:
            raise UserError(f"a run needs {wanted} {kind}, and no node of the cluster has more than {most:g}")
    remote = ray.remote(num_cpus=needs["CPU"], num_gpus=needs["GPU"], max_retries=RETRIES)(on_node)
    sources = plugin.sources()
    waiting = {remote.remote(e.to_json(), sources, str(folder.resolve()), means): e for e in todo}
    try:
        while waiting:
            for done in ray.wait(list(waiting), num_returns=1)[0]:
                experiment = waiting.pop(done)
                yield experiment, ray.get(done)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, UserError):
            raise error.cause from None
        raise
    except ray.exceptions.RayError as error:
        line = str(error).splitlines()[0]
        raise UserError(f"the cluster failed: {line}; the same command goes on from there") from None
    finally:
        for left in waiting:
            ray.cancel(left, force=True)
        if began_here:
            ray.shutdown()


def on_node(
    experiment: dict[str, object], sources: list[plugin.Source], folder: str, means: Means
) -> Outcome | RunFailed:
    """What a node does. The experiment comes as it stands in a record: a plugin's class is not known there yet."""
    from evaluate.run.experiment import from_json
    from evaluate.run.own_models import list_own_models

    plugin.restore(sources)
    list_own_models(check=False)
    return attempted(from_json(experiment), Path(folder), means)
