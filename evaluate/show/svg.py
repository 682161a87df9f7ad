"""Figures as inline SVG: heatmaps, lines and ranges. 360 units wide, so that a phone shows them as they are.

Everything that can be read off carries its sentence in `data-t`, which the page shows under the finger.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from typing import NamedTuple

from evaluate.show.colours import look

WIDTH = 360.0


class Point(NamedTuple):
    """A place on a line, with the interval round it and what is told of it."""

    x: float
    y: float
    low: float
    high: float
    told: str


class Line(NamedTuple):
    name: str
    points: list[Point]
    look: int  # a place, as `colours.look` takes it


class Heat(NamedTuple):
    """A cell of a heatmap: its colour, that of its text, the text, and what is told of it."""

    fill: str
    ink: str
    text: str
    told: str


def tag(name: str, body: str = "", /, **attributes: object) -> str:
    """An element; attributes with _ for -, and class_ for class. Values are escaped, the body is not."""
    words = (f'{key.rstrip("_").replace("_", "-")}="{escape(_short(value))}"' for key, value in attributes.items())
    head = " ".join([name, *words])
    return f"<{head}>{body}</{name}>" if body or name not in ("rect", "line", "path", "circle") else f"<{head}/>"


def _short(value: object) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)


def canvas(parts: Sequence[str], height: float, label: str) -> str:
    return tag("svg", "".join(parts), viewBox=f"0 0 {WIDTH:g} {height:g}", role="img", aria_label=label)


def words(x: float, y: float, text: str, anchor: str = "middle", /, **more: object) -> str:
    return tag("text", escape(text), x=x, y=y, text_anchor=anchor, **more)


CROSS = ((1, -1), (1, 1), (-1, 1), (1, 1), (-1, 1), (-1, -1), (-1, 1), (-1, -1), (1, -1), (-1, -1), (1, -1))


def marker(place: int, x: float, y: float, size: float = 3.5, **more: object) -> str:
    """A dot of the line's shape, as matplotlib draws it."""
    s, t, u = size, size * 0.8, size * 0.6
    paths = {
        "o": f"M{x - s:.1f} {y:.1f}a{s} {s} 0 1 0 {2 * s} 0a{s} {s} 0 1 0 {-2 * s} 0z",
        "s": f"M{x - s:.1f} {y - s:.1f}h{2 * s}v{2 * s}h{-2 * s}z",
        "^": f"M{x:.1f} {y - s * 1.2:.1f}l{s * 1.2:.1f} {s * 2.2:.1f}h{-s * 2.4:.1f}z",
        "D": f"M{x:.1f} {y - s * 1.3:.1f}l{s * 1.3} {s * 1.3}l{-s * 1.3} {s * 1.3}l{-s * 1.3} {-s * 1.3}z",
        "v": f"M{x:.1f} {y + s * 1.2:.1f}l{s * 1.2:.1f} {-s * 2.2:.1f}h{-s * 2.4:.1f}z",
        "P": f"M{x - t / 2:.1f} {y - 1.5 * t:.1f}h{t}v{t}h{t}v{t}h{-t}v{t}h{-t}v{-t}h{-t}v{-t}h{t}z",
        "X": f"M{x:.1f} {y - u:.1f}" + "".join(f"l{u * a:.1f} {u * b:.1f}" for a, b in CROSS) + "z",
    }
    shown = look(place)
    return tag("path", d=paths[shown.mark], fill=shown.colour, **more)


def heatmap(
    cells: Sequence[Sequence[Heat | None]], rows: Sequence[str], columns: Sequence[str], names: tuple[str, str],
    trained: int, label: str,
) -> str:  # fmt: skip
    """Rows from the bottom up; the lowest `trained` of them stand under a dashed line. A missing cell is hatched."""
    left, top, height = 30.0, 6.0, 19.0 if len(rows) <= 16 else 300 / len(rows)
    wide = min(60.0, (WIDTH - left - 4) / max(1, len(columns)))
    right = left + wide * len(columns)
    bottom = top + height * len(rows)
    parts: list[str] = []
    for r, row in enumerate(cells):
        y = bottom - (r + 1) * height
        for c, cell in enumerate(row):
            box = {"x": left + c * wide, "y": y, "width": wide - 0.6, "height": height - 0.6}
            if cell is None:
                told = f"{names[1]} {rows[r]}, {names[0]} {columns[c]}: not measured"
                parts.append(tag("rect", **box, fill="url(#hatch)", data_t=told))
                continue
            parts.append(tag("rect", **box, fill=cell.fill, data_t=cell.told))
            if wide >= 19 and height >= 12:
                parts.append(
                    words(left + (c + 0.5) * wide, y + height / 2 + 3, cell.text, style=f"fill:{cell.ink}", class_="in")
                )
    every = math.ceil(11 / height)
    parts += [
        words(left - 4, bottom - (r + 0.5) * height + 3, name, "end")
        for r, name in enumerate(rows) if r % every == 0 or r == len(rows) - 1
    ]  # fmt: skip
    need = max((len(name) for name in columns), default=1) * 5.0 + 3
    thin = wide < 9  # too many to name each, slanted or not
    slant = wide < need and not thin
    for c, name in enumerate(columns):
        x, y = left + (c + 0.5) * wide, bottom + 11
        if slant:
            parts.append(words(x + 3, y - 3, name, "end", transform=f"rotate(-60 {x + 3:.1f} {y - 3:.1f})"))
        elif not thin or c % math.ceil(need / wide) == 0:
            parts.append(words(x, y, name))
    if trained:
        line = bottom - trained * height - 0.3
        parts += [tag("line", x1=left - 17, x2=right + 4, y1=line, y2=line, class_=kind) for kind in ("halo", "border")]
    foot = bottom + (need * 0.9 + 10 if slant else 24)
    parts.append(words((left + right) / 2, foot, names[0]))
    parts.append(words(8, (top + bottom) / 2, names[1], transform=f"rotate(-90 8 {(top + bottom) / 2:.1f})"))
    return canvas(parts, foot + 6, label)


HATCH = (  # once a page
    '<svg width="0" height="0" style="position:absolute" aria-hidden="true"><defs>'
    '<pattern id="hatch" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="5" height="5" fill="none"/><line x1="0" y1="0" x2="0" y2="5" class="thin"/></pattern></defs></svg>'
)


def lines(
    drawn: Sequence[Line], names: tuple[str, str], label: str, *, top: float = 1.0, percent: bool = True,
    shade: float | None = None, levels: Sequence[tuple[float, str]] = (), log: bool = True, least: float | None = None,
) -> str:  # fmt: skip
    """Lines over a horizontal axis, logarithmic or not; the part up to `shade` is what was trained on. The vertical one
    begins at 0, or, where the least value is given, goes by decades from there."""
    left, right, high, low = 34.0, WIDTH - 8, 8.0, 190.0
    top = top if percent or least else _round_up(top)
    lowest, highest = _decades(least or 1.0, top)
    xs = sorted({point.x for line in drawn for point in line.points})
    across = _scale(xs[0], xs[-1], left + 8, right - 6, log and xs[0] > 0)

    def up(y: float) -> float:
        if least:
            return low - (low - high) * (math.log10(y) - lowest) / (highest - lowest)
        return low - (low - high) * y / top

    parts = []
    if shade is not None and shade >= xs[0]:
        edge = min(right, (across(shade) + across(min((x for x in xs if x > shade), default=shade))) / 2)
        parts.append(tag("rect", x=left, y=high, width=edge - left, height=low - high, class_="trained"))
    if least:
        every = math.ceil((highest - lowest + 1) / 8)
        powers = range(lowest, highest + 1, every)
        ticks = [(10.0**power, f"{10.0**power:g}" if power > -3 else f"1e{power}") for power in powers]
    else:
        parted = (0, 0.25, 0.5, 0.75, 1)
        ticks = [(part * top, f"{100 * part:g}" if percent else f"{part * top:.3g}") for part in parted]
    for value, name in ticks:
        parts.append(tag("line", x1=left, x2=right, y1=up(value), y2=up(value), class_="grid"))
        parts.append(words(left - 4, up(value) + 3, name, "end"))
    for value, _ in levels:
        parts.append(tag("line", x1=left, x2=right, y1=up(value), y2=up(value), class_="level"))
    last = -99.0
    for x in xs:
        if across(x) - last >= 7 + 5 * len(f"{x:g}") or (x == xs[-1] and across(x) - last > 12):
            parts.append(words(across(x), low + 12, f"{x:g}"))
            last = across(x)
    parts += [part for line in drawn for part in _line(line, across, up)]
    told: list[tuple[float, float, str]] = []
    for value, name in levels:
        y = up(value) + (10 if value > 0.9 else -3)  # below what reaches the top
        beside = any(abs(y - other) < 10 for _, other, _ in told)
        told.append((left + (30 if beside else 4), y, name))
    if shade is not None and shade >= xs[0]:
        near = [up(point.y) for line in drawn for point in line.points if across(point.x) < left + 60]
        told.append((left + 4, _free([*near, *(y for _, y, _ in told)]), "trained on"))
    parts += [words(x, y, name, "start", class_="faint") for x, y, name in told]
    parts.append(words((left + right) / 2, low + 28, names[0]))
    parts.append(words(8, (low + high) / 2, names[1], transform=f"rotate(-90 8 {(low + high) / 2:.1f})"))
    return canvas(parts, low + 34, label)


def _decades(least: float, most: float) -> tuple[int, int]:
    """The powers of ten round about both, never the same."""
    first = math.floor(math.log10(least))
    return first, max(math.ceil(math.log10(most)), first + 1)


def _free(taken: Sequence[float]) -> float:
    """Where a word stands furthest from all that is drawn already."""
    return max((64.0, 86.0, 108.0, 130.0, 152.0, 174.0), key=lambda y: min(abs(y - 3 - at) for at in taken))


def _round_up(top: float) -> float:
    """The next number that can be quartered without many digits."""
    unit = 10.0 ** math.floor(math.log10(top))
    return next(step * unit for step in (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10) if step * unit >= top * 0.999)


def _line(line: Line, across: Callable[[float], float], up: Callable[[float], float]) -> list[str]:
    places = [(across(p.x), up(p.y)) for p in line.points]
    band = [f"{across(p.x):.1f},{up(p.low):.1f}" for p in line.points]
    band += [f"{across(p.x):.1f},{up(p.high):.1f}" for p in reversed(line.points)]
    parts = [tag("polygon", points=" ".join(band), fill=look(line.look).colour, opacity=0.15)]
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    colour, _, dashes = look(line.look)
    parts.append(tag("path", d=path, fill="none", stroke=colour, stroke_width=1.8, stroke_dasharray=dashes))
    parts += [marker(line.look, x, y) for x, y in places]
    parts += [
        tag("circle", cx=x, cy=y, r=8, class_="hit", data_t=f"{line.name}, {p.told}")
        for (x, y), p in zip(places, line.points, strict=True)
    ]
    return parts


def _scale(first: float, last: float, left: float, right: float, log: bool) -> Callable[[float], float]:
    def place(value: float) -> float:
        return math.log(value) if log else value

    reach = place(last) - place(first) or 1.0
    return lambda value: left + (right - left) * (place(value) - place(first)) / reach


class Reach(NamedTuple):
    """How far one model goes on one task, in training depths, and the range that this is known to."""

    look: int
    ratio: float
    low: float
    high: float
    seeds: bool  # the range is over seeds, and not, of one, over questions
    more: bool  # the deepest asked: it may go further
    told: str
    model: str


def reaches(rows: Sequence[tuple[str, str, Sequence[Reach]]], label: str, named: bool = False) -> str:
    """A row a task, named in two lines, and a mark a model: the deepest depth answered, over the deepest trained on. Of
    many models each mark may have its name beside it."""
    left, right, high = 112.0, WIDTH - 14, 20.0
    most = max([2.0, *(reach.high for *_, row in rows for reach in row)])
    heights = [max(27.0, (12.0 if named or len(rows) < 5 else 9.0) * len(row) + 6) for *_, row in rows]
    low = high + sum(heights)

    def across(ratio: float) -> float:
        return left + (right - left) * math.log1p(3 * ratio) / math.log1p(3 * most)

    parts = [tag("rect", x=left, y=high, width=across(1) - left, height=low - high, class_="trained")]
    ticks = [0, 1, *(2**i for i in range(1, 12) if 2**i <= most * 1.01)]
    for tick in ticks:
        kind = "border" if tick == 1 else "grid"
        parts.append(tag("line", x1=across(tick), x2=across(tick), y1=high, y2=low, class_=kind))
        parts.append(words(across(tick), high - 6, f"{tick}x" if tick else "0"))
    y = high
    for (task, below, row), height in zip(rows, heights, strict=True):
        parts.append(tag("line", x1=0, x2=WIDTH, y1=y, y2=y, class_="grid"))
        parts.append(words(left - 6, y + height / 2 - 2, task if len(task) < 21 else task[:19] + "…", "end"))
        parts.append(words(left - 6, y + height / 2 + 9.5, below, "end", class_="faint"))
        for place, reach in enumerate(row):
            middle = y + (place + 0.5) * height / len(row)
            ends = across(reach.low), across(reach.high)
            parts += _bar(ends, middle, look(reach.look).colour, reach.seeds)
            parts.append(marker(reach.look, across(reach.ratio), middle, 3.6))
            if reach.more:
                parts.append(words(across(reach.ratio) + 5, middle + 3.5, "+", "start", class_="more"))
            if named:
                parts.append(_beside(reach, ends, middle, right))
            hit = {"x": left, "y": middle - height / len(row) / 2, "width": right - left, "height": height / len(row)}
            parts.append(tag("rect", **hit, class_="hit", data_t=reach.told))
        y += height
    foot = "times the deepest trained depth; about logarithmic"
    parts.append(words(WIDTH / 2, low + 15, foot))
    return canvas(parts, low + 21, label)


def _beside(reach: Reach, ends: tuple[float, float], y: float, right: float) -> str:
    """A mark's name, to its right where there is more room."""
    after = right - ends[1] > ends[0] - 112
    name = reach.model if len(reach.model) < 40 else reach.model[:38] + "…"
    x = ends[1] + (13 if reach.more else 7) if after else ends[0] - 7
    return words(x, y + 3, name, "start" if after else "end", class_="faint")


def _bar(ends: tuple[float, float], y: float, colour: str, seeds: bool) -> list[str]:
    """Broad over seeds; thin and with caps over questions."""
    if seeds:
        return [tag("line", x1=ends[0], x2=ends[1], y1=y, y2=y, stroke=colour, class_="range")]
    bar = {"stroke": colour, "class_": "questions"}
    caps = [tag("line", x1=x, x2=x, y1=y - 2.5, y2=y + 2.5, **bar) for x in ends]
    return [tag("line", x1=ends[0], x2=ends[1], y1=y, y2=y, **bar), *caps]


def bars() -> str:
    """What the two kinds of bars say."""
    parts = [("all seeds", True), ("one seed: how deep its true accuracies may go (95%)", False)]
    keys = [
        tag(
            "svg",
            "".join(_bar((2, 24), 6, "currentColor", seeds)),
            viewBox="0 0 26 12",
            class_="key",
            aria_hidden="true",
        )
        + escape(name)
        for name, seeds in parts
    ]
    return tag("p", "".join(tag("span", key) for key in keys), class_="legend")


def legend(names: Sequence[tuple[str, int]]) -> str:
    """Marks and names, in HTML, so that they wrap on a phone."""
    items = []
    for name, place in names:
        colour, _, dashes = look(place)
        stroke = tag("line", x1=0, x2=26, y1=6, y2=6, stroke=colour, stroke_width=1.8, stroke_dasharray=dashes)
        mark = tag("svg", stroke + marker(place, 13, 6), viewBox="0 0 26 12", class_="key", aria_hidden="true")
        items.append(tag("span", mark + escape(name).replace("@", "<wbr>@")))
    return tag("p", "".join(items), class_="legend")
