"""The HTML report that compares: what differs between folders, or models, and where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from html import escape

import numpy as np

from evaluate.show import colours, figures, page
from evaluate.show.compare import differences, left_out, sentence, subject
from evaluate.show.differences import LEVEL, Side, adjusted
from evaluate.show.figures import Drawn
from evaluate.show.grid import Grid, Results
from evaluate.show.svg import tag


def compared_page(compared: Sequence[Side], folders: Sequence[Results], force: bool) -> str:
    """The report that compares sides: what differs, and where."""
    found = differences(compared, force)
    rates = adjusted(found)
    told = [sentence(one, rate) for one, rate in zip(found, rates, strict=True)]
    marked = sum(int((rate < LEVEL).sum()) for rate in rates)
    cells = sum(int((~np.isnan(one.value)).sum()) for one in found)
    others = ", ".join(side.name for side in compared[1:])
    head = f"{others} against {compared[0].name}: {marked} of {cells} cells differ by more than chance."
    body = [tag("h1", "loopbench: a comparison"), tag("p", escape(head), class_="claim")]
    wrong = [f"{subject(one)}: not comparable, shown by force: {reason}" for one in found for reason in one.mismatch]
    body.append(tag("ul", "".join(tag("li", escape(line)) for line in [*told, *wrong])))
    named = {side.name: side for side in compared}
    looks = colours.looks(_sided_models(compared))
    body.append(page.figure(figures.reach(_sided(compared, looks)), wide=True))
    body.append(page.notes([*left_out(compared, found), *(note for results in folders for note in results.notes)]))
    body.append(page.contents(list(dict.fromkeys(one.task for one in found))))
    for task, grids in _sided(compared, looks).items():
        drawn: list[Drawn | None] = []
        for one, rate in zip(found, rates, strict=True):
            if one.task == task:
                ends = [
                    replace(grid, model=_sided_name(named[name], grid))
                    for grid, name in zip((one.first, one.second), one.names, strict=True)
                ]
                pair = colours.looks([grid.model for grid in ends])  # of many sides two may share a colour
                drawn.append(figures.by_depth([(grid, pair[grid.model]) for grid in ends]))
                drawn.append(figures.changes(one, rate)._replace(grids=ends))
        shown = "".join(page.figure(one) for one in drawn if one)
        made = "".join(page.behind(grid) for grid, _ in grids)
        body.append(
            tag("section", tag("h2", escape(task)) + tag("div", shown, class_="figures") + made, id=page.anchor(task))
        )
    return page.whole(f"loopbench: {others} against {compared[0].name}", body)


def _sided_models(compared: Sequence[Side]) -> list[str]:
    """Their names, those of one model side by side."""
    pairs = [(grid.model, _sided_name(side, grid)) for side in compared for grid in side.grids.values()]
    return list(dict.fromkeys(name for _, name in sorted(pairs, key=lambda pair: pair[0])))


def _sided_name(side: Side, grid: Grid) -> str:
    return side.name if side.name.endswith(grid.model) else f"{side.name}: {grid.model}"


def _sided(compared: Sequence[Side], looks: dict[str, int]) -> dict[str, list[tuple[Grid, int]]]:
    """The grids of each task, their models named with the side that they come from."""
    found: dict[str, list[tuple[Grid, int]]] = {}
    for side in compared:
        for grid in side.grids.values():
            name = _sided_name(side, grid)
            found.setdefault(grid.task, []).append((replace(grid, model=name), looks[name]))
    order = list(looks)
    return {task: sorted(grids, key=lambda pair: order.index(pair[0].model)) for task, grids in found.items()}
