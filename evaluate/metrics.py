"""What the counts mean: the headline figures. Counts in, numbers out; needs no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def depth95(accuracy: Mapping[int, float]) -> int:
    """The deepest d with accuracy of at least 95% at every tested depth up to d; 0 if there is none."""
    reached = 0
    for depth in sorted(accuracy):
        if accuracy[depth] < 0.95:
            break
        reached = depth
    return reached


def loops_enough(accuracy: Mapping[int, float]) -> int:
    """The fewest loops whose accuracy is within half a point of the best, for a mapping of loops to accuracy."""
    best = max(accuracy.values())
    return min(loops for loops, share in accuracy.items() if share >= best - 0.005)


def overthinking(accuracy: Mapping[int, float]) -> float | None:
    """What is lost at four times the loops that were enough, or the next more that were asked for: the best minus that.

    None where so many were not asked for.
    """
    enough = loops_enough(accuracy)
    later = [loops for loops in accuracy if loops >= 4 * enough]
    return max(accuracy.values()) - accuracy[min(later)] if later else None


def halting_cost(used: float, share: float, fixed: Mapping[int, float]) -> float | None:
    """Loops that a rule used, over the fewest that reach its accuracy within half a point; None where none do."""
    enough = [loops for loops, reached in fixed.items() if reached >= share - 0.005]
    return used / max(1, min(enough)) if enough else None


def corrected(share: float, floor: float) -> float:
    """Accuracy with what needs no reasoning taken out: 0 for a guesser or a shortcut of accuracy `floor`, 1 for all."""
    return (share - floor) / (1 - floor) if floor < 1 else 0.0


def interquartile_mean(values: Sequence[float]) -> float:
    """The mean of the middle half; values on its border count in part (Agarwal et al. 2021 for reinforcement learning).

    Outliers do not move it, and it needs fewer seeds than the median to stand still.
    """
    ordered, quarter = sorted(values), len(values) / 4
    weights = [max(0.0, min(i + 1, len(ordered) - quarter) - max(i, quarter)) for i in range(len(ordered))]
    return sum(w * v for w, v in zip(weights, ordered, strict=True)) / sum(weights)
