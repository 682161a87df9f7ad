"""The figures of a report, drawn from grids: each a title, the drawing and what it says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from evaluate.records import Diagnostics
from evaluate.show import svg
from evaluate.show.colours import heat, ink
from evaluate.show.compare import asked_as, points_signed, signed_span, subject
from evaluate.show.differences import LEVEL, Difference
from evaluate.show.grid import Grid
from evaluate.show.measures import depth_range, used_loops
from evaluate.show.svg import Heat, Line, Point, Reach
from evaluate.show.written import MISSING, points, span, times


class Drawn(NamedTuple):
    """A figure: what stands above it, the drawing with its legend, and what stands below."""

    title: str
    body: str
    caption: str
    grids: Sequence[Grid]  # whose runs are behind it


def told(grid: Grid, d: int, c: int) -> str:
    """A cell in words: its accuracy, the interval, and the counts."""
    correct, count, low, high = (array[d, c] for array in (*grid.pooled, *grid.intervals))
    return f"{points(correct / count)}% ({span(float(low), float(high))}), {correct} of {count}"


MANY = 8
"""Names, at most, of one legend: of more, looks are hard to tell apart, and each name stands beside its mark."""


def reach(rows: dict[str, list[tuple[Grid, int]]]) -> Drawn:
    """Every task and model at a glance; `rows` holds the grids of each task with their looks."""
    drawn = [
        (task, asked_from(grid for grid, _ in grids), [how_far(grid, look) for grid, look in grids])
        for task, grids in rows.items()
    ]
    names = dict((grid.model, look) for grids in rows.values() for grid, look in grids)
    many = len(names) > MANY
    label = f"How far each model goes on each task; the furthest: {'; '.join(map(_furthest, rows, rows.values()))}"
    body = "" if many else svg.legend(list(names.items()))
    body += svg.reaches(drawn, label, named=many) + svg.bars()
    text = (
        "A mark: the deepest depth at which at least 95% is answered right, there and at every depth before, reached "
        "by more than half of the seeds. +: the deepest asked. Below a task's name: the deepest trained on, to "
        "the deepest asked. Shaded: trained on."
    )
    return Drawn("How far each model goes", body, text, [grid for grids in rows.values() for grid, _ in grids])


def _furthest(task: str, grids: Sequence[tuple[Grid, int]]) -> str:
    ratios = {grid.model: grid.reached(grid.headline()) / grid.train_max_depth for grid, _ in grids}
    name = max(ratios, key=lambda model: ratios[model])
    return f"{task} {name} {times(ratios[name])}"


def asked_from(grids: Iterable[Grid]) -> str:
    """The deepest depth of a task that was trained on, to the deepest asked."""
    held = list(grids)
    trained = " or ".join(map(str, sorted({grid.train_max_depth for grid in held})))
    return f"{trained} to {max((grid.deepest for grid in held), default=0) or MISSING}"


def how_far(grid: Grid, look: int) -> Reach:
    """One model's mark on one task, at its headline's column."""
    column, top = grid.headline(), grid.train_max_depth
    reached = grid.depth95s(column).tolist()
    middle, (low, high) = grid.reached(column), depth_range(grid, column)
    failed = f", {grid.failed.sum()} failed" if grid.failed.any() else ""
    over = f"seeds {', '.join(map(str, reached))}{failed}" if len(reached) > 1 else f"one seed{failed}, {low} to {high}"
    asked = grid.columns[column].told if column is not None else "no answers"
    text = f"{grid.task}, {grid.model} {asked}: depth {middle}, {middle / top:.3g}x the deepest trained on; {over}"
    deepest = 0 < middle == grid.deepest
    return Reach(look, middle / top, low / top, high / top, len(reached) > 1, deepest, text, grid.model)


def by_depth(grids: Sequence[tuple[Grid, int]]) -> Drawn | None:
    """Accuracy against depth, every model at its headline's column."""
    drawn, floors = [], []
    for grid, look in grids:
        column = grid.headline()
        if column is None:
            continue
        correct, count, low, high = (array[:, column] for array in (*grid.pooled, *grid.intervals))
        places = [
            Point(int(grid.depths[d]), correct[d] / count[d], low[d], high[d],
                  f"depth {grid.depths[d]}: {told(grid, d, column)}") for d in np.flatnonzero(count).tolist()
        ]  # fmt: skip
        if places:
            drawn.append(Line(f"{grid.model} {grid.columns[column].told}", places, look))
            floors.append(float(grid.floor.max()))
    if not drawn:
        return None
    levels = [(0.95, "95%"), (max(floors), "chance, or a shortcut")]
    top = grids[0][0].train_max_depth
    label = f"Accuracy by depth; {_finding([grid for grid, _ in grids])}"
    body = svg.legend([(line.name, line.look) for line in drawn])
    body += svg.lines(drawn, ("depth", "accuracy, %"), label, shade=top, levels=levels)
    text = f"Shaded: trained on, depths up to {top}. Bands: 95% intervals over questions, seeds pooled."
    return Drawn("Accuracy by depth", body, text, [grid for grid, _ in grids])


def _finding(grids: Sequence[Grid]) -> str:
    """For who hears a figure and does not see it."""
    reached = [f"{grid.model} {grid.reached(grid.headline())}" for grid in grids if grid.headline() is not None]
    return f"95% right down to depth: {', '.join(reached)}"


def heatmap(grid: Grid) -> Drawn:
    """Accuracy by depth and loops; what was trained on is marked."""
    (correct, count), used = grid.pooled, used_loops(grid)
    cells: list[list[Heat | None]] = []
    for d, depth in enumerate(grid.depths):
        row: list[Heat | None] = []
        for c, column in enumerate(grid.columns):
            if not count[d, c]:
                row.append(None)
                continue
            share = correct[d, c] / count[d, c]
            loops = f", {used[d, c]:.1f} loops used" if column.stops_by_itself and used[d, c] == used[d, c] else ""
            text = f"{grid.model}, depth {depth} {column.told}{loops}: {told(grid, d, c)}"
            row.append(Heat(heat(share), ink(share), str(int(100 * share + 1e-9)), text))
        cells.append(row)
    trained = int((grid.depths <= grid.train_max_depth).sum())
    names = [column.name for column in grid.columns]
    label = f"{grid.model}: accuracy by depth and loops; {_finding([grid])}"
    body = svg.heatmap(cells, [str(d) for d in grid.depths], names, ("loops at test", "depth"), trained, label)
    ramp = ", ".join(heat(i / 8) for i in range(9))
    body += (
        f'<p class="legend"><span>0<i class="ramp" style="background:linear-gradient(90deg,{ramp})"></i>100%</span></p>'
    )
    text = "Below the dashed line: depths that were trained on. Hatched: not measured."
    if any(column.halting == "oracle" for column in grid.columns):
        text += (
            " The oracle picks the loops by the answer: a bound for these fixed numbers of loops, not for rules that "
            "stop by themselves; it cannot be deployed."
        )
    return Drawn(f"{grid.model}: accuracy by depth and loops", body, text, [grid])


def by_loops(grid: Grid) -> Drawn | None:
    """Accuracy against loops at the test depths: what surplus loops cost."""
    correct, count, low, high = *grid.pooled, *grid.intervals
    fixed = [(c, column.loops) for c, column in enumerate(grid.columns) if column.halting == "fixed" and column.loops]
    if len(fixed) < 2:
        return None
    asked = [d for d, band in enumerate(grid.bands) if band == "test" and count[d, [c for c, _ in fixed]].any()]
    shown = [asked[i] for i in sorted({round(part * (len(asked) - 1) / 4) for part in range(5)})] if asked else []
    lost = {d: loss for d in range(len(grid.depths)) if (loss := _lost(grid, d)) is not None}
    shown += [max(lost, key=lambda d: lost[d])] if lost else []
    shown += [d for d, depth in enumerate(grid.depths) if depth == grid.train_max_depth and count[d].any()]
    drawn = []
    for look, d in enumerate(sorted({*shown})):
        have = [(c, loops) for c, loops in fixed if count[d, c]]
        places = [
            Point(loops, correct[d, c] / count[d, c], low[d, c], high[d, c], f"{loops} loops: {told(grid, d, c)}")
            for c, loops in have
        ]
        drawn.append(Line(f"depth {grid.depths[d]}", places, look))
    if not drawn:
        return None
    body = svg.legend([(line.name, line.look) for line in drawn])
    body += svg.lines(drawn, ("loops at test", "accuracy, %"), f"{grid.model}: accuracy by loops")
    text = (
        "A line that falls to the right overthinks: it had the answer, and surplus loops lost it. Depths: the deepest "
        "trained on, that with the largest loss at the most loops, and up to five of those tested."
    )
    return Drawn(f"{grid.model}: does it overthink?", body, text, [grid])


def _lost(grid: Grid, d: int) -> float | None:
    """How far a line of accuracy by loops falls to the right."""
    fixed = grid.fixed(d)
    return max(fixed.values()) - fixed[max(fixed)] if fixed else None


def loops_used(grid: Grid) -> Drawn | None:
    """Loops used against depth, of every rule that stops by itself."""
    used, count = used_loops(grid), grid.count.sum(0)
    drawn = []
    for look, (c, column) in enumerate((c, col) for c, col in enumerate(grid.columns) if col.stops_by_itself):
        seeds = grid.mean_loops[:, :, c]
        places = []
        for d in np.flatnonzero(count[:, c]):
            if used[d, c] == used[d, c]:
                low, high = float(np.nanmin(seeds[:, d])), float(np.nanmax(seeds[:, d]))
                text = f"depth {grid.depths[d]}: {used[d, c]:.1f} loops (seeds {low:.1f} to {high:.1f})"
                places.append(Point(int(grid.depths[d]), used[d, c], low, high, text))
        if places:
            drawn.append(Line(column.name, places, look))
    if not drawn:
        return None
    most = max(point.high for line in drawn for point in line.points) * 1.05 or 1.0
    body = svg.legend([(line.name, line.look) for line in drawn])
    label = f"{grid.model}: loops used by depth"
    body += svg.lines(drawn, ("depth", "loops used"), label, top=most, percent=False, shade=grid.train_max_depth)
    text = "Halting: how many loops the rule took by itself. Bands: from the seed with fewest to that with most."
    return Drawn(f"{grid.model}: loops used by depth", body, text, [grid])


def routing(grid: Grid, inside: Diagnostics) -> Drawn | None:
    """The share of each routed expert, loop by loop."""
    if not inside.routing:
        return None
    most = max(max(row) for row in inside.routing)
    cells: list[list[Heat | None]] = [
        [
            Heat(
                heat(row[e] / most),
                ink(row[e] / most),
                f"{100 * row[e]:.0f}",
                f"loop {i}, expert {e + 1}: {row[e]:.1%}",
            )
            for i, row in enumerate(inside.routing, 1)
        ]
        for e in range(len(inside.routing[0]))
    ]
    loops = [str(i) for i in range(1, len(inside.routing) + 1)]
    experts = [str(e + 1) for e in range(len(cells))]
    body = svg.heatmap(cells, experts, loops, ("loop", "expert"), 0, f"{grid.model}: expert use by loop")
    text = f"Share of the routing, in percent, of each expert in each loop; questions of depth {inside.depth}."
    return Drawn(f"{grid.model}: expert use by loop", body, text, [grid])


def states(grid: Grid, inside: Diagnostics) -> list[Drawn]:
    """The state's norm, and how much it changes, loop by loop: the second over decades, as a drift is no rest."""
    most = max((column.loops or 0 for column in grid.columns), default=0)
    kinds = [
        ("norm of the state", inside.state_norm, False, "|h| over the root of the width"),
        ("change of the state", inside.state_change, True, "|h - h before| / |h|, on a logarithmic axis"),
    ]
    drawn = []
    for name, values, decades, what in kinds:
        finite = [(i, v) for i, v in enumerate(values or [], 1) if v is not None and np.isfinite(v)]
        least = min((v for _, v in finite if v > 0), default=None) if decades else None
        if not finite or (decades and least is None):
            continue
        points = [Point(i, max(v, least or v), v, v, f"loop {i}: {v:.3g}") for i, v in finite]
        points = [point._replace(low=point.y, high=point.y) for point in points]
        top, label = max(point.y for point in points), f"{grid.model}: {name} by loop"
        body = svg.lines(
            [Line(name, points, 0)], ("loop", name), label,
            top=top * (1 if decades else 1.05) or 1.0, percent=False, log=False, least=least,
        )  # fmt: skip
        text = f"{what}, for questions of depth {inside.depth}."
        text += " Near 1e-6, the least that float32 tells, it rests; above, it moves." if decades else ""
        text += f" The first {finite[-1][0]} loops; tests ask for up to {most}." if most > finite[-1][0] else ""
        drawn.append(Drawn(f"{grid.model}: {name}", body, text, [grid]))
    return drawn


LESS, MORE = (179, 88, 6), (45, 104, 170)  # of a brown-blue diverging scale, which the colour-blind tell apart


def changes(one: Difference, rate: np.ndarray) -> Drawn:
    """The difference of two sides, cell by cell; a star where it is more than chance."""
    cells: list[list[Heat | None]] = []
    for d, depth in enumerate(one.depths):
        row: list[Heat | None] = []
        for c, (first, second) in enumerate(one.columns):
            value = float(one.value[d, c])
            if value != value:
                row.append(None)
                continue
            star = "*" if rate[d, c] < LEVEL else ""
            at = first.told if first == second else f"{second.told} against {first.told}"
            text = (
                f"depth {depth} {at}: {points_signed(value)} points ({signed_span(one.low[d, c], one.high[d, c])}), "
                f"{points(float(one.shares[1][d, c]))}% against {points(float(one.shares[0][d, c]))}%, "
                f"FDR {rate[d, c]:.3f}"
            )
            row.append(
                Heat(_diverging(value), "#fff" if abs(value) > 0.6 else "#000", f"{_whole(100 * value)}{star}", text)
            )
        cells.append(row)
    trained = int((one.depths <= one.first.train_max_depth).sum())
    names = [asked_as(*pair) for pair in one.columns]
    label = f"{one.names[1]} less {one.names[0]}, in points"
    body = svg.heatmap(cells, [str(d) for d in one.depths], names, ("loops at test", "depth"), trained, label)
    wrong = f" Not comparable: {'; '.join(one.mismatch)}." if one.mismatch else ""
    star = "* false discovery rate below 5% among all cells."
    text = f"Blue: {one.names[1]} is better; brown: {one.names[0]} is. {star}{wrong}"
    return Drawn(f"{subject(one)}: {one.names[1]} less {one.names[0]}", body, text, [one.first, one.second])


def _whole(value: float) -> str:
    return f"{value:+.0f}" if abs(value) >= 0.5 else "0"


def _diverging(value: float) -> str:
    end, part = (MORE if value > 0 else LESS), min(abs(value), 1.0) ** 0.7
    return "#" + "".join(f"{round(246 + (side - 246) * part):02x}" for side in end)
