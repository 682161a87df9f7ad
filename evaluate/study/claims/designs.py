"""The experiments behind the claims, as data: one dictionary of designs, each an Experiment of seed 0.

All share one task and one size, so that claims share runs: four relations over eight entities, trained on depths 1 to
5, which is 8,192 paths; of a few hundred, a model learns the paths and not the hops. The reference model learns it in
under a minute of one core, and answers depth 20.
"""

from __future__ import annotations

from dataclasses import replace

from evaluate.run.experiment import Evaluate, Experiment, Train
from evaluate.study.claims.written import KhopWritten
from model import ModelConfig
from tasks.graph.khop_facts import KhopFacts

TASK = KhopFacts(entities=8, relations=4, selection_depths=(6, 8), test_depths=(10, 12, 16, 20, 30, 40))
TOP, TWICE, FAR = 5, 10, 20  # the deepest trained depth, two and four times it
LOOPS = (1, 2, 3, 4, 6, 8, 10, 12, 16, 24, 32, 64, 128)
MOST = LOOPS[-1]
COUNT = 96

ARCHITECTURE = ModelConfig(width=64, head_width=16, latent=24, rope_width=8, expert_width=48)
TRAIN = Train(
    steps=400, batch=64, warmup=40, decay=0.5, average=0.4, shortest_horizon=3, longest_horizon=12, gradient_loops=4
)
BASE = Experiment(TASK, "rdt", 0, ARCHITECTURE, TRAIN, Evaluate(LOOPS, COUNT))

SHALLOW = replace(BASE, task=replace(TASK, selection_depths=(6,), test_depths=(7,)),
                  evaluate=Evaluate((1, 2, 4, 8, 16, 32, 64), COUNT))  # fmt: skip
"""Where only the trained depths matter."""


def parts(**changes: object) -> Experiment:
    """The reference model with other parts."""
    return replace(BASE, architecture=replace(ARCHITECTURE, **changes))  # type: ignore[arg-type]


def trained(**changes: object) -> Experiment:
    """The reference model by another recipe."""
    return replace(BASE, train=replace(TRAIN, **changes))  # type: ignore[arg-type]


ALL_GRADIENT = trained(gradient_loops=TRAIN.longest_horizon)
"""Without injection the gradient reaches the Prelude through all loops or not at all."""


def stack(blocks: int) -> Experiment:
    """So many of the same Blocks, each with weights of its own."""
    beside = blocks - round(TRAIN.mean_loops) - ARCHITECTURE.coda_blocks  # transformer_deep is prelude + loops + coda
    if beside >= 0:
        return replace(BASE, model="transformer_deep", architecture=replace(ARCHITECTURE, prelude_blocks=beside))
    shorter = replace(TRAIN, shortest_horizon=1, longest_horizon=2 * (blocks - 2) - 1)  # a stack reads the mean alone
    return replace(BASE, model="transformer_deep", train=shorter)


STACKS = (5, 10, 20)
"""Blocks of the stacks: half and twice those of the iso-FLOP one."""

RATES = (0.1, 1.0, 10.0, 100.0)
"""Three decades of both learning rates, as multiples of the default."""


def at_rate(injection: str, scale: float) -> Experiment:
    """Short training at so many times the learning rates."""
    fast = replace(TRAIN, steps=120, learning_rate=scale * TRAIN.learning_rate,
                   matrix_learning_rate=scale * TRAIN.matrix_learning_rate)  # fmt: skip
    return replace(SHALLOW, architecture=replace(ARCHITECTURE, injection=injection), train=fast)


BUDGETS = (1.0, 2.0, 4.0, 8.0)
"""Compute of the iso-FLOP runs, as multiples of SMALLEST steps of a mean recurrence of 1."""

SMALLEST, RECURRENCES = 140, (1, 2, 4, 8, 16)

STEP_COST = {1: 1.0, 2: 1.05, 4: 1.47, 8: 2.3, 16: 3.96}
"""FLOPs of a training step by its mean recurrence, that of 1 being 1: gradient through the last half of the loops.
The same within 1% whether all experts are counted or those that a position has chosen."""


def at_budget(budget: float, recurrence: int) -> Experiment:
    """A small model trained at one mean recurrence for as many steps as the budget pays."""
    steps = max(1, round(SMALLEST * budget / STEP_COST[recurrence]))
    train = replace(TRAIN, steps=steps, batch=32, warmup=min(40, steps // 4), gradient_loops=-(-recurrence // 2),
                    shortest_horizon=max(1, recurrence // 2), longest_horizon=recurrence + recurrence // 2)  # fmt: skip
    small = replace(ARCHITECTURE, width=32, expert_width=24, adapters="none", halting="none")
    return replace(SHALLOW, architecture=small, train=train)


DESIGNS: dict[str, Experiment] = {
    "rdt": BASE,
    "transformer": replace(BASE, model="transformer"),
    **{f"stack of {blocks}": stack(blocks) for blocks in STACKS},
    "all gradient": ALL_GRADIENT,
    "no injection": replace(ALL_GRADIENT, architecture=replace(ARCHITECTURE, injection="none")),
    "dense": parts(feed_forward="dense"),
    "full attention": parts(attention="full"),
    "small cache": parts(latent=8, rope_width=4),
    "no adapters": parts(adapters="none"),
    "few loops": trained(shortest_horizon=2, longest_horizon=6),
    "written": replace(BASE, model="transformer", task=KhopWritten(
        entities=TASK.entities, relations=TASK.relations,
        selection_depths=TASK.selection_depths, test_depths=TASK.test_depths)),
    **{f"{kind} at {scale:g}x": at_rate(kind, scale) for kind in ("lti", "unconstrained") for scale in RATES},
    **{f"budget {budget:g}, {loops} loops": at_budget(budget, loops) for budget in BUDGETS for loops in RECURRENCES},
}  # fmt: skip
"""Every design by name. A new one is a line here."""
