"""The READMEs: every command is carried out, or at least taken by the real front door; links, pictures, tables."""

import json
import re
import shlex
import shutil
import unicodedata
from importlib.metadata import version
from itertools import pairwise, product
from math import ceil

import numpy as np
import pytest

import run_benchmarks
from evaluate.commands import asking
from evaluate.records import read
from evaluate.run import board, experiment
from evaluate.run import sweep as sweeping
from evaluate.run.extrapolation import questions
from evaluate.run.presets import PRESETS, RECIPES, UNSEEN
from evaluate.show import example, plots, tables, written
from evaluate.show.colours import looks
from evaluate.show.grid import Results
from evaluate.show.measures import furthest_first
from evaluate.statistics import wilson
from evaluate.study import audit, bench_tasks
from evaluate.study.bench_model import open_mythos
from evaluate.study.claims import carry as claims
from model import MODELS, SUMMARIES
from tasks import TASKS, TEST, TRAIN, content_split, draw, plugin
from tests.pages import (
    PAGES,
    README,
    ROOT,
    SAID,
    lines_of,
    rows,
)

NOT_RUN = {
    "make bench": "minutes; what it calls is run by tests/test_command_line.py",
    "make test": "is what runs this",
    "python3 -m venv .venv": "the Makefile's first step",
    ".venv/bin/python -m pytest -q tests": "is what runs this",
    "ray start --head": "needs a cluster; tests/test_cluster.py has one",
    "ray start --address HEAD:6379": "needs a cluster; tests/test_cluster.py has one",
    "python -m pip install --no-deps open-mythos==0.5.0": "needs the network",
}
"""Lines that no test carries out, and why."""


def lines() -> list[str]:
    """Every line of every command block, without comments."""
    blocks = [block for page in PAGES.values() for block in re.findall(r"```bash\n(.*?)```", page, re.S)]
    return [line for block in blocks for text in block.splitlines() if (line := text.split("  #")[0].strip())]


def mentioned() -> list[str]:
    """Every command in the prose, with names and numbers in the place of what stands for them."""
    given = {"TASK": "mod_chain", "DIR": "results/quick", "OTHER": "results/mine", "FILE": "found.jsonl", "D": "3"}
    found = [text for page in PAGES.values() for text in re.findall(r"`(python run_benchmarks\.py[^`]*)`", page)]
    return [" ".join(given.get(word, word) for word in text.split()) for text in found]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder in which the commands find what they name; nothing is trained, audited or measured there."""
    held = (MODELS, SUMMARIES, TASKS)
    before = [dict(one) for one in held]
    monkeypatch.chdir(tmp_path)
    for name, of in (
        ("quick", "quick"),
        ("mine", "quick"),
        ("reference/quick", "quick"),
        ("reference/all", "all"),
        ("reference/rates", "rates"),
        ("rates", "rates"),
        ("reference/ablation", "ablation"),
        ("reference/confirmation", "confirmation"),
        ("reference/one_length", "one_length"),
        ("claims", "claims"),
        ("reference/claims", "claims"),
    ):
        shutil.copytree(ROOT / "results/reference" / of, tmp_path / "results" / name)
    shutil.copytree(ROOT / "tests", tmp_path / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    (mine,) = re.findall(r"```python\n(.*?)```", README, re.S)
    (tmp_path / "mine.py").write_text(mine)
    (asked,) = example.lines(TASKS["mod_chain"](), [8], "test", 0, 1)
    (tmp_path / "answered.jsonl").write_text(json.dumps({**json.loads(asked), "given": "1"}))
    swept = []
    monkeypatch.setattr(sweeping, "sweep", lambda experiments, out, machine: swept.append((experiments, out, machine)))
    monkeypatch.setattr(audit, "audit", lambda *_: [])
    monkeypatch.setattr(asking, "answered", lambda *_: [])
    monkeypatch.setattr(bench_tasks, "bench_tasks", lambda tasks: [])
    monkeypatch.setattr(claims, "reckon", lambda *_: (0, 0.0))
    monkeypatch.setattr(claims, "carry", lambda *_: [])
    monkeypatch.setattr(board, "check_installed", lambda: None)
    yield swept
    for source in plugin.sources():
        plugin.forget(source.module)
    for one, was in zip(held, before, strict=True):
        one.clear()
        one.update(was)


def test_every_command_is_one_that_the_front_door_takes(place, capsys):
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M))
    runs = 0
    for line in [*lines(), *mentioned()]:
        words = [word for word in shlex.split(line) if not re.fullmatch(r"[A-Z_]+=\S+", word)]
        if words[0] == "make":
            assert words[1] in targets, line
        if line in NOT_RUN:
            continue
        if "pip" in words:
            for option, name in pairwise(words):
                assert option not in ("-r", "-c") or (ROOT / name).is_file(), line
            continue
        words = words[words.index("run_benchmarks.py") + 1 :]
        if "tests/own_mythos.py" in words and open_mythos() is None:
            continue  # the package is an extra
        runs += not words or words[0] == "run"
        assert run_benchmarks.main(words) == 0, (line, capsys.readouterr().err)
    assert len(place) == runs > 8
    for experiments, _, _ in place:
        assert experiments and all(isinstance(e, experiment.Experiment) for e in experiments)


def test_what_is_not_run_is_still_there():
    assert set(NOT_RUN) <= set(lines())


def test_the_example_is_what_is_shown(capsys):
    (line,) = {text for text in mentioned() if text.startswith("python run_benchmarks.py show mod_chain --depth 5")}
    assert run_benchmarks.main(shlex.split(line)[2:]) == 0
    assert f"```\n{capsys.readouterr().out.split(chr(10) * 2)[1].strip()}\n```" in README


def pinned(package):
    return re.search(rf"^{package}==(.*)$", (ROOT / "constraints.txt").read_text(), re.M)[1]


@pytest.mark.skipif(version("matplotlib") != pinned("matplotlib"), reason="another matplotlib draws otherwise")
@pytest.mark.parametrize("name", ["all/plots/reach", "quick/plots/reach", "quick/plots/khop_facts-by-loops"])
def test_the_pictures_are_drawn_from_the_records(name, tmp_path):
    folder, _, drawn = name.split("/")
    results = Results(read(ROOT / "results/reference" / folder))
    if drawn == "reach":
        figure = plots.reach(results, looks(furthest_first(results)))
    else:
        figure = plots.heatmap([grid for (task, _), grid in results.grids.items() if task == drawn.split("-")[0]])
    plots.saved(figure, tmp_path, drawn, [])
    made = ROOT / "results/reference" / f"{name}.svg"
    assert made.read_bytes() == (tmp_path / made.name).read_bytes()
    assert made.with_suffix(".png").stat().st_size > 50_000 or folder == "quick"


def test_the_summary_is_what_the_records_say():
    summary = tables.summary(Results(read(ROOT / "results/reference/quick")), "github")
    assert summary in README


def test_the_quick_start_makes_the_runs_whose_summary_is_shown():
    records = read(ROOT / "results/reference/quick")
    assert set(records.runs) == {one.run for one in PRESETS["quick"]()}


def different(name: str, depth: int) -> int:
    """How many questions of a trained depth differ among the 128 rows that ask all of them."""
    asked = questions(TASKS[name](), TASKS[name]().train_depths[-1], 128, 0)
    end = int((asked.depths == depth).any(axis=0).nonzero()[0].max()) + 1
    return len(np.unique(asked.tokens[:, :end], axis=0))


def test_the_summary_is_what_a_few_lines_of_json_say():
    """The same table, by nothing of ours."""
    runs, cells = lines_of("quick", "runs.jsonl"), lines_of("quick", "cells.jsonl")
    made = []
    for run in sorted(runs, key=lambda run: (run["task"], run["model"])):
        own = [cell for cell in cells if cell["run"] == run["run"] and cell["halting"] in ("fixed", "none")]
        most = max(cell["loops"] or 0 for cell in own)
        share = {cell["depth"]: cell["correct"] / cell["count"] for cell in own if (cell["loops"] or 0) == most}
        good = [all(share[before] >= 0.95 for before in share if before <= depth) for depth in sorted(share)]
        depth95 = max([depth for depth, held in zip(sorted(share), good, strict=True) if held], default=0)
        trained, deepest = (int(1000 * share[depth] + 1e-9) / 10 for depth in (run["train_max_depth"], max(share)))
        made.append(
            [
                run["task"], run["model"], f"{round(run['parameters'] / 1000):,}k", f"{run['train_flops']:.1e}",
                f"{trained:g} at {run['train_max_depth']}", f"{deepest:g} at {max(share)}",
                f"{depth95}{'+' * (depth95 == max(share))} ({depth95 / run['train_max_depth']:g}x)",
            ]
        )  # fmt: skip
    assert made == [[cell.replace(".0 at", " at") for cell in row] for row in rows("       task")]
    told = "Each cell holds 128 questions (fewer different ones at depths 1 and 2, the beginnings of deeper rows: of "
    told += "`mod_chain` {} and {});".format(*(different("mod_chain", depth) for depth in (1, 2)))
    assert {cell["count"] for cell in cells} == {128} and told in SAID and different("mod_chain", 3) > 120
    others = {run["run"] for run in runs if run["model"] not in ("rdt", "looped_normed")}
    right = {depth: [c["correct"] / 128 for c in cells if c["depth"] == depth and c["run"] in others
                     and c["halting"] != "oracle"] for depth in (20, 80)}  # fmt: skip
    most = [ceil(100 * max(shares)) for shares in right.values()]
    told = (
        f"with whatever number of loops, get at most {most[0]}% right at depth 20, and at most {most[1]}%, hardly more"
    )
    assert told in SAID
    assert f"128 right of 128 gives a 95% interval that begins at {100 * wilson(128, 128)[0]:.1f}%" in " ".join(
        README.split()
    )
    assert max(cell["loops"] or 0 for cell in cells) == 640 and "the most loops asked for (640)" in SAID


def test_the_tasks_are_what_the_code_says():
    def percent(share: float) -> str:
        return f"{100 * share:.1f}".removesuffix(".0") + "%"

    told = [[name.strip("`"), *rest] for name, _, *rest in rows(" task | depth")]
    assert told == [
        [
            name, f"{task.train_depths[0]}-{task.train_depths[-1]}" + " *" * (len(task.stages) > 1),
            str(task.test_depths[-1]), percent(task.chance), "fixed" if task.fixed_length else "grows",
        ]
        for name, task in ((name, TASKS[name]()) for name in TASKS)
    ]  # fmt: skip


def test_prefix_sum_holds_out_as_few_rows_of_ten_bits_as_is_said():
    task = TASKS["prefix_sum"]()
    bits = np.array(list(product((0, 1), repeat=task.train_depths[-1])))
    rows = np.concatenate([np.full((len(bits), 1), task.vocabulary.index("^")), bits], axis=1)
    held = (content_split(task.canonical(rows)) == TEST).sum()
    drawn = len(np.unique(questions(task, task.train_depths[-1], 128, 0).tokens, axis=0))
    assert f"has only {held} rows of ten bits" in SAID and f"has {drawn} different ones there" in SAID


def seen_in_training(name: str, steps: int) -> float:
    """The share of 128 held-out rows whose first `steps` steps began a row of training by the recipe."""
    task, train = TASKS[name](), RECIPES[name].train
    deepest = task.train_depths[-1]
    asked = questions(task, deepest, 128, 0)
    end = int((asked.depths == steps).any(axis=0).nonzero()[0].max()) + 1
    wanted = {row[:end].tobytes() for row in asked.tokens}
    rows_of = (draw(task, 0, TRAIN, deepest, step, train.batch).tokens for step in range(train.steps))
    seen = {key for tokens in rows_of for row in tokens if (key := row[:end].tobytes()) in wanted}
    return len(seen) / len(wanted)


def test_shallower_questions_of_held_out_rows_were_seen_in_training_where_that_is_said():
    told = "nearly all of them in `khop_facts`, `mod_chain` and `prefix_sum`, none of four numbers or more in "
    assert f"these may have been seen in training: {told}`n_ary_addition`." in SAID
    for name, steps in (("khop_facts", 4), ("mod_chain", 4), ("prefix_sum", 8)):
        assert seen_in_training(name, steps) > 0.9
    assert seen_in_training("n_ary_addition", 4) == 0


def test_what_is_said_of_shortcuts_is_what_the_audit_says():
    best: dict[tuple[str, int], dict] = {}
    scores: dict[tuple[str, int, str], float] = {}
    for row in map(json.loads, (ROOT / "results/reference/audit.jsonl").read_text().splitlines()):
        key = row["task"], row["depth"]
        best[key] = max(best.get(key, row), row, key=lambda one: one["score"])
        scores[row["task"], row["depth"], row["shortcut"]] = row["score"]
    over = {key for key, row in best.items() if row["score"] - row["chance"] > 0.05}
    assert {task for task, _ in over} == {"prefix_sum", "p_hop_induction", "nested_expression", "carry_chain"}
    assert all(TASKS[task].known_shortcut for task, _ in over) and set(UNSEEN) == set(TASKS)
    assert "In four tasks an audited shortcut is more than 5 points above chance." in SAID
    assert sorted(depth for task, depth in over if task == "p_hop_induction") == [6, 7, 8, 10, 12, 14, 16]
    assert sorted(depth for task, depth in over if task == "nested_expression") == [20, 22, 25]
    assert all((task, depth) in best for task, depths in UNSEEN.items() for depth in depths)
    assert {task for task, _ in best} == set(TASKS) and {row["count"] for row in best.values()} == {2000}
    near, most, far = (f"{best['prefix_sum', depth]['score']:.0%}" for depth in (40, 80, 160))
    assert f"({near} at 40 bits, {most} at 80, {far} at 160; of the depths of `confirmation` " in SAID
    near, most, far = (f"{best['prefix_sum', depth]['score']:.0%}" for depth in UNSEEN["prefix_sum"])
    assert f"{near} at 60, {most} at 120, {far} at 240)" in SAID
    asked = TASKS["p_hop_induction"]().test_depths
    walked = [best["p_hop_induction", depth] for depth in asked]
    assert {row["shortcut"] for row in walked} == {"ahead"} and asked == (6, 8, 12, 16)
    begun = [f"{scores['p_hop_induction', depth, 'around']:.0%}" for depth in asked]
    ahead = [f"{row['score']:.0%}" for row in walked]
    told = "gets {} of six moves right, {} of eight, {} of 12 and {} of 16; ".format(*begun)
    told += "from where the trained three moves lead, {}, {}, {} and {}; ".format(*ahead)
    assert told + f"guessing gets {walked[0]['chance']:.0%}." in SAID
    counted = {depth: best["carry_chain", depth] for depth in (10, 40, 50)}
    assert {row["shortcut"] for row in counted.values()} == {"corrected"}
    assert {depth for task, depth in over if task == "carry_chain"} == {*TASKS["carry_chain"]().test_depths, 14, 30, 50}
    shares = {depth: f"{row['score']:.0%}" for depth, row in counted.items()}
    assert "is right in 60% at 10 columns, and a learner by such counts" in SAID, "as tests/test_audit.py measures it"
    told = f"and a learner by such counts in {shares[40]} at 40 ({shares[50]} at 50, which only"
    assert told in SAID
    last = best["nested_expression", 25]
    assert last["shortcut"] == "last_steps"
    assert f"the last four of 25 get {last['score']:.0%} right, and guessing {last['chance']:.0%}." in SAID


def test_what_is_said_of_questions_that_count_once_or_more_is_so():
    def alike(name, depth, count):
        rows = questions(TASKS[name](), depth, count, 0)
        walks = TASKS[name]().hops // depth
        starts = rows.tokens[:, TASKS[name]().facts_length :: depth][:, :walks]
        return 1 - sum(len(set(row.tolist())) for row in starts) / starts.size

    assert f"{alike('khop_context', 1, 128):.1f}" == "0.2" and f"{alike('khop_context', 6, 128):.0%}" == "3%"
    again = [
        1 - different(name, depth) / 128 for name, depth in (("prefix_sum", 10), ("mod_chain", 1), ("khop_facts", 1))
    ]
    assert all(abs(share - told) < 0.04 for share, told in zip(again, (1 / 3, 1 / 2, 1 / 3), strict=True))
    told = "(of ten bits in `prefix_sum` a third are; of one step in `mod_chain` half, in `khop_facts` a third)"
    assert told in SAID
    alone = questions(TASKS["mod_chain"](), 1, 128, 0).tokens
    told = f"of depth 1 of `mod_chain` there are {len(np.unique(alone, axis=0))} different ones, so that 128 lines hold"
    assert told in SAID


def test_a_question_of_all_steps_of_a_chain_begins_where_no_edge_leads_to():
    grid = Results(read(ROOT / "results/reference/all")).grids["chain_end", "transformer"]
    right = dict(zip(grid.depths.tolist(), grid.shares[0, :, grid.headline()].tolist(), strict=True))
    assert f"of 5 to 12 ({written.points(right[8])}% at 8, {written.points(right[16])}% at 16, as it guesses" in SAID
    assert max(right[depth] for depth in (5, 6, 8, 12)) < right[16]
    for name in ("chain_end", "tree_path", "reachability"):
        task, share = TASKS[name](), {}
        for depth in (*task.train_depths, 5, 8, 12, 14, 16):
            rows = questions(task, depth, 40, 0)
            begun = []
            for tokens, depths in zip(rows.tokens, rows.depths, strict=True):
                facts = tokens[: task.facts_length]
                for place in np.flatnonzero(depths == depth):
                    start = tokens[place - task.question_length + 1 : place + 1]
                    begun.append(min((facts == node).sum() for node in start if (facts == node).any()) == 1)
            share[depth] = np.mean(begun)
        assert {depth for depth, of in share.items() if of == 0} == {1, 2, 3, 5, 8, 12, 14} and share[16] == 1
        assert abs(share[4] - 3 / 5) < 0.03 and "and in training three in five of the deepest do:" in SAID


def test_every_link_leads_somewhere():
    for name, page in PAGES.items():
        for link, anchor in re.findall(r"\]\(([^)#:]*)(#[^)]+)?\)", page):
            target = (ROOT / name).parent / link.replace("\\", "") if link else ROOT / name
            assert target.exists(), f"{name}: {link}"
            if anchor:
                heads = re.findall(r"^#+ (.+)$", target.read_text(), re.M)
                held = ["#" + re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads]
                assert anchor in held, f"{name}: {link}{anchor}"


def test_the_citation_holds_every_paper_that_the_code_names():
    text = (ROOT / "CITATION.cff").read_text()
    assert text.startswith("cff-version: 1.2.0\n") and "license: MIT\n" in text
    files = [path for room in ("tasks", "model", "evaluate") for path in (ROOT / room).rglob("*.py")]
    named = {paper for path in files for paper in re.findall(r"\b\d{4}\.\d{4,5}\b", path.read_text())}
    cited = set(re.findall(r'url: "https://arxiv\.org/abs/(\d{4}\.\d{4,5})"', text))
    assert named and named <= cited, named - cited
    assert "the loopbench authors" in (ROOT / "LICENSE").read_text()


def test_who_is_named_in_code_with_a_year_is_cited_with_it():
    """By first author, plainly spelt."""

    def plain(name: str) -> str:
        return unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()

    entries = (ROOT / "CITATION.cff").read_text().split("  - type: ")[1:]
    first = [re.search(r'family-names: "(?P<name>[^"]+)"(?:.|\n)*year: (?P<year>\d+)', entry) for entry in entries]
    cited = {(plain(match["name"]), match["year"]) for match in first if match}
    person = r"[A-Z][A-Za-z]+"
    named = re.compile(rf"\b({person})(?: et al\.|(?:, {person})*,? and {person})?,? \(?((?:19|20)\d\d)\b(?!\.\d)")
    files = [path for room in ("tasks", "model", "evaluate") for path in (ROOT / room).rglob("*.py")]
    told = {match for path in files for match in named.findall(plain(path.read_text()))}
    assert len(told) > 25 and told <= cited, told - cited


def test_the_citation_is_yaml_of_the_right_form():
    held = pytest.importorskip("yaml").safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors", "references"} <= set(held)
    assert held["cff-version"] == "1.2.0" and held["authors"] == [{"name": "the loopbench authors"}]
    for paper in held["references"]:
        assert {"type", "title", "authors"} <= set(paper) <= {"type", "title", "authors", "year", "url"}
        assert (
            paper["type"] in ("article", "book", "software", "website")
            and paper["title"]
            and isinstance(paper["year"], int)
        )
        assert all(set(who) in ({"name"}, {"family-names", "given-names"}) for who in paper["authors"])
