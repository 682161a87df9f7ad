"""How the best choice grows with compute: a power law through the best choices at several budgets.

Parcae (2604.12946) finds the best recurrence and the best number of tokens to grow as compute to the powers 0.40 and
0.78. `iso_flop` and `power_law` measure such exponents, each with its 95% interval. Where the data do not settle it,
the answer is a reason and no figure. Noise is taken to be independent from one measurement to the next.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import fdtrc, stdtrit

from evaluate.statistics import DRAWS, Z95
from evaluate.study.estimates import Estimate, Values, checked

POOL = 0.5
"""Runs count one by one unless scatter between budgets is above its median. With errors both of runs and of budgets,
intervals then hold the truth 94 to 96 times of 100; at 0.25, the usual level (Bancroft 1964), 92 times (simulated)."""
LEAST_BUDGETS, LEAST_RUNS = 4, 4


class PowerLaw(NamedTuple):
    """optimum = coefficient * compute^exponent, the coefficient in the units of an optimum at compute 1."""

    exponent: Estimate
    coefficient: Estimate
    reason: str
    """What was taken as independent of what: the measurements, or the budgets where their scatter is the larger."""


class Minimum(NamedTuple):
    """The best choice at one budget; None, with a reason, where the losses show no minimum."""

    budget: float
    choice: Estimate | None
    reason: str


class IsoFlop(NamedTuple):
    """Best choices by budget, ascending, and their power law; None, with a reason, where too few budgets have one."""

    minima: tuple[Minimum, ...]
    law: PowerLaw | None
    reason: str


def power_law(compute: Values, optimum: Values, seed: int = 0) -> PowerLaw:
    """The power law of optima (n,) against compute (n,), a line in logarithms; a budget may hold several seeds.

    At least 4 measurements at 3 budgets. What the line leaves is drawn again 4000 times, with replacement, and the
    interval widened as Student's t is for so few: so it holds the truth 95 times of 100 even for four budgets, where
    the plain bootstrap holds it 69 times. Seeds of a budget that agree better with each other than with the line share
    an error (such as the coarseness of the grid on which the optimum was sought) and count as one, their mean.
    ValueError for too few measurements and for values that are not positive.
    """
    budgets, optima = checked(compute=compute, optimum=optimum)
    distinct, group = np.unique(budgets, return_inverse=True)
    if len(distinct) < LEAST_BUDGETS - 1 or len(budgets) < LEAST_BUDGETS:
        raise ValueError(f"compute: {len(budgets)} values at {len(distinct)} budgets, at least 4 at 3 are needed")
    x, y = np.log(budgets), np.log(optima)
    reason = "each measurement counts as one"
    if len(budgets) > len(distinct) >= LEAST_BUDGETS:
        size = np.bincount(group)
        means = np.bincount(group, y) / size
        within = float(((y - means[group]) ** 2).sum())
        between = max(float(line(x, y)[1]) - within, 0.0)
        freedom = len(distinct) - 2, len(y) - len(distinct)
        if within <= 0 or fdtrc(*freedom, between / freedom[0] / (within / freedom[1])) < POOL:
            x, y, reason = np.log(distinct), means, "each budget counts as one: its seeds share an error"
    (level, slope), _ = line(x, y)
    middle = x.mean()
    leverage = 1 / len(x) + (x - middle) ** 2 / ((x - middle) ** 2).sum()
    left = (y - level - slope * (x - middle)) / np.sqrt(1 - leverage)
    drawn = np.random.default_rng(seed).choice(left - left.mean(), (DRAWS, len(x)))
    levels, slopes = drawn.mean(1), drawn @ (x - middle) / ((x - middle) ** 2).sum()
    wider = float(stdtrit(len(x) - 2, 0.975)) / Z95
    log_c = widened(level - slope * middle, levels - slopes * middle, wider)
    return PowerLaw(widened(slope, slopes, wider), exponential_of(log_c), reason)


def iso_flop(budget: Values, choice: Values, loss: Values, seed: int = 0) -> IsoFlop:
    """The power law of the best choice (of loops, tokens, width) by compute budget, from runs: three arrays (n,).

    For each budget a parabola in log(choice) goes through the losses of its runs, of any number of seeds; its lowest
    point is the best choice (approach 2 of Hoffmann et al. 2022). A budget is left out, with the reason, where it has
    fewer than 4 runs or 3 choices, where the parabola is not surely open upwards (one-sided t, 5%), or where its
    minimum is outside the choices tried. With fewer than 4 budgets left there is no law, and the reason says so.

    Intervals: what each parabola leaves is drawn again 4000 times, which moves minima and exponent; they are widened as
    Student's t is for so few runs (Welch and Satterthwaite). Where minima scatter about the line by more than that
    explains, the scatter itself sets the interval, as in `power_law`. ValueError for values that are not positive.
    """
    budgets, choices, losses = checked(budget=budget, choice=choice, loss=loss)
    rng = np.random.default_rng(seed)
    minima, kept = [], []
    for value in np.unique(budgets):
        mine = budgets == value
        found = lowest(np.log(choices[mine]), losses[mine], rng)
        if isinstance(found, str):
            minima.append(Minimum(float(value), None, found))
            continue
        best, moved, freedom = found
        estimate = exponential_of(widened(best, moved, float(stdtrit(freedom, 0.975)) / Z95))
        minima.append(Minimum(float(value), estimate, ""))
        kept.append((float(np.log(value)), best, moved, freedom))
    if len(kept) < LEAST_BUDGETS:
        reason = f"{len(kept)} of {len(minima)} budgets have a minimum, a power law needs at least {LEAST_BUDGETS}"
        return IsoFlop(tuple(minima), None, reason)
    x, y = np.array([k[0] for k in kept]), np.array([k[1] for k in kept])
    moves = np.array([k[2] for k in kept])
    (level, slope), scatter = line(x, y)
    weights = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    slopes, levels = weights @ moves, moves.mean(0)
    moved = ((moves - levels - np.outer(x - x.mean(), slopes)) ** 2).sum(0)
    if float((moved >= scatter).mean()) < POOL:
        return IsoFlop(tuple(minima), power_law(np.exp(x), np.exp(y), seed), "")
    parts = weights**2 * moves.var(1)
    together = float(parts.sum() ** 2 / (parts**2 / np.array([k[3] for k in kept])).sum())
    wider = float(stdtrit(together, 0.975)) / Z95
    log_c = widened(level - slope * float(x.mean()), levels - slopes * x.mean(), wider)
    law = PowerLaw(widened(slope, slopes, wider), exponential_of(log_c), "each run counts as one")
    return IsoFlop(tuple(minima), law, "")


def lowest(x: np.ndarray, loss: np.ndarray, rng: np.random.Generator) -> tuple[float, np.ndarray, int] | str:
    """Where a parabola through losses (n,) is lowest, how drawn losses move that (DRAWS,), and the degrees of freedom.

    Or the reason why there is no such place. Draws whose minimum leaves the range of x (n,) stop at its ends.
    """
    freedom, tried = len(x) - 3, len(np.unique(x))
    if tried < 3 or len(x) < LEAST_RUNS:
        return f"{len(x)} runs at {tried} choices, at least {LEAST_RUNS} runs at 3 are needed"
    middle = x.mean()
    basis = np.vander(x - middle, 3)
    inverse = np.linalg.pinv(basis)
    bend, tilt, _ = weights = inverse @ loss
    left = loss - basis @ weights
    error = float(np.sqrt((left @ left) / freedom * (inverse[0] @ inverse[0])))
    if bend <= float(stdtrit(freedom, 0.95)) * error:
        return f"no minimum: the parabola's curvature {bend:.3g} is not surely above 0 (standard error {error:.3g})"
    best = float(-tilt / (2 * bend))
    if not x.min() - middle <= best <= x.max() - middle:
        lowest_choice, *ends = (f"{np.exp(place):.3g}" for place in (best + middle, x.min(), x.max()))
        return f"minimum at {lowest_choice}, outside the choices tried, {ends[0]} to {ends[1]}"
    left = left / np.sqrt(np.maximum(1 - np.einsum("ij,ji->i", basis, inverse), 1e-12))
    drawn = weights[:, None] + inverse @ rng.choice(left - left.mean(), (len(x), DRAWS))
    with np.errstate(divide="ignore", invalid="ignore"):
        at = np.where(drawn[0] > 0, -drawn[1] / (2 * drawn[0]), -np.sign(drawn[1]) * np.inf)
    return best + float(middle), np.clip(at, x.min() - middle, x.max() - middle) - best, freedom


def line(x: np.ndarray, y: np.ndarray) -> tuple[tuple[float, float], float]:
    """Least squares of y (n,) on x (n,): the level at the mean of x and the slope, and the sum of squares left."""
    apart = x - x.mean()
    level, slope = float(y.mean()), float(apart @ y / (apart @ apart))
    return (level, slope), float(((y - level - slope * apart) ** 2).sum())


def widened(centre: float, moves: np.ndarray, wider: float) -> Estimate:
    """The middle 95% of bootstrap moves (DRAWS,) about a figure, made wider."""
    low, high = np.quantile(moves, (0.025, 0.975)) * wider
    return Estimate(float(centre), float(centre + low), float(centre + high))


def exponential_of(logs: Estimate) -> Estimate:
    with np.errstate(over="ignore"):
        return Estimate(*(float(np.exp(log)) for log in logs))
