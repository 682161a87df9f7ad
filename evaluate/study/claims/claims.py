"""The claims of the field, as data: a statement, who makes it, the rule that decides, and the figures it needs.

The rules were set before the runs that are judged by them, on single runs of seed 0, which judges nothing. A new claim
is one entry of CLAIMS, a function that measures its figures, and, where it needs runs that no other has, a line in
DESIGNS.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from evaluate.metrics import loops_enough, wilson
from evaluate.statistics import newcombe
from evaluate.study.claims.designs import BUDGETS, FAR, MOST, RATES, RECURRENCES, TOP, TWICE
from evaluate.study.claims.evidence import Evidence, Found, Lacking
from evaluate.study.scaling import iso_flop, saturating
from evaluate.verdicts import Measured, Part, difference, paired, share, span


@dataclass(frozen=True)
class Claim:
    """`figures` measures one figure for each of `parts`, in their order, from runs of `designs`.

    measures: the extra measures taken of a design's trained models.
    """

    name: str
    statement: str
    source: str
    experiment: str
    parts: tuple[Part, ...]
    designs: tuple[str, ...]
    figures: Callable[[Evidence], list[Measured]]
    measures: tuple[tuple[str, str], ...] = ()  # (design, measure)

    @property
    def rule(self) -> str:
        """What would support the claim, in a sentence."""
        told = [("given " if part.premise else "") + part.rule for part in self.parts if part.decides]
        return "; ".join(told)


def ratio(values: list[float]) -> Measured:
    return Measured(tuple(values))


# 1


def beyond(found: Evidence) -> list[Measured]:
    return [
        found.share("stack of 10", TOP, MOST),
        found.share("rdt", TWICE, MOST),
        found.share("transformer", TWICE, MOST),
        found.share("stack of 10", TWICE, MOST),
    ]


# 2


def loops_not_parameters(found: Evidence) -> list[Measured]:
    def gained(run: Found) -> float:
        return max(run.reach(32), 1) / max(run.reach(4), 1)

    reached = {name: [max(run.reach(MOST), 1) for run in found.whole(name)] for name in ("stack of 10", "stack of 20")}
    return [
        found.each("rdt", gained),
        ratio([b / a for a, b in zip(reached["stack of 10"], reached["stack of 20"], strict=True)]),
        found.each("stack of 20", lambda run: float(run.reach(MOST))),
    ]


# 3


def injection(found: Evidence) -> list[Measured]:
    def grows(run: Found) -> float:
        norms = run.inside.state_norm if run.inside else None
        if not norms or norms[15] is None or norms[63] is None:
            raise Lacking("no norm of the state was recorded")
        return norms[63] / norms[15]

    return [
        found.share("no injection", TOP, 16),
        found.difference(("all gradient", TOP, 16), ("all gradient", TOP, MOST)),
        found.difference(("no injection", TOP, 16), ("no injection", TOP, MOST)),
        found.each("all gradient", grows),
        found.each("no injection", grows),
    ]


# 4


def latent_steps(found: Evidence) -> list[Measured]:
    own = [value[str(TWICE)] for value in found.measure("written", "written")]
    wrote, count = [one["correct"] for one in own], own[0]["count"]
    (looped, asked), (surplus, _) = found.counts("rdt", TWICE, TWICE), found.counts("rdt", TWICE, MOST)
    if asked != count:
        raise Lacking(f"{asked} questions of the loops, {count} of the steps")
    cost = [run.at(TWICE, TWICE).flops / one["flops"] for run, one in zip(found.whole("rdt"), own, strict=True)]
    return [
        share(wrote, count),
        difference(looped, wrote, count),
        ratio([wave(table)[0] for table in found.measure("rdt", "probe")]),
        difference(surplus, wrote, count),
        ratio(cost),
        ratio([wave(table)[1] for table in found.measure("rdt", "probe")]),
    ]


def wave(table: list[list[float]]) -> tuple[float, float]:
    """Of probe accuracies (loops, hops): the rank correlation of a hop and the first loop at which 90% of its entities
    can be read, and hops read a loop. A hop that is never read counts as read after the last loop."""
    read = np.array(table) >= 0.9
    first = np.where(read.any(0), read.argmax(0) + 1, len(read) + 1)
    hops = np.arange(1, len(first) + 1)
    return ranked(hops, first), float((hops[-1] - hops[0]) / max(1, first[-1] - first[0]))


def ranked(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's rank correlation; 0 where one of the two does not vary."""
    a, b = (np.array([((v < u).sum() + (v <= u).sum() - 1) / 2 for u in v]) for v in (x, y))
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 0 and b.std() > 0 else 0.0


# 5


def experts(found: Evidence) -> list[Measured]:
    use = found.measure("rdt", "routing")
    return [
        ratio([one["observed"] - one["shuffled"] for one in use]),
        found.difference(("rdt", FAR, MOST), ("dense", FAR, MOST)),
        ratio([b.train_flops / a.train_flops for a, b in zip(found.whole("dense"), found.whole("rdt"), strict=True)]),
    ]


# 6


def latent_cache(found: Evidence) -> list[Measured]:
    pairs = zip(found.measure("full attention", "cache"), found.measure("small cache", "cache"), strict=True)
    return [
        ratio([full / small for full, small in pairs]),
        found.difference(("small cache", FAR, MOST), ("full attention", FAR, MOST)),
    ]


# 7


def stability(found: Evidence) -> list[Measured]:
    failed, right = {}, {}
    for kind in ("lti", "unconstrained"):
        runs = [run for scale in RATES for run in found.every(f"{kind} at {scale:g}x")]
        failed[kind] = [ran_off(run) for run in runs]
        right[kind] = [0.0 if run.status != "ok" else run.accuracy(TOP, 64) for run in runs]
    count = len(failed["lti"])
    lti, free = sum(failed["lti"]), sum(failed["unconstrained"])
    low, high = newcombe(*(np.array(float(x)) for x in (free, count, lti, count)))
    told = f"{count} runs"
    return [
        Measured((lti / count,), interval=wilson(lti, count), over=told),
        Measured(((free - lti) / count,), interval=(float(low), float(high)), over=told),
        ratio([(sum(right["lti"]) - sum(right["unconstrained"])) / count]),
    ]


def ran_off(run: Found) -> bool:
    """Did the loss stop being finite, or does the state, after 64 loops?"""
    if run.status != "ok":
        return True
    norms = run.inside.state_norm if run.inside else None
    if not norms:
        raise Lacking("no norm of the state was recorded")
    return norms[-1] is None or norms[-1] > LARGE


LARGE = 1e3
"""A state's root mean square beyond which it has run off: those of stable runs are about 10."""


# 8


def halting(found: Evidence) -> list[Measured]:
    def follows(run: Found) -> float:
        depths = run.depths()
        return ranked(np.array(depths), np.array([run.at(depth, "act").used for depth in depths]))

    def surplus(run: Found) -> float:
        by_loops = run.by_loops(TWICE)
        target = min(run.accuracy(TWICE, "act") - 0.005, max(by_loops.values()))
        enough = [loops for loops, right in by_loops.items() if right >= target]
        return run.at(TWICE, "act").used / max(1, min(enough))

    return [
        found.each("rdt", follows),
        found.difference(("rdt", TWICE, "act"), ("rdt", TWICE, MOST)),
        found.each("rdt", surplus),
    ]


# 9


def overthinking(found: Evidence) -> list[Measured]:
    def lost(design: str) -> Measured:
        """From the loops that were enough to 16 times as many, or the most asked for."""
        best, later = [], []
        for run in found.whole(design):
            by_loops = run.by_loops(TOP)
            enough = loops_enough(by_loops)
            most = min([loops for loops in by_loops if loops >= 16 * enough], default=MOST)
            best.append(run.at(TOP, enough).right)
            later.append(run.at(TOP, most).right)
        return paired(np.stack(best), np.stack(later))

    peak = [max(run.by_loops(TOP).values()) for run in found.whole("few loops")]
    return [ratio(peak), lost("few loops"), lost("rdt")]


# 10


def adapters(found: Evidence) -> list[Measured]:
    pairs = zip(found.whole("rdt"), found.whole("no adapters"), strict=True)
    more = [a.parameters / b.parameters - 1 for a, b in pairs]
    untied = zip(found.whole("stack of 10"), found.whole("rdt"), strict=True)
    return [
        ratio(more),
        found.difference(("rdt", FAR, MOST), ("no adapters", FAR, MOST)),
        found.difference(("rdt", TOP, MOST), ("stack of 10", TOP, MOST)),
        ratio([a.parameters / b.parameters for a, b in untied]),
    ]


# 11

BASELINES = ("transformer", "stack of 5", "stack of 10", "stack of 20")
"""From small to large."""


def half_the_parameters(found: Evidence) -> list[Measured]:
    def smallest(depth: int, margin: float) -> Measured:
        """Parameters of the smallest baseline that comes within the margin, over the RDT's; where none does, those of
        the largest, which is the least that the ratio can be."""
        ratios = []
        for place, run in enumerate(found.whole("rdt")):
            others = [found.whole(name)[place] for name in BASELINES]
            target = run.accuracy(depth, MOST) - margin
            match = next((other for other in others if other.accuracy(depth, MOST) >= target), others[-1])
            ratios.append(match.parameters / run.parameters)
        return ratio(ratios)

    return [found.share("rdt", TOP, MOST), smallest(TOP, 0.02), smallest(TWICE, 0.05)]


# 12


def training_laws(found: Evidence) -> list[Measured]:
    budgets, loops, tokens, losses = [], [], [], []
    for budget in BUDGETS:
        for recurrence in RECURRENCES:
            name = f"budget {budget:g}, {recurrence} loops"
            for run, told in zip(found.whole(name), found.measure(name, "loss"), strict=True):
                budgets.append(budget)
                loops.append(float(recurrence))
                tokens.append(float(run.steps))  # every step is of as many tokens
                losses.append(told["loss"][told["loops"].index(recurrence)])
    if not all(math.isfinite(loss) and loss > 0 for loss in losses):
        raise Lacking("a loss is not a positive number")
    laws = {"recurrence": iso_flop(budgets, loops, losses), "token count": iso_flop(budgets, tokens, losses)}
    none = [f"no power law of the best {what}: {law.reason}" for what, law in laws.items() if law.law is None]
    exponents = {what: law.law.exponent for what, law in laws.items() if law.law}
    if none:
        told = [
            f"the best {what} has exponent {e.value:.3g} ({span(e.low, e.high, '')})" for what, e in exponents.items()
        ]
        raise Lacking("; ".join([*none, *told]))
    return [Measured((e.value,), interval=(e.low, e.high), over=f"{len(losses)} runs") for e in exponents.values()]


# 13


def saturation(found: Evidence) -> list[Measured]:
    ratios, rates = [], []
    for told in found.measure("rdt", "loss"):
        kept = [(count, loss) for count, loss in zip(told["loops"], told["loss"], strict=True) if count <= 64]
        if not all(math.isfinite(loss) and loss > 0 for _, loss in kept):
            raise Lacking("a loss is not a positive number")
        laws = {law.name: law for law in saturating([loops for loops, _ in kept], [loss for _, loss in kept]).laws}
        rival = min(laws["power"].held_out, laws["step"].held_out)
        ratios.append(laws["exponential"].held_out / max(rival, 1e-12))
        rates.append(laws["exponential"].rate.value)
    return [ratio(ratios), ratio(rates)]


# 14


def more_loops(found: Evidence) -> list[Measured]:
    name = "few loops"
    return [
        found.share(name, TOP, 6),
        found.difference((name, TWICE, 16), (name, TWICE, 6)),
        found.difference((name, TWICE, 64), (name, TWICE, 16)),
    ]


CLAIMS: dict[int, Claim] = {
    1: Claim(
        "beyond-training",
        "A standard transformer trained to 5 hops fails at 10; the RDT does not, with more loops and no retraining.",
        "Loop, Think & Generalize (2604.07822)",
        f"RDT and stacks of the same Block on the same rows, depths 1 to {TOP}; asked depth {TWICE}, {MOST} loops",
        (
            Part(f"accuracy at depth {TOP} of the stack of as many FLOPs", least=0.9, premise=True),
            Part(f"accuracy at depth {TWICE} of the RDT", least=0.9),
            Part(f"accuracy at depth {TWICE} of the stack of as many parameters", most=0.5),
            Part(f"accuracy at depth {TWICE} of the stack of as many FLOPs", most=0.5),
        ),
        ("rdt", "transformer", "stack of 10"),
        beyond,
    ),
    2: Claim(
        "loops-not-parameters",
        "Depth comes from loops, not parameters.",
        "Saunshi et al., Reasoning with Latent Thoughts (2502.17416)",
        "Depth reached (95% right at every depth up to it) by one RDT at 4 and 32 loops; by stacks of 10 and 20 Blocks",
        (
            Part("depth reached by the RDT at 32 loops over that at 4", least=2, unit="x"),
            Part("depth reached by the stack of 20 over that of 10", most=1.5, unit="x"),
            Part("depth reached by the stack of 20", most=TWICE - 1, unit=""),
        ),
        ("rdt", "stack of 10", "stack of 20"),
        loops_not_parameters,
    ),
    3: Claim(
        "injection",
        "Re-injecting the input in every loop prevents drift.",
        "Deep Thinking (2202.05826); Stability and Generalization in Looped Transformers (2604.15259)",
        f"RDT with and without injection, gradient through all loops: accuracy at depth {TOP} from 16 to {MOST} loops, "
        "and how the state grows from loop 16 to 64",
        (
            Part(f"accuracy at depth {TOP} and 16 loops without injection", least=0.8, premise=True),
            Part("points lost by 8 times the loops, with injection", most=0.05, unit="points"),
            Part("points lost by 8 times the loops, without", least=0.1, unit="points"),
            Part("norm of the state in loop 64 over that in loop 16, with injection", most=1.2, unit="x"),
            Part("norm of the state in loop 64 over that in loop 16, without", least=1.5, unit="x"),
        ),
        ("all gradient", "no injection"),
        injection,
    ),
    4: Claim(
        "latent-steps",
        "Loops are a chain of thought in the latent space: T loops simulate T written steps.",
        "Saunshi et al., Reasoning with Latent Thoughts (2502.17416)",
        f"RDT with {TWICE} loops against the same Blocks, unlooped, that write {TWICE} steps; a linear probe reads hop "
        "k from h_t",
        (
            Part(f"accuracy at depth {TWICE} of the written steps", least=0.9, premise=True),
            Part(f"accuracy at depth {TWICE}, {TWICE} loops less {TWICE} written steps", least=-0.05, unit="points"),
            Part("rank correlation of a hop and the first loop at which a linear probe reads it", least=0.9, unit=""),
            Part(f"accuracy at depth {TWICE}, {MOST} loops less {TWICE} written steps", unit="points"),
            Part(f"FLOPs of a question, {TWICE} loops over written steps", unit="x"),
            Part("hops that the probe reads a loop", unit=""),
        ),
        ("rdt", "written"),
        latent_steps,
        (("rdt", "probe"), ("written", "written")),
    ),
    5: Claim(
        "experts",
        "Routing differs by loop under tied weights, and a mixture beats a dense feed-forward of as many active "
        "parameters.",
        "DeepSeekMoE (2401.06066); OpenMythos",
        f"Expert use by loop against each position's loops shuffled; accuracy at depth {FAR} at equal active "
        "parameters",
        (
            Part("bits by which an expert tells the loop, above shuffled loops", least=0.05, unit=""),
            Part(f"accuracy at depth {FAR}, mixture less dense", least=0.05, unit="points"),
            Part("training FLOPs by torch's counter, mixture over dense", unit="x"),
        ),
        ("rdt", "dense"),
        experts,
        (("rdt", "routing"),),
    ),
    6: Claim(
        "latent-cache",
        "Latent attention holds 10 to 20 times less cache at equal quality.",
        "DeepSeek-V2 (2405.04434)",
        f"Bytes of a cache, and accuracy at depth {FAR}: a latent of 8 numbers and a rotary key of 4 against full "
        "attention",
        (
            Part("bytes of full attention's cache over the latent's", least=10, unit="x"),
            Part(f"accuracy at depth {FAR}, latent less full", least=-0.05, unit="points"),
        ),
        ("small cache", "full attention"),
        latent_cache,
        (("small cache", "cache"), ("full attention", "cache")),
    ),
    7: Claim(
        "stable-at-any-rate",
        "A spectral radius below 1 by construction makes training stable at any learning rate.",
        "Parcae (2604.12946)",
        f"LTI and unconstrained A at {', '.join(f'{scale:g}' for scale in RATES)} times the learning rates; a run "
        f"fails where its loss, or its state after 64 loops, runs off (no number, or above {LARGE:g})",
        (
            Part("share of LTI runs that fail", most=0.25),
            Part("share of unconstrained runs that fail, less that", least=0.25, unit="points"),
            Part(f"accuracy at depth {TOP} over all rates, LTI less unconstrained", unit="points"),
        ),
        tuple(f"{kind} at {scale:g}x" for kind in ("lti", "unconstrained") for scale in RATES),
        stability,
    ),
    8: Claim(
        "halting",
        "With ACT harder positions get more loops, and it stops once converged.",
        "Adaptive Computation Time (1603.08983)",
        f"Loops used by the halting gate by depth, its accuracy at depth {TWICE} against {MOST} loops, and its loops "
        "over the fewest that do as well",
        (
            Part("rank correlation of depth and loops used", least=0.9, unit=""),
            Part(f"accuracy at depth {TWICE}, halted less {MOST} loops", least=-0.05, unit="points"),
            Part(f"loops used at depth {TWICE} over the fewest that do as well", most=2, unit="x"),
        ),
        ("rdt",),
        halting,
    ),
    9: Claim(
        "overthinking",
        "Too many loops drift past the answer, and it can be prevented.",
        "Loop, Think & Generalize (2604.07822); Deep Thinking (2202.05826)",
        f"Accuracy at depth {TOP} from the loops that are enough to 16 times as many: trained with 2 to 6 loops, "
        "and with 3 to 12",
        (
            Part(f"best accuracy at depth {TOP} of the narrow recipe", least=0.9, premise=True),
            Part("points lost by the narrow recipe", least=0.1, unit="points"),
            Part("points lost by the wide one", most=0.05, unit="points"),
        ),
        ("few loops", "rdt"),
        overthinking,
    ),
    10: Claim(
        "adapters",
        "Depth-wise LoRA separates the loops for few parameters.",
        "Relaxed Recursive Transformers (2410.20672)",
        "RDT with adapters of rank 2 in 4 loops, without, and a stack of 10 untied Blocks",
        (
            Part("parameters that the adapters add", most=0.25),
            Part(f"accuracy at depth {FAR}, with adapters less without", least=0.05, unit="points"),
            Part(f"accuracy at depth {TOP}, with adapters less untied", least=-0.05, unit="points"),
            Part("parameters, untied over with adapters", unit="x"),
        ),
        ("rdt", "no adapters", "stack of 10"),
        adapters,
    ),
    11: Claim(
        "half-the-parameters",
        "A looped model has the quality of one with nearly twice its parameters (770M = 1.3B).",
        "Parcae (2604.12946)",
        "The smallest of four stacks, of 1 to 6 times the parameters, that matches the RDT on the same rows; where "
        "none does, the largest tried stands for it",
        (
            Part(f"accuracy at depth {TOP} of the RDT", least=0.9, premise=True),
            Part(f"parameters of the least stack within 2 points at depth {TOP}, over the RDT's", least=1.7, unit="x"),
            Part(f"the same within 5 points at depth {TWICE}", least=1.7, unit="x"),
        ),
        ("rdt", *BASELINES),
        half_the_parameters,
    ),
    12: Claim(
        "training-laws",
        "Best recurrence and best token count follow power laws in compute, exponents 0.40 and 0.78.",
        "Parcae (2604.12946)",
        f"Mean recurrences {', '.join(map(str, RECURRENCES))} at {len(BUDGETS)} budgets of equal FLOPs; the least "
        "held-out loss of each, and the line through them",
        (
            Part("exponent of the best recurrence", least=0.25, most=0.55, unit=""),
            Part("exponent of the best token count", least=0.63, most=0.93, unit=""),
        ),
        tuple(f"budget {budget:g}, {loops} loops" for budget in BUDGETS for loops in RECURRENCES),
        training_laws,
        tuple((f"budget {budget:g}, {loops} loops", "loss") for budget in BUDGETS for loops in RECURRENCES),
    ),
    13: Claim(
        "test-time-law",
        "More loops at test time follow L(T) = L_inf + Z exp(-z T).",
        "Parcae (2604.12946)",
        f"Held-out loss at depths 1 to {TOP} by 1 to 64 loops, fitted by an exponential, a power law and a step; their "
        "errors at loop counts left out",
        (
            Part("error of the exponential over that of the better other law", most=1, unit="x"),
            Part("rate z a loop", unit=""),
        ),
        ("rdt",),
        saturation,
        (("rdt", "loss"),),
    ),
    14: Claim(
        "more-loops",
        "A model trained at few loops gains from up to 16 and more.",
        "OpenMythos #28; Loop, Think & Generalize (2604.07822)",
        f"RDT trained at 2 to 6 loops: accuracy at depth {TWICE} at 6, 16 and 64 loops",
        (
            Part(f"accuracy at depth {TOP} and 6 loops", least=0.9, premise=True),
            Part("points gained from 6 to 16 loops", least=0.2, unit="points"),
            Part("points gained from 16 to 64 loops", least=-0.05, unit="points"),
        ),
        ("few loops",),
        more_loops,
    ),
}  # fmt: skip
"""Every claim by its number."""
