"""In a terminal a wide table goes on below, and nothing is lost; elsewhere nothing changes."""

import os
import pty
import random
import re
import subprocess
import sys
import termios
from contextlib import suppress
from pathlib import Path

import pytest

from evaluate.show import tables
from evaluate.show.rows import lined
from evaluate.show.screen import fitted
from tests.fakes import results

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("seed", range(20))
def test_a_wide_table_goes_on_below_and_nothing_is_lost(seed):
    rng = random.Random(seed)
    heads = ["task", "depth", *(f"c{i}" * rng.randint(1, 4) for i in range(rng.randint(2, 30))), "used"]
    rows = [[f"t{i}", str(i), *(" of ".join("9" * rng.randint(1, 6) for _ in range(2)) for _ in heads[2:])]
            for i in range(rng.randint(1, 6))]  # fmt: skip
    width = rng.randint(50, 100)
    text = "above it\n" + lined(heads, rows, "simple") + "\nand below"
    blocks = fitted(text, width).removeprefix("above it\n").removesuffix("\nand below").split("\n\n")
    found = [[], *([] for _ in rows)]
    for block in blocks:
        head, ruler, *body = block.split("\n")
        assert all(len(line) <= width for line in [head, ruler, *body]) and len(body) == len(rows)
        spans = [found.span() for found in re.finditer("-+", ruler)]
        for place, line in enumerate([head, *body]):
            cells = [line[a:b].strip() for a, b in spans]
            assert cells[:2] == [heads, *rows][place][:2], "each part names its rows"
            found[place] += cells[2:]
    assert found == [line[2:] for line in [heads, *rows]]
    assert blocks[-1].split("\n")[0].split()[-2:] == heads[-2:], "what was used stands beside the rule that used it"


@pytest.mark.parametrize("text", [
    "no -- here\n\nat all",
    "a  b\n-  -\n1  2\nfits",
    "| a | b |\n|---|---|\n| 1 | 2 |",
    "---\n-----  ------",
    "",
])  # fmt: skip
def test_what_is_no_wide_table_stays_as_it_is(text):
    assert fitted(text, 10) == text


def test_long_lines_go_on_under_what_they_say_and_commands_stay_whole():
    told = fitted(
        "  name  what it is and more\nsome words that go on\n  python run_benchmarks.py table results/quick", 20
    )
    assert told.splitlines() == [
        "  name  what it is",
        "        and more",
        "some words that go",
        "on",
        "  python run_benchmarks.py table results/quick",
    ]


def test_what_stands_below_a_table_is_no_row_of_it():
    heads = ["model" * 14, "score", "interval", "lacks"]
    text = lined(heads, [["m", "9x", "8 to 9", "-"]], "simple") + "\nscore: a mean over tasks of what each\n"
    blocks = fitted(text, 85).split("\n\n")
    assert len(blocks) > 1 and "score: a mean" not in "".join(blocks[:-1]) and blocks[-1].count("score: a mean") == 1


def test_a_row_whose_last_cell_is_empty_is_folded_with_the_others():
    rows = [["d1", "a" * 30, "b" * 30, "*"], ["d2", "c" * 30, "d" * 30, ""]]
    text = lined(["depth", "first", "second", "at 640"], rows, "simple")
    assert len({len(line) for line in text.splitlines()}) > 1, "as it is printed"
    for block in fitted(text, 50).split("\n\n"):
        assert [line.split()[0] for line in block.splitlines()] == ["depth", "-----", "d1", "d2"]


def test_a_table_that_folding_cannot_help_stays_whole():
    wide = lined(["task", "score", "size"], [["t" * 90, "1", "2"]], "simple")
    assert fitted(wide, 80) == wide
    ledger = "claim  measured  seeds\n-----  --------  -----\n1 it   90% of    3    \n       them           "
    assert fitted(ledger, 14) == ledger


def parts(text):
    """Of each part of the folded tables: its heads, and its rows as cells."""
    for block in text.split("\n\n"):
        written = block.splitlines()
        for at, line in enumerate(written):
            if line.startswith("---"):
                spans = [found.span() for found in re.finditer("-+", line)]
                rows = [below for below in written[at + 1 :] if len(below) == len(line)]
                yield [[row[a:b].strip() for a, b in spans] for row in [written[at - 1], *rows]]


@pytest.mark.parametrize("section, width", [("ratios", 105), ("seeds", 130)])
def test_every_part_says_of_what_each_row_is(section, width):
    text = tables.show(results(ROOT / "results/reference/rates"), sections=[section])
    found = list(parts(fitted(text, width)))
    assert len(found) > 1 or section == "ratios"
    for heads, *rows in found:
        of = [at for at, head in enumerate(heads) if head in ("task", "model", "seed")]
        named = [tuple(row[at] for at in of) for row in rows]
        assert rows and len(named) == len(set(named)), "no two rows have the same names"


def test_what_belongs_together_stays_together():
    text = tables.show(results(ROOT / "results/reference/quick"), sections=["bands", "measures"])
    for width in range(60, 120):
        heads = [heads for heads, *_ in parts(fitted(text, width))]
        for left, right in (("accuracy", "95% interval"), ("median", "IQM"), ("depth95", "range")):
            (held,) = (one for one in heads if left in one)
            assert held[held.index(left) + 1 :][:1] == [right]


def test_a_rule_that_falls_short_is_not_told_what_it_saves():
    rules = [
        {"rule": "act", "depth95": 3, "halting_cost": 0.4},
        {"rule": "settled", "depth95": 16, "halting_cost": 1.1},
    ]
    for deepest, told in ((40, "16 for 1.1x"), (16, "16+ for 1.1x")):
        row = {"depth95": 16, "deepest": deepest, "rules": rules}
        assert [tables.by_rule(row, rule) for rule in ("act", "settled", "graves")] == ["3", told, "-"]


def test_every_section_fits_a_terminal_of_eighty_columns():
    for name in ("quick", "all"):
        text = tables.show(results(ROOT / "results/reference" / name), sections=tables.SECTIONS)
        assert max(map(len, text.splitlines())) > 100
        assert [line for line in fitted(text, 80).splitlines() if len(line) > 80] == []
        assert all(len(line) <= 80 for line in text.splitlines() if "  " not in line), "no legend needs it"


def in_a_terminal(columns, *words):
    """What a verb shows on the committed records, in a terminal of so many columns."""
    there, here = pty.openpty()
    termios.tcsetwinsize(here, (24, columns))
    bare = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    child = subprocess.Popen([sys.executable, "run_benchmarks.py", *words], cwd=ROOT, stdout=here, env=bare)
    os.close(here)
    shown = b""
    with suppress(OSError):  # the end of a terminal
        while part := os.read(there, 4096):
            shown += part
    assert child.wait() == 0
    return shown.decode().replace("\r\n", "\n")


def piped(*words):
    run = subprocess.run(
        [sys.executable, "run_benchmarks.py", *words], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return run.stdout


def test_a_terminal_is_asked_for_its_width_and_a_file_is_not():
    words = ["table", "results/reference/quick", "--section", "grid,summary"]
    for shown, fits in ((in_a_terminal(60, *words), True), (piped(*words), False)):
        ruled = [line for line in shown.splitlines() if line.startswith("---")]
        assert ruled and (max(map(len, ruled)) <= 60) is fits


@pytest.mark.parametrize("style", ["github", "plain", "latex", "csv", "json"])
def test_what_is_not_for_people_is_the_same_in_a_terminal(style):
    words = ["table", "results/reference/quick", "--section", "bands", "--format", style]
    assert in_a_terminal(40, *words) == piped(*words)


@pytest.mark.parametrize("style", ["github", "json"])
def test_so_is_a_ledger(style):
    words = ["claims", "--show", "results/reference/claims", "--format", style]
    assert in_a_terminal(40, *words) == piped(*words)
