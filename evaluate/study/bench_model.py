"""How fast is the model? Everything that is compared is timed by turns in one run: only the ratios carry over."""

from __future__ import annotations

import importlib.util
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from model import RDT, ModelConfig
from model.attention import Places

COLUMNS = ("what", "this", "against", "value", "other", "ratio")
LEGEND = (
    "value and other: training in tokens/s, matrix products in GFLOP/s, the rest in seconds; each the median of turns\n"
    "of one process's own time. ratio: how many times better the first is. Loops 1..64: of rows of 81 tokens that\n"
    "are asked at four of them, as those of khop_facts' test band are; both sides read these four and no other."
)
BATCH, LENGTH, LOOPS, VOCABULARY = 32, 64, 8, 64

COMPARED = ModelConfig(
    width=128, heads=4, head_width=32, latent=32, rope_width=16, experts=8, active_experts=2, expert_width=64,
    adapter_rank=4, adapter_loops=LOOPS, halting="graves",
)  # fmt: skip
"""The sizes at which training is compared with the published open-mythos: see `open_mythos`."""


def bench_model(rounds: int = 7) -> list[dict[str, Any]]:
    """One row a comparison."""
    torch.manual_seed(0)
    rows = [matrix_share(rounds), one_pass(rounds)]
    published = open_mythos()
    if published is not None:
        rows.insert(0, against(published, rounds))
    return rows


def by_turns(calls: Sequence[Callable[[], object]], rounds: int) -> list[list[float]]:
    """Seconds of this process's own time of each call, one after another, `rounds` times after a first one unseen."""
    taken: list[list[float]] = [[] for _ in calls]
    for turn in range(rounds + 1):
        for call, seconds in zip(calls, taken, strict=True):
            began = time.process_time()
            call()
            if turn:
                seconds.append(time.process_time() - began)
    return taken


def row(what: str, this: str, other: str, values: tuple[float, float], ratio: float) -> dict[str, Any]:
    shown = [round(value) if value > 10 else value for value in values]
    return dict(zip(COLUMNS, (what, this, other, *shown, ratio), strict=True))


def open_mythos() -> ModuleType | None:
    """The main module of the published open-mythos, alone; None where it is not installed.

    The package itself imports transformers and pins another torch: `pip install --no-deps open-mythos==0.5.0`.
    """
    found = importlib.util.find_spec("open_mythos")
    if found is None or not found.submodule_search_locations:
        return None
    spec = importlib.util.spec_from_file_location(
        "open_mythos_main", Path(found.submodule_search_locations[0]) / "main.py"
    )
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def mythos(published: ModuleType, config: ModelConfig, vocabulary: int, length: int, loops: int) -> nn.Module:
    """Their model at the sizes of ours."""
    c = config
    net: nn.Module = published.OpenMythos(
        published.MythosConfig(
            vocab_size=vocabulary, dim=c.width, n_heads=c.heads, n_kv_heads=c.heads, max_seq_len=length,
            max_loop_iters=loops, prelude_layers=c.prelude_blocks, coda_layers=c.coda_blocks, attn_type="mla",
            kv_lora_rank=c.latent, q_lora_rank=c.width, qk_rope_head_dim=c.rope_width, qk_nope_head_dim=c.head_width,
            v_head_dim=c.head_width, n_experts=c.experts, n_shared_experts=c.shared_experts,
            n_experts_per_tok=c.active_experts, expert_dim=c.expert_width, lora_rank=c.adapter_rank, dropout=0.0,
            act_threshold=1e9,  # never reached: all loops are run, as in ours
        )
    )  # fmt: skip
    return net


def step_of(net: nn.Module, logits: Callable[[Tensor], Tensor]) -> Callable[[], None]:
    """A whole training step on random tokens: forward, loss, backward, clipping, AdamW."""
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-4)
    tokens = torch.randint(VOCABULARY, (BATCH, LENGTH))

    def step() -> None:
        F.cross_entropy(logits(tokens).flatten(0, 1), tokens.flatten()).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def ours(config: ModelConfig) -> tuple[RDT, Callable[[], None]]:
    """An RDT and its training step: all rows through all loops, with gradient through all of them."""
    net = RDT(config, VOCABULARY).train()

    def logits(tokens: Tensor) -> Tensor:
        outputs = net.training_outputs(tokens, [LOOPS] * len(tokens), LOOPS)
        return torch.stack(outputs.answers).mean(0) + outputs.penalty

    return net, step_of(net, logits)


def against(published: ModuleType, rounds: int) -> dict[str, Any]:
    """Training tokens a second, theirs and ours, at the same sizes: float32, full backprop through all loops."""
    theirs = mythos(published, COMPARED, VOCABULARY, LENGTH, LOOPS).train()
    calls = [ours(COMPARED)[1], step_of(theirs, lambda tokens: theirs(tokens, n_loops=LOOPS))]
    mine, other = by_turns(calls, rounds)
    tokens = BATCH * LENGTH
    ratio = statistics.median(b / a for a, b in zip(mine, other, strict=True))
    values = tokens / statistics.median(mine), tokens / statistics.median(other)
    return row(f"training, width {COMPARED.width}", "rdt", "open-mythos 0.5.0", values, ratio)


def matrix_share(rounds: int, width: int = 256) -> dict[str, Any]:
    """The rate of matrix products in a training step, against the machine's best: two large square matrices."""
    scale = width // COMPARED.width
    step = ours(replace(
        COMPARED, width=width, head_width=COMPARED.head_width * scale, latent=COMPARED.latent * scale,
        expert_width=COMPARED.expert_width * scale,
    ))[1]  # fmt: skip
    with FlopCounterMode(display=False) as counter:
        step()
    a, b = torch.randn(2, 2048, 2048)
    mine, peak = by_turns([step, lambda: a @ b], rounds)
    rates = counter.get_total_flops() / statistics.median(mine) / 1e9, 2 * 2048**3 / statistics.median(peak) / 1e9
    return row(f"products, width {width}", "a training step", "2048 x 2048 alone", rates, rates[0] / rates[1])


def one_pass(rounds: int, most: int = 64) -> dict[str, Any]:
    """Answers after 1, 2, ... 64 loops: read off one trajectory, against a pass for each."""
    net = RDT(ModelConfig(halting="none"), VOCABULARY).eval()
    tokens = torch.randint(VOCABULARY, (8, 81))
    asked = torch.zeros_like(tokens, dtype=torch.bool)
    asked[:, [10, 20, 40, 80]] = True
    places = Places.where(asked)

    @torch.no_grad()
    def together() -> None:
        net(tokens, tuple(range(1, most + 1)), places)

    @torch.no_grad()
    def apart() -> None:
        for loops in range(1, most + 1):
            net(tokens, (loops,), places)

    mine, other = by_turns([together, apart], max(1, rounds // 3))
    medians = statistics.median(mine), statistics.median(other)
    return row(f"loops 1..{most}", "one pass", f"{most} passes", medians, medians[1] / medians[0])
