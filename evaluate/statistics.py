"""What a difference is worth: intervals and tests over many cells at once. Arrays in, arrays out.

Two kinds of chance are kept apart. *Over questions*: would other questions give these trained models another result?
*Over seeds*: would training again? The first narrows with the number of questions, the second with that of seeds.
Nothing here draws on scipy.stats, whose import takes longer than a table; the tests hold it to scipy and statsmodels.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

Z95 = 1.959963984540054  # two-sided 95% point of the normal distribution
DRAWS = 4000
"""Bootstrap draws: the ends of a 95% interval then move by about a fiftieth of its width from seed to seed."""


def wilson_many(correct: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's 95% interval (Wilson 1927) of each cell; counts may be effective ones, and nan where nothing is."""
    with np.errstate(invalid="ignore", divide="ignore"):
        share, z2 = correct / count, Z95**2
        middle = (share + z2 / (2 * count)) / (1 + z2 / count)
        half = Z95 * np.sqrt(share * (1 - share) / count + z2 / (4 * count**2)) / (1 + z2 / count)
    return np.where(share > 0, np.clip(middle - half, 0, 1), share), np.where(
        share < 1, np.clip(middle + half, 0, 1), share
    )


def wilson(correct: int, count: int) -> tuple[float, float]:
    """The same of one cell, both ends between 0 and 1."""
    if not 0 <= correct <= count or count < 1:
        raise ValueError(f"correct {correct} of {count}: allowed is 0 to count, and a count of 1 or more")
    low, high = wilson_many(np.array(correct), np.array(count))
    return float(low), float(high)


def effective_count(right: np.ndarray) -> float:
    """How many independent questions the answers of several seeds (seeds, questions) to the same ones are worth.

    Seeds that fail on the same questions know no more than one seed does (the design effect of Kish 1965). At least
    the number of questions, at most that of answers; where all answers are alike nothing tells, and the least holds.
    """
    seeds, questions = right.shape
    by_question = right.mean(0)
    share = float(by_question.mean())
    if questions < 2 or share in (0.0, 1.0):
        return float(questions)
    variance = float(by_question.var(ddof=1)) / questions
    most = float(seeds * questions)
    return most if variance == 0 else min(max(share * (1 - share) / variance, float(questions)), most)


def mcnemar(only_first: np.ndarray, only_second: np.ndarray) -> np.ndarray:
    """Two-sided exact p of McNemar's test (McNemar 1947): questions that only one of the two answered right."""
    from scipy.special import bdtr

    first, second = (np.round(only).astype(np.int64) for only in (only_first, only_second))
    less = np.minimum(first, second).astype(float)
    return np.asarray(np.minimum(1.0, 2 * bdtr(less, first + second, 0.5)))


def by_question(total: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Two-sided p that two models answer the same questions equally well, each over several seeds.

    A question's difference is the share of seeds that answered it right, first minus second: `total` is their sum,
    `squares` that of their squares. With one seed this is McNemar's statistic (b - c) / sqrt(b + c); the seeds of one
    question are one observation and no more, as in Durkalski et al. 2003.
    """
    from scipy.special import ndtr

    with np.errstate(invalid="ignore", divide="ignore"):
        z = np.where(squares > 0, total / np.sqrt(squares), 0.0)
    return np.asarray(2 * ndtr(-np.abs(z)))


def paired_interval(total: np.ndarray, squares: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """95% interval of the mean difference on the same questions, from the sums that `by_question` takes.

    With one seed, Bonett and Price 2012: two questions are added, one for either side, so that it never has no width.
    """
    mean = total / (count + 2)
    half = Z95 * np.sqrt(((squares + 2) / (count + 2) - mean**2) / (count + 2))
    return np.clip(mean - half, -1, 1), np.clip(mean + half, -1, 1)


def two_shares(c1: np.ndarray, n1: np.ndarray, c2: np.ndarray, n2: np.ndarray) -> np.ndarray:
    """Two-sided exact p that two shares of unrelated questions are one (Fisher 1935); effective counts are rounded. A
    normal approximation calls 9 of 10 and 128 of 128 different (p < 0.001, exactly 0.07). nan where nothing was asked.
    """
    parts = np.broadcast_arrays(c1, n1, c2, n2)
    p = np.full(parts[0].shape, np.nan)
    for place in np.ndindex(p.shape):
        held = [float(part[place]) for part in parts]
        if held[1] > 0 and held[3] > 0:
            p[place] = _fisher(*(round(value) for value in held))
    return p


def _fisher(c1: int, n1: int, c2: int, n2: int) -> float:
    """The chance of a table as unlikely as this one, or less likely, with the same sums."""
    from scipy.special import gammaln

    def ways(n: int, k: np.ndarray) -> np.ndarray:
        return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))

    right = c1 + c2
    first = np.arange(max(0, right - n2), min(right, n1) + 1)
    chance = np.exp(ways(n1, first) + ways(n2, right - first) - ways(n1 + n2, np.array(right)))
    return min(1.0, float(chance[chance <= chance[c1 - first[0]] * (1 + 1e-7)].sum()))


def newcombe(c1: np.ndarray, n1: np.ndarray, c2: np.ndarray, n2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """95% interval of the difference of two shares of unrelated questions (Newcombe 1998, method 10)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        p1, p2 = c1 / n1, c2 / n2
    (low1, high1), (low2, high2) = wilson_many(c1, n1), wilson_many(c2, n2)
    low = p1 - p2 - np.sqrt((p1 - low1) ** 2 + (high2 - p2) ** 2)
    return low, p1 - p2 + np.sqrt((high1 - p1) ** 2 + (p2 - low2) ** 2)


def over_seeds(
    first: np.ndarray, second: np.ndarray, asked: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """95% interval of the difference of two mean shares over seeds (seeds, cells), and its two-sided p: Welch 1947.

    asked: the questions of each. nan marks a seed that has no such cell; with fewer than two seeds a side the result is
    nan too. Seeds that all have the same share may have it by chance: they vary as much as its questions would.
    Student's t and no bootstrap: resampling five seeds gives "95%" intervals that hold the truth 83 times of 100, three
    seeds 73 times.
    """
    from scipy.special import stdtr, stdtrit

    n1, n2 = (~np.isnan(first)).sum(0), (~np.isnan(second)).sum(0)
    enough = (n1 > 1) & (n2 > 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean1, mean2 = np.nansum(first, 0) / n1, np.nansum(second, 0) / n2
        v1 = _spread(first, mean1, asked[0]) / n1
        v2 = _spread(second, mean2, asked[1]) / n2
        freedom = (v1 + v2) ** 2 / (v1**2 / (n1 - 1) + v2**2 / (n2 - 1))
        difference, error = mean1 - mean2, np.sqrt(v1 + v2)
        t = np.where(difference == 0, 0.0, np.abs(difference) / error)
        half = np.where(enough, stdtrit(np.where(enough, freedom, 1.0), 0.975) * error, np.nan)
        p = np.where(enough, 2 * stdtr(np.where(enough, freedom, 1.0), -t), np.nan)
    return np.clip(difference - half, -1, 1), np.clip(difference + half, -1, 1), p


def _spread(shares: np.ndarray, mean: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """The variance (cells,) of shares (seeds, cells); of seeds that are all alike, that of one share over questions."""
    seeds = (~np.isnan(shares)).sum(0)
    variance = np.nansum((shares - mean) ** 2, 0) / (seeds - 1)
    questions = np.nansum(np.where(np.isnan(shares), np.nan, asked), 0) / seeds
    share = (mean * questions + 1) / (questions + 2)  # never 0 or 1
    return np.asarray(np.where(variance > 1e-12, variance, share * (1 - share) / questions))


def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """The false discovery rate at which each would be called (Benjamini and Hochberg 1995); nan is no test."""
    adjusted = np.full(p.shape, np.nan)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p.flat[tested])]
    scaled = p.flat[order] * len(order) / np.arange(1, len(order) + 1)
    adjusted.flat[order] = np.minimum(1.0, np.minimum.accumulate(scaled[::-1])[::-1])
    return adjusted


class Reached(NamedTuple):
    """How deep a model goes in each task of the suite."""

    ratios: list[np.ndarray]  # (seeds,) of each task: depth95 over the deepest trained depth
    draws: list[np.ndarray | None]  # (seeds, DRAWS) by what accuracies may truly be, or None: seeds tell


def suite_score(reached: Reached, most: list[float], rng: np.random.Generator) -> tuple[float, float, float]:
    """The suite score of what a model reached, with a 95% bootstrap interval.

    most: the ratio of the deepest depth that was asked, which none of a task's can pass.

    The score is the geometric mean, over seeds and then over tasks, of 1 + ratio, less 1. Without the shift one run
    that failed, a ratio of 0, would make the whole score 0; and the mean of logarithms is unbiased, where the
    logarithm of a mean over few seeds is not (its interval held the truth 49 times of 100, over 14 tasks and 5 seeds).
    """
    centre, total, variances = _log_sum(reached, rng)
    low, high = _around(centre, total, variances)
    high = min(high, float(np.log1p(most).sum()))
    score, low, high = (float(np.expm1(log / len(reached.ratios))) for log in (centre, low, high))
    return score, max(0.0, low), high


def suite_lead(
    first: Reached, second: Reached, most: list[float], rng: np.random.Generator
) -> tuple[float, float, float]:
    """How many times 1 + the second's suite score 1 + the first's is, on the same tasks, with a 95% interval.

    It ends where one has reached nothing and the other all that was asked, `most`, as of `suite_score`.

    Two intervals that overlap do not say that a difference may be chance; one of the difference does. The two are drawn
    apart: what is common to them, as their questions are, is not taken out, so that it is wide rather than narrow.
    """
    parts = [_log_sum(one, rng) for one in (first, second)]
    centre, total = parts[0][0] - parts[1][0], parts[0][1] - parts[1][1]
    far = float(np.log1p(most).sum())
    low, high = np.clip(_around(centre, total, parts[0][2] + parts[1][2]), -far, far)
    lead, low, high = (float(np.exp(log / len(first.ratios))) for log in (centre, low, high))
    return lead, low, high


def _log_sum(reached: Reached, rng: np.random.Generator) -> tuple[float, np.ndarray, list[tuple[float, float]]]:
    """The sum over tasks of the mean over seeds of log(1 + ratio), draws of it (DRAWS,), and each task's part of its
    variance with the degrees of freedom by which that is known.

    Seeds are drawn again within each task, all but one with replacement, so that the draws are as spread as the mean
    is (Rao and Wu 1988). What one seed, or seeds that are all alike, would reach by their true accuracies is drawn from
    `draws`, a spread that is known. How far another seed might go than a task's only one is known from the tasks that
    have several: it is taken to vary as theirs do within a task, in the mean (a pooled variance).
    """
    total, centre = np.zeros(DRAWS), 0.0
    variances: list[tuple[float, float]] = []
    several = [np.log1p(values) for values in reached.ratios if len(values) > 1]
    freedom = sum(len(logs) - 1 for logs in several)
    if freedom and (only := len(reached.ratios) - len(several)):
        pooled = only * sum(float(((logs - logs.mean()) ** 2).sum()) for logs in several) / freedom
        total = np.sqrt(pooled) * rng.standard_normal(DRAWS)
        variances.append((pooled, freedom))
    for values, other in zip(reached.ratios, reached.draws, strict=True):
        logs, seeds = np.log1p(values), len(values)
        centre += float(logs.mean())
        if other is not None:
            drawn = np.log1p(other).mean(0)
            total += drawn
            variances.append((float(drawn.var()), np.inf))
        elif seeds > 1:
            total += logs[rng.integers(seeds, size=(seeds - 1, DRAWS))].mean(0)
            variances.append((float(logs.var(ddof=1)) / seeds, seeds - 1))
        else:
            total += logs[0]
    return centre, total, variances


def _around(centre: float, total: np.ndarray, variances: list[tuple[float, float]]) -> tuple[float, float]:
    """The middle 95% of draws, which holds the centre, widened as Student's t is for few (Welch and Satterthwaite)."""
    from scipy.special import stdtrit

    spread = sum(v for v, _ in variances)
    few = sum(v**2 / n for v, n in variances)
    wider = float(stdtrit(spread**2 / few, 0.975)) / Z95 if few > 0 else 1.0
    low, high = np.quantile(total, (0.025, 0.975))
    return centre - max(0.0, centre - low) * wider, centre + max(0.0, high - centre) * wider


def drawn_depth95(depths: np.ndarray, correct: np.ndarray, count: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draws of one run's depth95 by what its true accuracies may be, given its answers: Jeffreys' Beta (depths,)."""
    shares = rng.beta(correct[:, None] + 0.5, (count - correct)[:, None] + 0.5, size=(len(depths), DRAWS))
    reached = (shares >= 0.95).cumprod(0).sum(0)
    return np.asarray(np.concatenate([[0], depths])[reached])


def between(draws: np.ndarray) -> tuple[float, float]:
    """The middle 95% of draws."""
    low, high = np.quantile(draws, (0.025, 0.975))
    return float(low), float(high)
