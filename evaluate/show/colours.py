"""Colours of plots and reports: told apart by the colour-blind, and in grey by their lightness, marks and dashes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

CIVIDIS = (
    (0, 34, 78), (18, 53, 112), (59, 73, 108), (87, 93, 109), (112, 113, 115), (138, 134, 120), (165, 156, 116),
    (195, 179, 105), (225, 204, 85), (254, 232, 56),
)  # fmt: skip
"""Cividis (Nunez, Anderton and Renslow 2018) in nine steps: its lightness rises evenly."""

LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#6B6B6B", "#56B4E9")
"""Okabe and Ito's palette (2008), without black, which a dark page hides, and yellow, which a light one does; a grey
that is darker than the shade of what was trained on."""

MARKS = ("o", "s", "^", "D", "v", "P", "X")  # of matplotlib, in the order of LINES
DASHES = ("", "6 3", "2 3", "8 3 2 3", "10 4", "4 2", "1 2")  # of SVG
SUITE = ("rdt", "looped_normed", "gru", "transformer_deep", "transformer_rope", "looped", "transformer")
"""The suite's models, each with the look of its place here, in every picture."""


class Look(NamedTuple):
    colour: str
    mark: str
    dash: str


def look(place: int) -> Look:
    """When the colours begin again, they come with other marks."""
    again = place + place // len(LINES)
    return Look(LINES[place % len(LINES)], MARKS[again % len(MARKS)], DASHES[again % len(DASHES)])


def looks(models: Sequence[str]) -> dict[str, int]:
    """The place of each model's look, in the order of `models`: the suite's own are fixed, and others take by their
    names what these leave free."""
    places = {model: SUITE.index(model) for model in models if model in SUITE}
    free = (place for place in itertools.count() if place not in places.values())
    others = dict(zip(sorted(set(models) - set(SUITE)), free, strict=False))
    return {model: places[model] if model in places else others[model] for model in models}


def heat(share: float) -> str:
    """The colour of an accuracy from 0 to 1."""
    place = min(max(share, 0.0), 1.0) * (len(CIVIDIS) - 1)
    low = min(int(place), len(CIVIDIS) - 2)
    mixed = (a + (b - a) * (place - low) for a, b in zip(CIVIDIS[low], CIVIDIS[low + 1], strict=True))
    return "#" + "".join(f"{round(part):02x}" for part in mixed)


def ink(share: float) -> str:
    """What can be read on `heat(share)`."""
    return "#ffffff" if share < 0.47 else "#000000"
