"""The figures of each claim, a function a claim, from what the records say of the runs of its designs.

Each gives one figure for each part of its claim, in their order.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import spearmanr

from evaluate.metrics import loops_enough
from evaluate.statistics import newcombe, wilson
from evaluate.study.claims.designs import BUDGETS, FAR, MOST, RATES, RECURRENCES, TOP, TWICE
from evaluate.study.claims.evidence import Evidence, Found, Lacking
from evaluate.study.optima import iso_flop
from evaluate.study.saturation import LAWS, fit
from evaluate.verdicts import Measured, difference, paired, share, span

BASELINES = ("transformer", "stack of 5", "stack of 10", "stack of 20")
"""From small to large."""

LARGE = 1e3
"""A state's root mean square beyond which it has run off: those of stable runs are about 10."""


def by_seed(values: list[float]) -> Measured:
    """A figure of which each seed has one value."""
    return Measured(tuple(values))


def of_sizes(values: list[float]) -> Measured:
    """A figure that follows from sizes, and not from what was learnt: where it is the same for all, it is certain."""
    if len(set(values)) > 1:
        return by_seed(values)
    return Measured(tuple(values), interval=(values[0], values[0]), over=f"{len(values)} seeds")


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
        *(found.share(name, TOP, MOST) for name in ("rdt", "stack of 10", "stack of 20")),
        found.each("rdt", gained),
        by_seed([b / a for a, b in zip(reached["stack of 10"], reached["stack of 20"], strict=True)]),
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
        found.share("all gradient", TOP, 16),
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
        by_seed([wave(table)[0] for table in found.measure("rdt", "probe")]),
        difference(surplus, wrote, count),
        by_seed(cost),
        by_seed([wave(table)[1] for table in found.measure("rdt", "probe")]),
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
    return float(spearmanr(x, y).statistic) if np.ptp(x) > 0 and np.ptp(y) > 0 else 0.0


# 5


def experts(found: Evidence) -> list[Measured]:
    use = found.measure("rdt", "routing")
    pairs = zip(found.whole("dense"), found.whole("rdt"), strict=True)
    return [
        by_seed([one["observed"] - one["shuffled"] for one in use]),
        found.difference(("rdt", FAR, MOST), ("dense", FAR, MOST)),
        of_sizes([mixed.train_flops / dense.train_flops for dense, mixed in pairs]),
    ]


# 6


def latent_cache(found: Evidence) -> list[Measured]:
    pairs = zip(found.measure("full attention", "cache"), found.measure("small cache", "cache"), strict=True)
    return [
        found.share("full attention", TOP, MOST),
        of_sizes([full / small for full, small in pairs]),
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
        by_seed([(sum(right["lti"]) - sum(right["unconstrained"])) / count]),
    ]


def ran_off(run: Found) -> bool:
    """Did the loss stop being finite, or does the state, after 64 loops?"""
    if run.status != "ok":
        return True
    norms = run.inside.state_norm if run.inside else None
    if not norms:
        raise Lacking("no norm of the state was recorded")
    return norms[-1] is None or norms[-1] > LARGE


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

    narrow = found.whole("few loops")
    peak, (_, count) = [max(run.by_loops(TOP).values()) for run in narrow], found.counts("few loops", TOP, MOST)
    learnt = share([round(right * count) for right in peak], count) if len(set(peak)) == 1 else by_seed(peak)
    return [learnt, lost("few loops"), lost("rdt")]


# 10


def adapters(found: Evidence) -> list[Measured]:
    pairs = zip(found.whole("rdt"), found.whole("no adapters"), strict=True)
    more = [a.parameters / b.parameters - 1 for a, b in pairs]
    untied = zip(found.whole("stack of 10"), found.whole("rdt"), strict=True)
    return [
        of_sizes(more),
        found.difference(("rdt", FAR, MOST), ("no adapters", FAR, MOST)),
        found.difference(("rdt", TOP, MOST), ("stack of 10", TOP, MOST)),
        of_sizes([a.parameters / b.parameters for a, b in untied]),
    ]


# 11


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
        return by_seed(ratios)

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
        laws = {name: fit(name, *zip(*kept, strict=True)) for name in LAWS}
        rival = min(laws["power"].held_out, laws["step"].held_out)
        ratios.append(laws["exponential"].held_out / max(rival, 1e-12))
        rates.append(laws["exponential"].rate.value)
    return [by_seed(ratios), by_seed(rates)]


# 14


def more_loops(found: Evidence) -> list[Measured]:
    name = "few loops"
    return [
        found.share(name, TOP, 6),
        found.difference((name, TWICE, 16), (name, TWICE, 6)),
        found.difference((name, TWICE, 64), (name, TWICE, 16)),
    ]
