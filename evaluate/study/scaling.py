"""Which law do losses follow? Loss by loops, and the best choice by compute, each figure with its 95% interval.

Parcae (2604.12946) finds the loss at T loops to be L_inf + Z exp(-z T), and the best recurrence and the best number of
tokens to grow as compute to the powers 0.40 and 0.78. `saturating` asks whether the first is what one's own losses say,
or whether a power law or a step says it as well; `iso_flop` and `power_law` measure such exponents. Where the data do
not settle it, the answer is a reason and no figure. Noise is taken to be independent from one measurement to the next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq, minimize_scalar
from scipy.special import fdtrc, fdtri, stdtrit

from evaluate.metrics import Z95
from evaluate.statistics import DRAWS

Values = Sequence[float] | np.ndarray
Design = Callable[[np.ndarray, np.ndarray], np.ndarray]

LAWS = ("exponential", "power", "step")
SIMULATED = 500
"""Simulated tables for each rival law, so that chance is told to 1 of 500."""
LEVEL = 0.02
"""A law is named where chance is below this. At 0.05, simulated exponentials were called another law up to 15 times of
100, as simulating from a fit in place of the truth overstates what is known; at 0.02 at most 4 times."""
POOL = 0.5
"""Runs count one by one unless scatter between budgets is above its median. With errors both of runs and of budgets,
intervals then hold the truth 94 to 96 times of 100; at 0.25, the usual level (Bancroft 1964), 92 times (simulated)."""
ROUNDING = 1e-13
"""Of the sum of squared losses: a relative error of 3e-7, about that of float32."""
GRID = 300
"""Rates tried, a few percent apart; a fit is refined between them."""
LEAST_LOOPS, LEAST_BUDGETS, LEAST_RUNS = 5, 4, 4


class Estimate(NamedTuple):
    """A figure and the ends of its 95% interval; an end is 0 or inf where the data set none."""

    value: float
    low: float
    high: float


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


def curve_fit(name: str, loops: np.ndarray, loss: np.ndarray, error: float) -> Law:
    """The exponential or the power law: the same curve exp(-rate u), of u = T or of u = log T."""
    clock = loops if name == "exponential" else np.log(loops)
    first = float(clock.min())

    def rss(log_rate: float) -> float:
        return float(linear(np.exp(-np.exp(log_rate) * (clock - first))[None], loss[None])[2][0, 0])

    grid = np.log(rates(clock))
    on_grid = linear(np.exp(-np.outer(np.exp(grid), clock - first)), loss[None])[2][0]
    at = int(on_grid.argmin())
    around = (grid[max(at - 1, 0)], grid[min(at + 1, GRID - 1)])
    found = minimize_scalar(rss, bounds=around, method="bounded", options={"xatol": 1e-10})
    top, least = (float(found.x), float(found.fun)) if found.fun < on_grid[at] else (float(grid[at]), on_grid[at])
    allowed = allowance(least, loss)
    inside = np.flatnonzero(on_grid <= allowed)
    left, right = (int(inside[0]), int(inside[-1])) if len(inside) else (GRID, -1)
    start, end = (
        min(float(grid[left]) if left < GRID else top, top),
        max(float(grid[right]) if right >= 0 else top, top),
    )
    lower, upper = grid[grid < start], grid[grid > end]
    low = brentq(lambda r: rss(r) - allowed, lower[-1], start) if len(lower) else -np.inf
    high = brentq(lambda r: rss(r) - allowed, end, upper[0]) if len(upper) else np.inf

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


def checked(**named: Values) -> list[np.ndarray]:
    """Arrays (n,) of one length, finite and above 0; ValueError names the first that is not."""
    arrays = {name: np.asarray(values, float) for name, values in named.items()}
    length = len(np.atleast_1d(next(iter(arrays.values()))))
    for name, array in arrays.items():
        if array.ndim != 1 or len(array) != length:
            raise ValueError(f"{name}: shape {array.shape}, must be ({length},) as {next(iter(arrays))} is")
        wrong = array[~(np.isfinite(array) & (array > 0))]
        if len(wrong):
            raise ValueError(f"{name}: {wrong[0]:g}, must be a finite number above 0")
    if not length:
        raise ValueError(f"{next(iter(arrays))}: no values, at least one is needed")
    return list(arrays.values())


def enough_counts(loops: np.ndarray) -> None:
    if (counts := len(np.unique(loops))) < LEAST_LOOPS:
        raise ValueError(f"loops: {counts} different counts, at least {LEAST_LOOPS} are needed")
