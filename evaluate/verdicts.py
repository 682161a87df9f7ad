"""From measured figures to a verdict, by a rule that was written down before: the range in which a figure must lie.

A 95% interval wholly inside the range supports, one wholly outside refutes, anything else leaves it open. Needs no
torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from evaluate.statistics import newcombe, paired_interval, wilson

SUPPORTED, REFUTED, INCONCLUSIVE = "supported", "refuted", "inconclusive"
UNITS = ("%", "points", "x", "")  # of a share, a difference of shares, a ratio, a number
VERDICTS = (SUPPORTED, REFUTED, INCONCLUSIVE)


class Part(NamedTuple):
    """One figure of a claim and the range that the claim puts it in: at least, at most, or between two ends.

    One without a range is for information.
    """

    what: str
    least: float | None = None
    most: float | None = None
    unit: str = "%"  # one of UNITS
    premise: bool = False  # no part of the claim: where it does not hold, nothing is learnt about the claim

    @property
    def decides(self) -> bool:
        """A part without a range is told, and decides nothing."""
        return self.least is not None or self.most is not None

    @property
    def rule(self) -> str:
        """The range in words."""
        ends = [f"{word} {shown(end, self.unit)}" for word, end in (("at least", self.least), ("at most", self.most))
                if end is not None]  # fmt: skip
        return f"{self.what}: {' and '.join(ends)}"


class Measured(NamedTuple):
    """One value a seed, and the 95% interval that other questions would have given these trained models, if known."""

    values: tuple[float, ...]
    questions: tuple[float, float] | None = None
    interval: tuple[float, float] | None = None  # where the measure has its own: over draws, over runs
    over: str = "seeds"


class Judged(NamedTuple):
    """A part with its figure, its 95% interval, what that is over, and what follows."""

    part: Part
    value: float
    low: float
    high: float
    over: str
    verdict: str

    @property
    def told(self) -> str:
        return f"{shown(self.value, self.part.unit)} ({span(self.low, self.high, self.part.unit)})"


def shown(value: float, unit: str) -> str:
    """A figure for people."""
    if math.isinf(value):
        return "-inf" if value < 0 else "inf"
    if unit in ("%", "points"):
        return f"{100 * value:{'+' if unit == 'points' else ''}.1f}{'%' if unit == '%' else ' points'}"
    return f"{value:.3g}{unit}"


def span(low: float, high: float, unit: str) -> str:
    """An interval for people."""
    if math.isinf(low) and math.isinf(high):
        return "no interval"
    if unit in ("%", "points"):
        return f"{100 * low:.1f} to {100 * high:.1f}"
    return f"{low:.3g} to {high:.3g}"


ALIKE = 6
"""So many seeds with one and the same figure settle something: that all of them lie on one side of where half of all
seeds would has a chance of 2 / 2^6 = 3% (the sign test). Of fewer nothing tells what others would give."""


def mean_over_seeds(values: Sequence[float], unit: str = "") -> tuple[float, float]:
    """Student's t interval (95%) of the mean over seeds; of ratios in logarithms. Without an end for a single seed."""
    from scipy.special import stdtrit

    ratio = unit == "x" and min(values) > 0
    x = np.log(values) if ratio else np.asarray(values, float)
    if len(x) < 2 or not np.isfinite(x).all():
        return -math.inf, math.inf
    half = float(stdtrit(len(x) - 1, 0.975)) * float(x.std(ddof=1)) / math.sqrt(len(x))
    ends = float(x.mean()) - half, float(x.mean()) + half
    if ratio:
        ends = math.exp(ends[0]), math.exp(ends[1])
    low, high = {"%": (0.0, 1.0), "points": (-1.0, 1.0)}.get(unit, (-math.inf, math.inf))
    return max(low, ends[0]), min(high, ends[1])


def rounded(value: float) -> float:
    """Without the last bits, which the logarithms of ratios change: three times 8x is no less than 8x."""
    return float(f"{value:.12g}")


def judge(part: Part, measured: Measured) -> Judged:
    """What a figure says of a part. Of the interval over seeds and that over questions, the outer ends count."""
    values = measured.values
    ratio = part.unit == "x" and min(values) > 0
    value = float(np.exp(np.mean(np.log(values)))) if ratio else float(np.mean(values))
    if measured.interval is not None:
        (low, high), over = measured.interval, measured.over
    elif len(values) < 2 and measured.questions:
        (low, high), over = measured.questions, "questions, of one seed"
    else:
        (low, high), over = mean_over_seeds(values, part.unit), f"{len(values)} seed{'s' * (len(values) > 1)}"
        if measured.questions:
            low, high = min(low, measured.questions[0]), max(high, measured.questions[1])
            over += " and questions"
        elif len(set(values)) == 1 and len(values) < ALIKE:
            low, high = -math.inf, math.inf
    value, low, high = map(rounded, (value, low, high))
    least = -math.inf if part.least is None else part.least
    most = math.inf if part.most is None else part.most
    inside, outside = least <= low and high <= most, high < least or low > most
    return Judged(part, value, low, high, over, SUPPORTED if inside else REFUTED if outside else INCONCLUSIVE)


def combine(parts: Sequence[Judged]) -> tuple[str, str]:
    """The verdict of a claim of several parts, and why.

    A premise that does not surely hold leaves the claim open. Otherwise one part refuted refutes the claim, and all
    parts supported support it.
    """
    for judged in parts:
        if judged.part.premise and judged.verdict != SUPPORTED:
            return INCONCLUSIVE, f"its premise does not hold: {judged.part.rule}, measured {judged.told}"
    parts = [judged for judged in parts if judged.part.decides and not judged.part.premise]
    for verdict in (REFUTED, INCONCLUSIVE):
        found = [judged for judged in parts if judged.verdict == verdict]
        if found:
            why = "" if verdict == REFUTED else "the interval does not settle it: "
            return verdict, why + "; ".join(f"{judged.part.rule}, measured {judged.told}" for judged in found)
    return SUPPORTED, "every figure lies in its range, interval and all"


def share(correct: Sequence[int], count: int) -> Measured:
    """The accuracy of several seeds on the same `count` questions, which count once however many seeds answer them."""
    values = tuple(c / count for c in correct)
    return Measured(values, wilson(round(sum(correct) / len(correct)), count))


def difference(first: Sequence[int], second: Sequence[int], count: int) -> Measured:
    """Accuracy of the first less that of the second, seed by seed, each on `count` questions of its own (Newcombe)."""
    values = tuple((a - b) / count for a, b in zip(first, second, strict=True))
    low, high = newcombe(*(np.array(float(x)) for x in (np.mean(first), count, np.mean(second), count)))
    return Measured(values, (float(low), float(high)))


def paired(first: np.ndarray, second: np.ndarray) -> Measured:
    """The same of right answers (seeds, questions) to the same questions, compared question by question."""
    change = first.astype(float) - second
    by_question = change.mean(0)
    low, high = paired_interval(by_question.sum(), (by_question**2).sum(), np.array(float(len(by_question))))
    return Measured(tuple(change.mean(1).tolist()), (float(low), float(high)))
