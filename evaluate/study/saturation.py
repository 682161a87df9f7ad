"""Which law does the loss follow as loops grow: an exponential, a power law, or a step? Or can nobody tell?

Parcae (2604.12946) finds the loss at T loops to be L_inf + Z exp(-z T). `saturating` asks whether that is what one's
own losses say, or whether a power law or a step says it as well. Where the data do not settle it, the answer is a
reason and no law. Noise is taken to be independent from one measurement to the next.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq, minimize_scalar
from scipy.special import fdtri

from evaluate.study.estimates import Estimate, Values, checked

Design = Callable[[np.ndarray, np.ndarray], np.ndarray]

LAWS = ("exponential", "power", "step")
SIMULATED = 500
"""Simulated tables for each rival law, so that chance is told to 1 of 500."""
LEVEL = 0.02
"""A law is named where chance is below this. At 0.05, simulated exponentials were called another law up to 15 times of
100, as simulating from a fit in place of the truth overstates what is known; at 0.02 at most 4 times."""
ROUNDING = 1e-13
"""Of the sum of squared losses: a relative error of 3e-7, about that of float32."""
GRID = 300
"""Rates tried, a few percent apart; a fit is refined between them."""
LEAST_LOOPS = 5


class Law(NamedTuple):
    """A law of loss by loops T, fitted by least squares.

    exponential: limit + scale exp(-rate T); power: limit + scale T^-rate; step: limit + scale up to T = rate and limit
    after it. The step's rate is the geometric middle of the two loop counts between which it lies, its interval theirs.
    """

    name: str
    limit: Estimate
    scale: Estimate
    rate: Estimate
    held_out: float
    """Mean absolute error, in the loss's units, at loop counts that the fit has not seen."""


class Saturation(NamedTuple):
    """The three laws in the order of LAWS, the name of the one that holds, or None, and why."""

    laws: tuple[Law, ...]
    best: str | None
    reason: str


def saturating(loops: Values, loss: Values, seed: int = 0) -> Saturation:
    """Which of three laws do losses (n,) at loop counts (n,) follow? At least 5 different counts, each maybe repeated.

    A law is named that has the least held-out error and that neither other law, were it true, would let fit so much
    better than itself: the ratio of their sums of squares is as large in under 2% of 500 tables simulated from the
    other's fit (the parametric bootstrap of Wagenmakers et al. 2004; all three laws have three parameters). Held-out
    errors alone would not do: few counts, each error of another size, and a step is bound to be far off at its edge.
    When noise covers the differences, none is named. Were losses to follow none of the three, the nearest would be:
    look at its held-out error. Several seeds' curves are to be fitted one by one, as a seed's losses are too high or
    too low together. ValueError for too few counts and for values that are not positive.
    """
    ticks, losses = checked(loops=loops, loss=loss)
    enough_counts(ticks)
    fits = [fit(name, ticks, losses) for name in LAWS]
    left = {name: float(misfit(name, ticks, losses[None])[0]) for name in LAWS}
    best = min(LAWS, key=left.__getitem__)
    rng, said = np.random.default_rng(seed), []
    for other in LAWS:
        if other == best:
            continue
        centre, spread = simulated_from(other, ticks, losses)
        tables = centre + spread * rng.standard_normal((SIMULATED, len(ticks)))
        ratio = misfit(other, ticks, tables) / misfit(best, ticks, tables)
        larger = int((ratio >= left[other] / left[best]).sum())
        said.append(((1 + larger) / (1 + SIMULATED), other))
    chance, rival = max(said)
    told = ", ".join(f"{law.name} {law.held_out:.3g}" for law in fits)
    reason = (
        f"were {rival} true, {best} would fit so much better with a chance of {chance:.2g}; held-out errors: {told}"
    )
    ahead = min(fits, key=lambda law: law.held_out).name
    if chance >= LEVEL:
        return Saturation(tuple(fits), None, f"cannot tell apart {best} and {rival}: {reason}")
    if ahead != best:
        return Saturation(tuple(fits), None, f"cannot tell apart {best}, which fits best, and {ahead}: {reason}")
    return Saturation(tuple(fits), best, reason)


def fit(name: str, loops: Values, loss: Values) -> Law:
    """One law by name, fitted to losses (n,) at loop counts (n,), with its intervals and held-out error.

    For a fixed rate the rest is linear, so that the best fit is found over a grid of rates and then refined. Intervals
    are those of the likelihood ratio, with F quantiles for few points (Bates and Watts 1988, chapter 6): they bend as
    the law does, and stay open where a rate is beyond what these loop counts can show.
    """
    if name not in LAWS:
        raise ValueError(f"law {name!r}: no such law, one of {', '.join(LAWS)}")
    ticks, losses = checked(loops=loops, loss=loss)
    enough_counts(ticks)
    error = float(held_out(name, ticks, losses[None])[0])
    return step_fit(ticks, losses, error) if name == "step" else curve_fit(name, ticks, losses, error)


def enough_counts(loops: np.ndarray) -> None:
    if (counts := len(np.unique(loops))) < LEAST_LOOPS:
        raise ValueError(f"loops: {counts} different counts, at least {LEAST_LOOPS} are needed")


def curve_fit(name: str, loops: np.ndarray, loss: np.ndarray, error: float) -> Law:
    """The exponential or the power law: the same curve exp(-rate u), of u = T or of u = log T."""
    clock = loops if name == "exponential" else np.log(loops)
    first = float(clock.min())

    def rss(log_rate: np.ndarray) -> np.ndarray:
        """Sums of squares (n,) of the best curves of these rates (n,)."""
        squares: np.ndarray = linear(np.exp(-np.outer(np.exp(log_rate), clock - first)), loss[None])[2][0]
        return squares

    grid = np.log(rates(clock))
    on_grid = rss(grid)
    top, least = best_rate(rss, grid, on_grid)
    allowed = allowance(least, loss)
    low, high = ends_of_rate(rss, grid, on_grid, top, allowed)

    between = np.append(np.exp(np.linspace(max(low, grid[0]), min(high, grid[-1]), 4 * GRID)), np.exp(top))
    basis = np.exp(-np.outer(between, clock - first))
    limits = widest(basis, loss, allowed)
    with np.errstate(divide="ignore"):
        sizes = np.log(widest(basis, loss, allowed, of_slope=True)) + between * first
    intercept, slope, _ = (float(part[0, -1]) for part in linear(basis, loss[None]))
    scale_high = float(np.exp(min(np.nanmax(sizes), 700.0))) if np.isfinite(high) else np.inf
    return Law(
        name,
        Estimate(intercept, float(np.nanmin(limits)), float(np.nanmax(limits))),
        Estimate(slope * float(np.exp(min(np.exp(top) * first, 700.0))), float(np.exp(np.nanmin(sizes))), scale_high),
        Estimate(float(np.exp(top)), float(np.exp(low)), float(np.exp(high))),
        error,
    )


def best_rate(rss: Callable[[np.ndarray], np.ndarray], grid: np.ndarray, on_grid: np.ndarray) -> tuple[float, float]:
    """The logarithm of the rate with the least sum of squares, and that: the grid's best, refined between its
    neighbours."""
    at = int(on_grid.argmin())
    around = (grid[max(at - 1, 0)], grid[min(at + 1, GRID - 1)])
    found = minimize_scalar(
        lambda rate: float(rss(np.array([rate]))[0]), bounds=around, method="bounded", options={"xatol": 1e-10}
    )
    return (float(found.x), float(found.fun)) if found.fun < on_grid[at] else (float(grid[at]), float(on_grid[at]))


def ends_of_rate(
    rss: Callable[[np.ndarray], np.ndarray], grid: np.ndarray, on_grid: np.ndarray, top: float, allowed: float
) -> tuple[float, float]:
    """Between which logarithms of rates, `top` among them, the sum of squares is within what is allowed; an end that
    lies beyond the grid is infinite."""
    inside = np.append(grid[on_grid <= allowed], top)
    start, end = float(inside.min()), float(inside.max())
    lower, upper = grid[grid < start], grid[grid > end]

    def over(rate: float) -> float:
        return float(rss(np.array([rate]))[0]) - allowed

    low = brentq(over, lower[-1], start) if len(lower) else -np.inf
    high = brentq(over, end, upper[0]) if len(upper) else np.inf
    return low, high


def step_fit(loops: np.ndarray, loss: np.ndarray, error: float) -> Law:
    counts = np.unique(loops)
    basis = (loops <= counts[:-1, None]).astype(float)
    intercept, slope, rss = (part[0] for part in linear(basis, loss[None]))
    at, allowed = int(rss.argmin()), allowance(float(rss.min()), loss)
    limits, sizes = widest(basis, loss, allowed), widest(basis, loss, allowed, of_slope=True)
    inside = np.flatnonzero(rss <= allowed)
    return Law(
        "step",
        Estimate(float(intercept[at]), float(np.nanmin(limits)), float(np.nanmax(limits))),
        Estimate(float(slope[at]), float(np.nanmin(sizes)), float(np.nanmax(sizes))),
        Estimate(float(np.sqrt(counts[at] * counts[at + 1])), float(counts[inside[0]]), float(counts[inside[-1] + 1])),
        error,
    )


def allowance(least: float, loss: np.ndarray) -> float:
    """The sum of squares that a 95% interval of one parameter of three allows, and float32's rounding at least."""
    freedom = len(loss) - 3
    return least * (1 + float(fdtri(1, freedom, 0.95)) / freedom) + ROUNDING * float(loss @ loss)


def widest(basis: np.ndarray, loss: np.ndarray, allowed: float, of_slope: bool = False) -> np.ndarray:
    """Least and greatest limit (or slope), at least 0, for each basis (rates, n) within the allowed sum of squares.

    With the basis fixed, the sum of squares is a parabola in either, the other being refitted. nan where none is.
    """
    mean, total = basis.mean(1), (basis**2).sum(1)
    about = np.maximum(((basis - mean[:, None]) ** 2).sum(1), 1e-300)
    slope = (basis - mean[:, None]) @ loss / about
    intercept = loss.mean() - slope * mean
    rss = ((loss - intercept[:, None] - slope[:, None] * basis) ** 2).sum(1)
    value, curvature = (slope, about) if of_slope else (intercept, len(loss) * about / total)
    room = np.where(rss <= allowed, allowed - rss, np.nan)
    with np.errstate(invalid="ignore"):
        half = np.sqrt(room / curvature)
    return np.asarray(np.maximum(np.array([value - half, value + half]), 0.0))


def linear(basis: np.ndarray, loss: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Least squares of tables of losses (tables, n) on each basis (rates, n): intercept, slope and sum of squares.

    All three are (tables, rates). Neither is negative: losses do not fall below 0, and more loops do not harm; with
    two parameters the bounded fit is the best of the free one and of those with one of them at 0.
    """
    mean, level = basis.mean(1), loss.mean(1, keepdims=True)
    about, apart = basis - mean[:, None], loss - level
    total = (apart**2).sum(1, keepdims=True)
    along = apart @ about.T
    slope = along / np.maximum((about**2).sum(1), 1e-300)
    intercept = level - slope * mean
    rss = total - slope * along
    flat = slope < 0
    slope, rss = np.where(flat, 0.0, slope), np.where(flat, total, rss)
    intercept = np.where(flat, level, intercept)
    through = intercept < 0
    if through.any():
        product, squares = loss @ basis.T, np.maximum((basis**2).sum(1), 1e-300)
        slope = np.where(through, product / squares, slope)
        rss = np.where(through, (loss**2).sum(1, keepdims=True) - product**2 / squares, rss)
        intercept = np.where(through, 0.0, intercept)
    return intercept, slope, np.maximum(rss, 0.0)


def rates(clock: np.ndarray) -> np.ndarray:
    """Rates (GRID,) that points of the clock (n,) can show: from a straight line to all gone by the second point."""
    points = np.unique(clock)
    return np.geomspace(0.02 / (points[-1] - points[0]), 20 / (points[1] - points[0]), GRID)


def curves(clock: np.ndarray, _: np.ndarray) -> np.ndarray:
    return np.asarray(np.exp(-np.outer(rates(clock), clock - clock.min())))


def steps(loops: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """A step in each gap between loop counts seen; inside the gap, where nothing tells its place, half a step."""
    counts = np.unique(loops[seen])
    before, after = loops <= counts[:-1, None], loops >= counts[1:, None]
    return np.asarray(np.where(before, 1.0, np.where(after, 0.0, 0.5)))


def design(name: str, loops: np.ndarray) -> tuple[np.ndarray, Design]:
    if name == "step":
        return loops, steps
    return (loops if name == "exponential" else np.log(loops)), curves


def held_out(name: str, loops: np.ndarray, losses: np.ndarray) -> np.ndarray:
    """Mean absolute error (tables,) of a law at loop counts left out of losses (tables, n), one count after another.

    A count goes with all its repeats, so that the law must fill the gap, and the last count asks for more loops than
    were seen. The first always stays, as nobody extrapolates to fewer loops. The mean is of absolute errors: a step is
    bound to be far off at its edge, even where it is true, and squares would be of little else.
    """
    clock, basis_of = design(name, loops)
    total = np.zeros(len(losses))
    counts = np.unique(loops)[1:]
    rows = np.arange(len(losses))
    for count in counts:
        out = loops == count
        basis = basis_of(clock, ~out)
        intercept, slope, rss = linear(basis[:, ~out], losses[:, ~out])
        best = rss.argmin(1)
        guess = intercept[rows, best, None] + slope[rows, best, None] * basis[best][:, out]
        total += np.abs(losses[:, out] - guess).mean(1)
    return total / len(counts)


def misfit(name: str, loops: np.ndarray, losses: np.ndarray) -> np.ndarray:
    """The least sum of squares (tables,) that a law leaves of losses (tables, n), and float32's rounding at least."""
    clock, basis_of = design(name, loops)
    rss = linear(basis_of(clock, np.ones(len(loops), bool)), losses)[2].min(1)
    return np.asarray(rss + ROUNDING * (losses**2).sum(1))


def simulated_from(name: str, loops: np.ndarray, loss: np.ndarray) -> tuple[np.ndarray, float]:
    """What a law's fit says (n,), and the standard deviation of what is left of losses (n,)."""
    clock, basis_of = design(name, loops)
    basis = basis_of(clock, np.ones(len(loops), bool))
    intercept, slope, rss = (part[0] for part in linear(basis, loss[None]))
    at = int(rss.argmin())
    return intercept[at] + slope[at] * basis[at], float(np.sqrt(rss[at] / (len(loops) - 3)))
