"""The engine on a real Ray cluster of several nodes on this machine; long, and passed over where there is no ray."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import faults
import pytest

SEEDS = "0,1,2"  # six runs for two nodes


def on_ray(address: str, words: list[str], out: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "RAY_ADDRESS": address}
    command = [sys.executable, "run_benchmarks.py", *words, "--engine", "ray", "--out", str(out)]
    return subprocess.Popen(command, cwd=faults.ROOT, env=environment, stdout=-1, stderr=-1, text=True)


@pytest.fixture
def cluster(monkeypatch):
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_worker_niceness", "0")  # at Ray's own 15 they starve beside whatever else runs here
    from ray.cluster_utils import Cluster

    small = {"object_store_memory": 100 * 2**20}
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **small})
    made.nodes = [made.add_node(num_cpus=1, **small) for _ in range(2)]
    made.wait_for_nodes()
    yield made
    made.shutdown()


@pytest.mark.soak
def test_a_cluster_that_loses_a_node_gives_the_records_of_this_machine(cluster, tmp_path):
    words = [*faults.TINY, "--train.steps", "400", "--seeds", SEEDS]
    process = on_ray(cluster.address, words, tmp_path / "ray")
    began = tmp_path / "ray" / "checkpoints"
    while len(list(began.glob("*.safetensors"))) < 2:  # one run on each node
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    cluster.remove_node(cluster.nodes[0], allow_graceful=False)
    _, told = process.communicate(timeout=400)
    assert process.returncode == 0, told
    faults.whole(words, tmp_path / "here")
    assert faults.final(tmp_path / "ray") == faults.final(tmp_path / "here")
    assert len((tmp_path / "ray/runs.jsonl").read_text().splitlines()) == 6


@pytest.mark.soak
def test_a_run_that_no_node_has_room_for_is_refused(cluster, tmp_path):
    process = on_ray(cluster.address, [*faults.TINY, "--train.steps", "2", "--threads", "64"], tmp_path / "out")
    _, told = process.communicate(timeout=120)
    assert process.returncode == 2 and "a run needs 64 CPU, and no node of the cluster has more than 1" in told
    assert not list(tmp_path.iterdir())


@pytest.mark.soak
def test_ray_costs_less_than_a_tenth(tmp_path, monkeypatch):
    """Of the wall time of runs of a minute or more, both engines running two at once, at the same priority."""
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_worker_niceness", "0")
    from ray.cluster_utils import Cluster

    words = [*faults.TINY, "--train.steps", "6000", "--save-every", "30", "--workers", "2"]
    spent = {}
    for engine in ("local", "ray"):
        made = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "object_store_memory": 100 * 2**20})
        began = time.monotonic()
        process = on_ray(made.address, [*words, "--engine", engine], tmp_path / engine) if engine == "ray" else (
            faults.start(words, tmp_path / engine))  # fmt: skip
        _, told = process.communicate(timeout=900)
        spent[engine] = time.monotonic() - began
        made.shutdown()
        assert process.returncode == 0, told
    print(f"\nlocal {spent['local']:.0f} s, ray {spent['ray']:.0f} s: {spent['ray'] / spent['local'] - 1:+.1%}")
    assert spent["local"] > 60 and spent["ray"] < 1.1 * spent["local"]
