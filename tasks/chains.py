"""Rows of one length that hold several chains, for tasks whose rows else grow with depth (`terms`).

In such rows a deeper question stands in no longer row, and depth can be told from length.
"""

from __future__ import annotations

import numpy as np

ENDS = 1 / 5  # how often a chain ends after a token, where a row holds several


def beginnings(rng: np.random.Generator, depth: int, count: int, terms: int) -> np.ndarray:
    """Where chains begin, boolean (count, length): in rows of `terms` tokens one of `depth` steps, at a random place,
    and others before and behind it, none of them longer; with 0 terms that one alone, in rows as long as it is.

    A chain's first token is no step. The last chain may be cut short by the row's end.
    """
    begins = np.zeros((count, terms or depth + 1), dtype=bool)
    begins[:, 0] = True
    if not terms:
        return begins
    ends = rng.random(begins.shape) < ENDS
    along = np.arange(terms) - rng.integers(terms - depth, size=(count, 1))  # places from the long chain's first on
    run = np.zeros(count, dtype=np.int64)
    for place in range(1, terms):
        here = along[:, place]
        within = (here > 0) & (here <= depth)
        begins[:, place] = (here == 0) | (~within & (ends[:, place] | (run == depth)))
        run = np.where(begins[:, place], 0, run + 1)
    return begins


def since(begins: np.ndarray) -> np.ndarray:
    """Steps done at each place (count, length), counted from where its chain begins."""
    places = np.broadcast_to(np.arange(begins.shape[1]), begins.shape)
    return places - np.maximum.accumulate(np.where(begins, places, 0), axis=1)


def deepest_chain(tokens: np.ndarray, depths: np.ndarray) -> np.ndarray:
    """Of a row (length,) of several chains, the tokens of the deepest one, the last of these if there are several."""
    end = len(depths) - 1 - int(depths[::-1].argmax())
    return tokens[end - depths[end] : end + 1]


def first_in_row(tokens: np.ndarray, begins: np.ndarray) -> np.ndarray:
    """Where rows (count, length) of several chains do not ask what an earlier chain of the same row began with."""
    new = np.empty(tokens.shape, dtype=bool)
    for row, words, begin in zip(new, tokens.tolist(), begins, strict=True):
        seen: dict[tuple[int, int], int] = {}  # by number what chains began with: the beginning before, and a word more
        before = 0
        for place, word in enumerate(words):
            key = (0 if begin[place] else before, word)
            row[place] = key not in seen
            before = seen.setdefault(key, len(seen) + 1)
    return new
