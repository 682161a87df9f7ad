"""Reports: one file, no network, every name escaped, every figure drawn in a real browser; and the plots."""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from itertools import combinations, pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import run_benchmarks
from evaluate.records import Diagnostics, read, run_id
from evaluate.show import figures, plots, svg
from evaluate.show.colours import CIVIDIS, LINES, MARKS, SUITE, heat, ink, look, looks
from evaluate.show.command import command
from evaluate.show.figures import by_loops, states
from evaluate.show.grid import Results
from evaluate.show.measures import suite_rows
from evaluate.show.page import size, table
from evaluate.show.report import report
from evaluate.show.upshot import upshot
from evaluate.show.written import seed_count
from model import MODELS
from tasks import TASKS
from tests.fakes import dump, folder, lines, reach, told

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chromium-headless-shell")
BROWSER = next((path for name in BROWSERS if (path := shutil.which(name))), None)
ROOT = Path(__file__).parent.parent
NASTY = "<img src=x onerror=alert(1)>\"&'</script>"


def written(capsys, *words):
    code, out, err = told(capsys, "report", *words)
    assert code == 0, err
    return Path(out.split(": ")[0])


def said(path):
    return upshot(Results(read(path)))


# the upshot


def test_the_upshot_names_the_model_how_far_and_how_sure(tmp_path):
    sentence, more, tiles = said(folder(tmp_path / "two"))
    assert sentence == (
        "deep extrapolates furthest: 95% of questions right down to depth 20, trained on depths up to 5; "
        "the next, shallow, at 1x."
    )
    assert more == "" and [tile[1] for tile in tiles] == ["deep", "4x the trained depth", "clear"]
    assert tiles[2][2].startswith("1 + score of deep over that of shallow: 2.5, 95% interval ")
    _, more, tiles = said(folder(tmp_path / "one", seeds=(0,), truth=lambda *asked: float(reach(*asked) > 0.5)))
    assert more == "deep and shallow have one seed: another training may end elsewhere."
    assert tiles[2][1] == "clear, for one seed"


def test_the_upshot_says_on_which_of_the_tasks_it_stands(tmp_path):
    path = folder(tmp_path / "two", tasks=("t", "u"))
    more = folder(tmp_path / "more", tasks=("v",), models=("deep",))
    for name in ("runs.jsonl", "cells.jsonl"):
        dump(path / name, lines(path / name) + lines(more / name))
    assert "at 4x its training depth over the 2 tasks that both have; the next, shallow, at 1x." in said(path)[0]
    results = Results(read(path))
    del results.grids["u", "shallow"], results.grids["v", "deep"]
    told = "down to depth 20, trained on depths up to 5 of t, the one task that both have; the next"
    assert told in upshot(results).sentence


def test_two_models_are_held_to_each_other_on_the_tasks_that_both_have(tmp_path):
    """And not on those that a third has too."""

    def truth(model, depth, loops):
        return 0.999 if depth <= {"deep": 20, "near": 10, "less": 6}[model] else 0.1

    path = folder(tmp_path / "a", tasks=("t", "u", "v"), models=("deep", "near"), truth=truth)
    more = folder(tmp_path / "b", tasks=("t",), models=("less",), truth=truth)
    wide = folder(tmp_path / "c", tasks=("w",), models=("deep",), truth=lambda *_: 0.999)
    for name in ("runs.jsonl", "cells.jsonl"):
        dump(path / name, [line for one in (path, more, wide) for line in lines(one / name)])
    sentence, _, tiles = said(path)
    assert sentence == (
        "deep extrapolates furthest: 95% of questions right at 4x its training depth over the 3 tasks that both have; "
        "the next, near, at 2x."
    )
    assert "deep 4.8x over 4 tasks, near 2x over 3 tasks, less 1x over 1 task" in tiles[0][2]
    assert tiles[2][2].startswith("1 + score of deep over that of near: 1.67, 95% interval ")


def reaching(place, depths):
    """A folder in which each (task, model) reaches its depth."""
    parts = [folder(place / f"{task}-{model}", tasks=(task,), models=(model,),
                    truth=lambda name, asked, loops, to=to: 0.999 if asked <= to else 0.1)
             for (task, model), to in depths.items()]  # fmt: skip
    for name in ("runs.jsonl", "cells.jsonl"):
        dump(parts[0] / name, [line for part in parts for line in lines(part / name)])
    return parts[0]


def test_who_has_few_tasks_is_held_to_the_others_on_these(tmp_path):
    wide = {(task, "wide"): 10 for task in "tuvwx"}
    sentence, *_ = said(reaching(tmp_path, wide | {("t", "deep"): 40, ("u", "deep"): 40}))
    assert sentence.startswith(
        "deep extrapolates furthest: 95% of questions right at 8x its training depth, as deep as "
    )
    assert sentence.endswith("was asked, over the 2 tasks that both have; the next, wide, at 2x.")


def test_where_each_is_ahead_of_the_next_in_a_circle_none_is_furthest(tmp_path):
    circle = {("t", "a"): 40, ("t", "b"): 10, ("u", "b"): 40, ("u", "c"): 10, ("v", "c"): 40, ("v", "a"): 10}
    sentence, _, tiles = said(reaching(tmp_path, circle))
    told = "No model is ahead of every other, on the tasks that both have: c is ahead of a, and it of most others."
    assert sentence == told and tiles[0][1] == "not compared"


def test_who_shares_no_task_with_the_first_is_named(tmp_path):
    sentence, *_ = said(reaching(tmp_path, {("t", "a"): 20, ("t", "b"): 10, ("u", "c"): 10, ("v", "d"): 10}))
    assert sentence.startswith("a has no task in common with c and 1 more, and scores of other tasks do not compare:")


def test_the_upshot_of_a_model_that_answered_elsewhere_tells_what_the_suite_trains_on(tmp_path):
    path = folder(tmp_path, tasks=("t", "u"), models=("deep",))
    sentence, _, tiles = said(path)
    assert sentence == "deep extrapolates: 95% of questions right at 4x its training depth over 2 tasks."
    assert "over 2 tasks, deeper than trained on 2 of them" in tiles[1][2]
    results = Results(read(path))
    for grid in results.grids.values():
        grid.runs[0]["experiment"]["elsewhere"] = True
    sentence, _, tiles = upshot(results)
    assert "at 4x the suite's training depth over 2 tasks" in sentence
    assert "t depth 20, the suite trains to 5" in tiles[1][2]


def test_the_upshot_tells_who_has_one_seed_on_some_tasks(tmp_path):
    path = folder(tmp_path, tasks=("t", "u"))
    gone = {r["run"] for r in lines(path / "runs.jsonl") if (r["task"], r["model"], r["seed"]) == ("u", "shallow", 1)}
    for name in ("runs.jsonl", "cells.jsonl"):
        dump(path / name, [one for one in lines(path / name) if one["run"] not in gone])
    _, more, tiles = said(path)
    assert len(gone) == 1 and tiles[2][1] == "clear, for few seeds" and "; 1 to 2 seeds a task; " in tiles[2][2]
    assert more == "shallow has one seed on some tasks: another training may end elsewhere."
    rows = {row["model"]: seed_count(row) for row in suite_rows(Results(read(path)))}
    assert rows == {"deep": "2", "shallow": "1 to 2"}


def test_the_upshot_counts_those_that_are_alike(tmp_path):
    def told(path, *models):
        return said(folder(path, tasks=("t", "u"), models=models, truth=lambda *_: 0.999))

    sentence, _, tiles = told(tmp_path / "two", "deep", "also")
    assert sentence == (
        "also and deep are not told apart: 95% of questions right at 8x their training depth, as deep as was asked, "
        "over 2 tasks."
    )
    assert tiles[0][1] == "also or deep" and tiles[2][1] == "not told apart" and ": 1, 95% interval " in tiles[2][2]
    sentence, *_ = said(folder(tmp_path / "none", tasks=("t", "u"), models=("deep", "also"), truth=lambda *_: 0.1))
    assert sentence.startswith(
        "No model extrapolates, and also is not told apart from deep: also answers 95% right at 0x"
    )
    sentence, _, tiles = told(tmp_path / "three", "deep", "also", "shallow")
    assert sentence.startswith("also is not told apart from deep and 1 more: ") and tiles[0][1] == "also or 2 others"


def test_the_upshot_claims_nothing_where_nothing_extrapolates(tmp_path):
    sentence, _, tiles = said(folder(tmp_path / "a", truth=lambda model, depth, loops: 0.995 if depth <= 5 else 0.1))
    assert sentence.startswith("No model extrapolates") and tiles[0][1] == "none"
    sentence, *_ = said(folder(tmp_path / "b", models=("deep",), truth=lambda *_: 0.2))
    assert sentence.startswith("deep does not extrapolate")
    sentence, _, tiles = said(folder(tmp_path / "c", status="diverged"))
    assert sentence.startswith("No model extrapolates") and "failed" not in sentence
    assert "4 runs failed" in tiles[2][2], "of the two that are held to each other"


def test_the_upshot_says_where_seeds_do_not_settle_it(tmp_path):
    def wild(model, depth, loops):
        return 0.995 if depth <= (20 if model == "deep" else 10) else 0.1

    path = folder(tmp_path, tasks=("t", "u"), truth=wild)
    more = folder(tmp_path / "more", tasks=("t", "u"), models=("deep",), seeds=(2, 3), truth=lambda *_: 0.1)
    for name in ("runs.jsonl", "cells.jsonl"):
        dump(path / name, lines(path / name) + lines(more / name))
    sentence, _, tiles = said(path)
    assert " are not told apart: " in sentence and tiles[2][1] == "not told apart" and "furthest" not in sentence
    low, high = re.search(r"95% interval (\S+) to ([^;]+);", tiles[2][2]).groups()
    assert float(low) <= 1 <= float(high), "of the ratio"


def test_models_that_share_no_task_are_not_ranked(tmp_path):
    path = folder(tmp_path / "apart", tasks=("t", "u"))
    results = Results(read(path))
    del results.grids["t", "shallow"], results.grids["u", "deep"]
    sentence, _, tiles = upshot(results)
    assert sentence.startswith("deep has no task in common with shallow,") and "by --tasks or --models." in sentence
    assert [tile[1] for tile in tiles] == ["not compared"] and "furthest" not in sentence
    del results.grids["u", "shallow"]
    assert upshot(results)[0].startswith("deep extrapolates:")


def test_nothing_is_said_of_depths_that_were_not_asked(tmp_path):
    path = folder(tmp_path / "cut", models=("deep",), seeds=(0,))
    dump(path / "cells.jsonl", [cell for cell in lines(path / "cells.jsonl") if cell["depth"] <= 5])
    assert said(path)[0] == "deep was asked nothing deeper than it was trained on."
    dump(path / "cells.jsonl", [])
    assert said(path)[0] == "deep was asked nothing deeper than it was trained on."
    failed = folder(tmp_path / "failed", models=("deep",), seeds=(0,), status="diverged")
    assert said(failed)[0].startswith(
        "deep does not extrapolate: it answers 95% right at no depth, trained on depths up to 5"
    )


def test_the_deepest_asked_is_no_limit(tmp_path):
    *_, tiles = said(folder(tmp_path, truth=lambda model, depth, loops: 0.999 if model == "deep" else 0.5))
    assert tiles[1][1] == "8x+ the trained depth" and "the deepest asked" in tiles[1][2]


# the page


def test_a_report_is_one_file_without_network_and_says_what_the_table_says(tmp_path, capsys):
    page = written(capsys, folder(tmp_path, diagnostics=True)).read_text()
    assert not re.findall(r'(?:src|href)="(?!#|data:)', page) and "http" not in page and "@import" not in page
    assert said(tmp_path).sentence in page
    anchors = set(re.findall(r'href="#([^"]+)"', page))
    assert anchors and all(f'id="{anchor}"' in page for anchor in anchors)
    for run in read(tmp_path).runs:
        assert run in page
    assert "left no diagnostics" not in page and "expert use by loop" in page
    bare = written(capsys, folder(tmp_path / "bare")).read_text()
    assert "No figure of expert use, state norm and change for deep: these runs left no diagnostics." in bare


def test_no_name_is_ever_html(tmp_path, capsys):
    names = {"tasks": (f"t{NASTY}",), "models": (f"deep{NASTY}",)}
    a = folder(tmp_path / "a", diagnostics=True, rules=(f"act{NASTY}",), **names)
    b = folder(tmp_path / "b", salt=1, **names)
    for page in (written(capsys, a).read_text(), written(capsys, a, b, "--out", tmp_path / "c.html").read_text()):
        assert "<img" not in page and page.count("</script>") == 1 and "&lt;img src=x onerror=alert(1)&gt;" in page


def test_every_cell_can_be_read_off(tmp_path, capsys):
    page = written(capsys, folder(tmp_path, seeds=(0,), models=("deep",))).read_text()
    for cell in lines(tmp_path / "cells.jsonl"):
        where = f"at {cell['loops']} loops" if cell["loops"] else "stopping by act"
        loops = "" if cell["loops"] else f", {cell['mean_loops']:.1f} loops used"
        assert re.search(rf"deep, depth {cell['depth']} {where}{loops}: \S+% \(.*?\), {cell['correct']} of 128\"", page)


def test_no_two_places_of_a_page_have_one_id(tmp_path, capsys):
    alike = ("a b", "a_b", "a-b", "a@b=1", "a@b,1")
    pages = [written(capsys, folder(tmp_path / "one", tasks=("t", "t-a"), models=(*alike, "a-a b"), seeds=(0,)))]
    pages.append(written(capsys, folder(tmp_path / "x-1"), folder(tmp_path / "x_1")))
    for page in pages:
        ids = re.findall(r' id="([^"]*)"', page.read_text())
        links = re.findall(r'href="#([^"]*)"', page.read_text())
        assert len(ids) == len(set(ids)) > 5 and links and set(links) <= set(ids)


def test_rules_that_never_looped_have_a_figure_too(tmp_path, capsys):
    path = folder(tmp_path, models=("deep",))
    dump(
        path / "cells.jsonl",
        [{**c, "mean_loops": 0.0} if c["halting"] == "act" else c for c in lines(path / "cells.jsonl")],
    )
    assert "loops used by depth" in written(capsys, path).read_text()


def test_tables_name_their_rows_and_columns_and_are_scrolled_by_keys(tmp_path, capsys):
    page = written(capsys, folder(tmp_path)).read_text()
    assert (
        page.count("<table>") == page.count("<caption>") == page.count('tabindex="0" role="region" aria-label="') == 2
    )
    assert re.findall(r"<tr><(\w+)", page) == ["th"] * 6, "two heads, and two rows each"
    assert set(re.findall(r'<th scope="(\w+)"', page)) == {"row", "col"} and "<th>" not in page
    assert 'aria-label="Accuracy by depth; 95% right down to depth: deep 20, shallow 5"' in page


def test_notes_are_folded_away_behind_the_main_figure(tmp_path, capsys):
    path = folder(tmp_path)
    dump(
        path / "cells.jsonl", [cell for cell in lines(path / "cells.jsonl") if (cell["seed"], cell["depth"]) != (1, 3)]
    )
    page = written(capsys, path).read_text()
    notes = Results(read(path)).notes
    assert len(notes) > 1 and page.count('<details class="warn">') == 1
    folded = page[page.index('<details class="warn">') :]
    assert folded.startswith(f'<details class="warn"><summary>{len(notes)} notes on these records')
    assert all(note in folded.split("</details>")[0] for note in notes)
    assert page.index("How far each model goes</h3>") < page.index('<details class="warn">') < page.index("<table>")


def test_surplus_loops_are_drawn_where_they_cost_most(tmp_path):
    def truth(model, depth, loops):
        return 0.2 if depth == 1 and loops == 64 else 1.0

    grid = Results(read(folder(tmp_path, models=("deep",), truth=truth))).grids["t", "deep"]
    body = by_loops(grid).body
    assert [depth for depth in grid.depths if f">depth {depth}</span>" in body.replace("</svg>", ">")] == [
        1,
        5,
        10,
        20,
        40,
    ]


def test_a_drift_is_not_drawn_as_rest(tmp_path):
    """On an axis of decades: a change of 1/64 a loop is as far above one of 1e-6 as it is by its logarithm."""

    def changes(path, values):
        grid = Results(read(folder(path, models=("deep",), diagnostics=True))).grids["t", "deep"]
        inside = Diagnostics("run", 10, [], [300.0] * len(values), values)
        norm, change = states(grid, inside)
        assert f"The first {len(values)} loops; tests ask for up to 64." in change.caption
        marks = re.findall(r'cy="([\d.]+)" r="8" class="hit" data-t="change', change.body)
        assert "norm" in norm.title and "300" in norm.body
        return [float(y) for y in marks]

    first, second, third = changes(tmp_path, [1.0, 1e-3, 1e-6])
    assert second - first == pytest.approx(third - second, abs=0.2) and second - first > 50
    assert len(changes(tmp_path / "still", [0.5, 0.0])) == 2, "a change of nothing stands at the foot"


def test_of_many_sides_names_stand_beside_their_marks(tmp_path):
    def page(count):
        names = tuple(f"model_{i}" for i in range(count))
        results = Results(read(folder(tmp_path / str(count), models=names, seeds=(0,))))
        return figures.reach({"t": [(grid, i) for i, grid in enumerate(results.grids.values())]}).body

    few, many = page(figures.MANY), page(figures.MANY + 1)
    assert few.count("<span>") == figures.MANY + 2 and many.count("<span>") == 2, "those of the bars"
    assert "model_0</text>" not in few and all(f"model_{i}</text>" in many for i in range(figures.MANY + 1))


def test_two_sides_of_one_figure_have_colours_of_their_own_however_many_there_are(tmp_path, capsys):
    names = tuple(f"model_{i}" for i in range(7))
    a, b = (folder(tmp_path / name, models=names, salt=salt) for salt, name in enumerate("ab"))
    page = written(capsys, a, b, "--out", tmp_path / "c.html").read_text()
    shown = page.split("<h3>Accuracy by depth</h3>")[1:]
    assert len(shown) == 7 and all(len({*re.findall(r'stroke="(#\w+)"', one)[:2]}) == 2 for one in shown)
    assert page.index("<li>t, model_0: ") < page.index("How far each model goes</h3>"), "what was found comes first"


def test_the_claims_page_begins_with_a_list_of_links(capsys, tmp_path):
    page = written(capsys, ROOT / "results/reference/claims", "--out", tmp_path / "c.html").read_text()
    listed = page[: page.index("<h2")]
    links = re.findall(r'<li><a href="#(claim-[^"]+)">.*?</a> <b>(\w+)</b></li>', listed)
    assert len(links) == 14 and {verdict for _, verdict in links} == {"supported", "refuted", "inconclusive"}
    assert all(f'<h2 id="{anchor}">' in page for anchor, _ in links)


def test_a_small_page_has_a_size_too():
    assert [size("x" * length) for length in (999, 26_400, 1_250_000)] == ["1 kB", "26 kB", "1.2 MB"]


def test_a_missing_cell_is_hatched(tmp_path, capsys):
    path = folder(tmp_path, models=("deep",))
    dump(path / "cells.jsonl", [c for c in lines(path / "cells.jsonl") if not (c["depth"] == 40 and c["loops"] == 64)])
    page = written(capsys, path).read_text()
    assert page.count("depth 40, loops at test 64: not measured") == 1


def test_a_report_is_written_again_and_never_over_another_file(tmp_path, capsys):
    path = folder(tmp_path / "a")
    first = written(capsys, path).read_bytes()
    assert written(capsys, path).read_bytes() == first
    mine = tmp_path / "mine.html"
    mine.write_text("mine")
    code, _, err = told(capsys, "report", path, "--out", mine)
    assert code == 2 and "exists already" in err and mine.read_text() == "mine"
    code, _, err = told(capsys, "report", path, "--out", tmp_path / "mine.pdf")
    assert code == 2 and "ends in .html" in err and not (tmp_path / "mine.pdf").exists()


def test_two_folders_give_a_report_that_compares(tmp_path, capsys):
    a, b = folder(tmp_path / "a"), folder(tmp_path / "b", salt=1, truth=lambda *_: 0.05)
    page = written(capsys, a, b, "--out", tmp_path / "c.html").read_text()
    assert (
        "b against a: " in page
        and "t, deep: b is worse than a in" in page
        and "cells differ by more than chance" in page
    )
    other = folder(tmp_path / "other", task={"places": 12})
    code, _, err = told(capsys, "report", a, other, "--out", tmp_path / "d.html")
    assert code == 2 and "cannot be compared" in err and not (tmp_path / "d.html").exists()
    forced = written(capsys, a, other, "--out", tmp_path / "d.html", "--force").read_text()
    assert "Not comparable: task.places is 9 in a, 12 in other" in forced


# in a browser

PROBE = """<script>
const shapes = [...document.querySelectorAll("figure svg:not(.key)")];
const full = shape => shape.querySelectorAll("rect,path,circle").length > 2;
const drawn = shapes.filter(shape => shape.getBoundingClientRect().height > 30 && full(shape));
const met = shape => {  // words that stand over words
  const all = [...shape.querySelectorAll("text:not([transform])")].map(t => [t.textContent, t.getBoundingClientRect()]);
  const over = (a, b) => a.left + 1 < b.right && b.left + 1 < a.right && a.top + 4 < b.bottom && b.top + 4 < a.bottom;
  return all.flatMap(([x, a], i) => all.slice(i + 1).filter(([, b]) => over(a, b)).map(([y]) => x + " / " + y));
};
const cell = document.querySelector("[data-t]");
cell.dispatchEvent(new PointerEvent("pointerover", {bubbles: true}));
const read = document.getElementById("told").textContent;
location.hash = document.querySelector("figcaption a").getAttribute("href");
window.addEventListener("hashchange", () => parent.postMessage(JSON.stringify({
  figures: document.querySelectorAll("figure").length, shapes: shapes.length, drawn: drawn.length,
  read: read === cell.dataset.t && read.length > 10, images: document.images.length, scripts: document.scripts.length,
  wide: document.documentElement.scrollWidth, open: document.querySelectorAll("details[open]").length,
  words: Math.min(...[...document.querySelectorAll("svg text")].map(t => t.getBoundingClientRect().height)),
  cut: [...document.querySelectorAll(".scroll")].filter(t => t.scrollWidth > t.clientWidth).length,
  met: shapes.flatMap(met),
}), "*"));
</script>"""


def browsed(page, tmp_path, width=390):
    """What the page looks like from inside, in a window of this width."""
    copy, frame = tmp_path / "probed.html", tmp_path / "frame.html"
    copy.write_text(page.read_text() + PROBE)
    frame.write_text(
        f'<iframe src="probed.html" style="width:{width}px;height:900px;border:0"></iframe><script>'
        'addEventListener("message", e => { document.body.textContent = e.data })</script>'
    )
    shown = subprocess.run(
        [BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom",
         "--virtual-time-budget=5000", f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1400,1000",
         frame.as_uri()], capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert "CONSOLE" not in shown.stderr, shown.stderr
    return json.loads(
        re.search(r"\{.*\}", shown.stdout.replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">"))[0]
    )


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_draws_every_figure_and_runs_no_name(tmp_path, capsys, width):
    names = {"tasks": ("khop", f"t{NASTY}"), "models": ("deep", f"deep{NASTY}")}
    path = folder(tmp_path / "a", diagnostics=True, rules=("act", "settled", "oracle"), **names)
    seen = browsed(written(capsys, path), tmp_path, width)
    assert seen["drawn"] == seen["shapes"] == seen["figures"] >= 20
    assert seen["read"] and seen["open"] == 1
    assert seen["images"] == 0 and seen["scripts"] == 2  # the page's own, and this test's
    assert seen["wide"] <= width and seen["met"] == []
    assert seen["words"] >= 7  # pixels: nothing too small to read on a phone


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
def test_a_browser_shows_tables_at_once_where_there_is_room(tmp_path, capsys):
    names = {"tasks": ("relation_composition",), "models": ("deep", "transformer_deep")}
    path = folder(tmp_path / "a", rules=("act", "converged", "settled", "oracle"), **names)
    assert browsed(written(capsys, path), tmp_path, 1280)["cut"] == 0
    assert browsed(written(capsys, path, "--out", tmp_path / "b.html"), tmp_path, 390)["cut"] > 0  # it is scrolled


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
def test_a_browser_draws_a_comparison(tmp_path, capsys):
    a, b = folder(tmp_path / "a"), folder(tmp_path / f"b{NASTY.replace('/', '')}", salt=1, noise=0.2)
    seen = browsed(written(capsys, a, b, "--out", tmp_path / "c.html"), tmp_path)
    assert seen["drawn"] == seen["shapes"] == seen["figures"] == 5 and seen["images"] == 0 and seen["scripts"] == 2


@pytest.mark.parametrize(("floor", "share"), [(0.98, 0.99), (0.02, 0.99), (0.5, 0.62), (0.02, 0.02), (0.96, 0.1)])
def test_words_in_a_figure_stand_beside_each_other_and_beside_the_data(floor, share):
    drawn = [svg.Line("deep", [svg.Point(x, share, share, share, "told") for x in (1, 2, 5, 10, 20)], 0)]
    levels = [(0.95, "95%"), (floor, "chance, or a shortcut")]
    page = ElementTree.fromstring(svg.lines(drawn, ("depth", "accuracy"), "label", shade=5, levels=levels))
    at = {t.text: (float(t.get("x")), float(t.get("y"))) for t in page.iter("text") if t.get("class") == "faint"}
    assert at.keys() == {"95%", "chance, or a shortcut", "trained on"}
    for (name, (x, y)), (_, (other, below)) in combinations(sorted(at.items(), key=lambda one: one[1]), 2):
        assert abs(y - below) >= 9 or other - x >= 5 * len(name), at
    marks = [float(t.get("cy")) for t in page.iter("circle")]
    assert marks and min(abs(at["trained on"][1] - 3 - y) for y in marks) > 10


def test_what_was_trained_on_ends_within_the_figure():
    drawn = [svg.Line("deep", [svg.Point(1, 0.5, 0.4, 0.6, "told")], 0)]
    page = ElementTree.fromstring(svg.lines(drawn, ("depth", "accuracy"), "label", shade=5))
    (shaded,) = (t for t in page.iter("rect") if t.get("class") == "trained")
    assert float(shaded.get("x")) + float(shaded.get("width")) <= svg.WIDTH


def test_of_many_columns_those_are_named_that_have_room():
    def names(count, longest):
        columns = [str(i) for i in range(1, count)] + [longest]
        cells = [[svg.Heat("#000", "#fff", "1", "told") for _ in columns]]
        return ElementTree.fromstring(svg.heatmap(cells, ["1"], columns, ("loop", "expert"), 0, "use"))

    drawn = names(64, "64")
    foot = [float(t.get("x")) for t in drawn.iter("text") if t.text.isdigit() and t.get("text-anchor") == "middle"]
    assert len(foot) > 12 and min(b - a for a, b in pairwise(foot)) >= 12  # units: two digits and a gap
    assert not any("rotate(-60" in t.get("transform", "") for t in drawn.iter("text"))
    slanted = [t.text for t in names(11, "converged").iter("text") if "rotate(-60" in t.get("transform", "")]
    assert slanted == [*map(str, range(1, 11)), "converged"]


# what stands behind the figures


@pytest.mark.parametrize("model", MODELS)
def test_the_command_of_a_record_repeats_its_run(model, monkeypatch):
    from evaluate.run import sweep
    from evaluate.run.experiment import Experiment, override

    experiment = Experiment(TASKS["mod_chain"](), model, seed=3)
    changes = [("train.steps", "7"), ("task.modulus", "13"), ("evaluate.loops", "1,9"), ("train.blank", "0.25")]
    experiment = override(experiment, changes)
    seeds = [experiment, replace(experiment, seed=5)]
    runs = [{"experiment": e.to_json(), "task": "mod_chain", "model": model, "seed": e.seed} for e in seeds]
    words = command(runs).split()
    assert words[:3] == ["python", "run_benchmarks.py", "run"]
    asked = []
    monkeypatch.setattr(
        sweep, "sweep", lambda experiments, *_: asked.extend(experiments) or exec("raise KeyboardInterrupt")
    )
    assert run_benchmarks.main([*words[2:], "--device", "cpu"]) == 2
    assert [e.run for e in asked] == [e.run for e in seeds] == [run_id(run["experiment"]) for run in runs]


def test_the_command_names_a_plugin():
    run = {
        "experiment": {"task": {"name": "t", "plugin": "ring walk.py 123abc"}},
        "task": "t",
        "model": "rdt",
        "seed": 0,
    }
    assert "--plugin 'ring walk.py'" in command([run])


def test_a_report_of_several_folders_leaves_that_of_the_first(tmp_path, capsys):
    a, b = folder(tmp_path / "a"), folder(tmp_path / "b", salt=1)
    told(capsys, "report", a)
    before = (a / "report.html").read_bytes()
    code, out, _ = told(capsys, "report", a, b)
    assert code == 0 and out.startswith(f"{a / 'report-compared.html'}: ")
    assert (a / "report.html").read_bytes() == before != (a / "report-compared.html").read_bytes()


# plots


def test_how_far_each_goes_is_drawn_along_a_scale_with_its_ticks():
    reach = svg.Reach(0, 8.0, 2.0, 16.0, True, False, "told", "deep")
    texts = [
        (one.text, float(one.get("x")))
        for one in ElementTree.fromstring(svg.reaches([("walk", "to 5", [reach])], "label")).iter()
        if one.tag.endswith("text")
    ]
    ticks = [(told, x) for told, x in texts if re.fullmatch(r"0|\d+x", told)]
    assert [told for told, _ in ticks] == ["0", "1x", "2x", "4x", "8x", "16x"]
    assert [x for _, x in ticks] == sorted(x for _, x in ticks) and {"walk", "to 5"} <= {told for told, _ in texts}


def test_a_list_and_a_variants_name_may_take_several_lines_and_no_other_cell_may():
    shown = table("models", ["model", "halts"], [["rdt@halting=none", "never"], ["rdt", "act; settled"]])
    assert re.findall(r'<t[hd][^>]*class="list"[^>]*>([^<]*)', shown) == ["rdt", "act; settled"]
    assert shown.count("<wbr>@") == 1


def test_plots_are_png_and_svg_with_every_name_as_it_is(tmp_path, drawing):
    path = folder(tmp_path / "a", tasks=("t$x_1$",), models=("deep", "sha/llow"))
    made = plots.draw_all(Results(read(path)), tmp_path / "plots")
    assert {file.suffix for file in made} == {".png", ".svg"} and len(made) == 10  # each model, both, by depth, reach
    assert all(file.exists() and file.parent == tmp_path / "plots" for file in made)
    for file in made:
        if file.suffix == ".png":
            assert file.read_bytes()[:4] == b"\x89PNG" and file.stat().st_size > 5000
        else:
            ElementTree.parse(file)
    again = plots.draw_all(Results(read(path)), tmp_path / "again")
    assert [file.read_bytes() for file in made if file.suffix == ".svg"] == [
        file.read_bytes() for file in again if file.suffix == ".svg"
    ]


def test_names_that_no_file_name_tells_apart_have_files_of_their_own(tmp_path):
    made, names = [], ("a@b=1.5", "a@b=1_5", "a@b=1,5", *(f"{'a' * 120}{end}" for end in "xy"))
    for name in names:
        made += plots.saved(plots.plt.figure(), tmp_path, name, made)
    assert len(set(made)) == len(list(tmp_path.iterdir())) == 2 * len(names)
    assert [file.name for file in made[:6:2]] == ["a_b_1_5.png", "a_b_1_5-2.png", "a_b_1_5-3.png"]


def test_models_that_loop_stand_in_rows_the_deepest_first_and_columns_are_as_wide_in_each(tmp_path):
    path = folder(tmp_path, models=("also", "deep", "shallow"))
    grids = [grid for grid in Results(read(path)).grids.values()]
    assert [[grid.model for grid in row] for row in plots.in_rows(grids)] == [["deep", "shallow"], ["also"]]
    assert [[grid.model for grid in row] for row in plots.in_rows(grids[-1:])] == [["shallow"]]
    figure = plots.heatmap(grids)
    figure.canvas.draw()
    panels = {axes.get_title(): axes for axes in figure.axes if axes.get_title()}
    assert panels.keys() == {"deep", "shallow", "also"}
    wide = [axes.get_position().width / len(axes.get_xticks()) for axes in panels.values()]
    assert max(wide) < 1.1 * min(wide)
    tops = {name: axes.get_position().y0 for name, axes in panels.items()}
    assert tops["deep"] == pytest.approx(tops["shallow"]) and tops["also"] < tops["deep"]


def marked(figure):
    """Each mark of the figure of reach: task and (colour, shape) to the ratio, its bar, and whether a + stands by."""
    axes = figure.axes[0]
    lines = [(line.get_ydata()[0], line) for line in axes.lines if len(line.get_ydata())]  # those of a legend have none
    marks = {y: line for y, line in lines if line.get_marker() != "None"}
    bars = {y: tuple(line.get_xdata()) for y, line in lines if line.get_alpha() == 0.5}
    more = {text.xy[1] for text in axes.texts}
    found = {}
    for y, line in sorted(marks.items()):
        look = line.get_color(), line.get_marker()
        task = min(zip(axes.get_yticks(), axes.get_yticklabels(), strict=True), key=lambda tick: abs(tick[0] - y))[1]
        found[task.get_text(), look] = (float(line.get_xdata()[0]), bars[y], y in more)
    return found


def test_how_far_each_model_goes_is_marked_in_its_colour_and_all_seeds_lie_in_its_bar(tmp_path):
    def truth(model, depth, loops):
        return reach({"far": "deep"}.get(model, "shallow"), depth, loops)

    folder(tmp_path / "a", tasks=("first",), models=("far", "near"), truth=truth)
    folder(
        tmp_path / "b",
        tasks=("second",),
        models=("also", "far"),
        truth=truth,
        depths={1: "train", 5: "train", 20: "test"},
    )
    for name in ("runs.jsonl", "cells.jsonl"):
        dump(tmp_path / name, lines(tmp_path / "a" / name) + lines(tmp_path / "b" / name))
    results = Results(read(tmp_path))
    places = looks(("far", "near", "also"))
    far, near, also = (look(places[model])[:2] for model in ("far", "near", "also"))
    assert marked(plots.reach(results, places)) == {
        ("first\n5 to 40", far): (4.0, (4.0, 4.0), False),
        ("first\n5 to 40", near): (1.0, (1.0, 1.0), False),
        ("second\n5 to 20", far): (4.0, (4.0, 4.0), True),
        ("second\n5 to 20", also): (1.0, (1.0, 1.0), False),
    }
    grids = [grid for (task, _), grid in results.grids.items() if task == "second"]
    axes = plots.by_depth("second", grids, places).axes[0]
    assert [(line.get_color(), line.get_marker()) for line in axes.lines[:2]] == [far, also]
    assert len({look(place) for place in range(49)}) == 49


def test_a_model_of_the_suite_has_one_look_whatever_stands_beside_it():
    alone, turned = looks(["gru", "rdt"]), looks(["mine", "rdt", "gru", "another"])
    assert list(turned) == ["mine", "rdt", "gru", "another"], "the order of legends"
    assert all(alone[model] == turned[model] == SUITE.index(model) for model in ("rdt", "gru"))
    assert len(set(turned.values())) == 4 and turned["another"] < turned["mine"], "by name"
    assert set(MODELS) == set(SUITE) and len({look(place).colour for place in looks(SUITE).values()}) == len(SUITE)
    drawn = {svg.marker(place, 0, 0).split('"')[1] for place in range(len(MARKS))}
    assert len(drawn) == len(MARKS), "a shape for each mark on a page too"


def test_bars_over_seeds_and_over_questions_are_drawn_apart(tmp_path):
    def drawn(seeds):
        results = Results(read(folder(tmp_path / str(seeds), models=("deep",), seeds=range(seeds))))
        figure, page = plots.reach(results, {"deep": 0}), report(results)
        (legend,) = [one for one in figure.legends if len(one.get_texts()) == 2]
        assert [text.get_text().split(":")[0] for text in legend.get_texts()] == ["bar", "thin"]
        broad = [line for line in figure.axes[0].lines if line.get_alpha() == 0.5]
        svgs = re.sub(r'<svg[^>]*class="key".*?</svg>', "", page)
        return len(broad), len(figure.axes[0].collections), svgs.count('class="range"'), svgs.count('class="questions"')

    assert drawn(2) == (1, 0, 1, 0) and drawn(1) == (0, 2, 0, 3)


def test_where_no_run_has_an_answer_the_marks_stand_at_zero(tmp_path):
    results = Results(read(folder(tmp_path / "a", status="diverged")))
    marks = marked(plots.reach(results, {"deep": 0, "shallow": 1}))
    assert len(marks) == 2 and set(marks.values()) == {(0.0, (0.0, 0.0), False)}
    assert {task for task, _ in marks} == {"t\n5 to -"}


def luminance(colour):
    """Relative luminance by the definition of WCAG 2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def test_colours_are_legible_in_grey_and_apart_for_the_colour_blind():
    shares = np.linspace(0, 1, 101)
    grey = [luminance(heat(share)) for share in shares]
    assert all(a < b for a, b in pairwise(grey))
    for share in shares:
        pair = sorted((luminance(heat(share)), luminance(ink(share))))
        assert (pair[1] + 0.05) / (pair[0] + 0.05) > 4.0
    assert len(CIVIDIS) == 10 and len(set(LINES)) == len(LINES) == len(MARKS)
