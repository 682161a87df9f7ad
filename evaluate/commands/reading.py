"""The verbs that show what a folder of records holds. None of them loads torch."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from evaluate.commands.options import Parser, add_format, names, not_empty
from evaluate.show.screen import tell

if TYPE_CHECKING:
    from evaluate.show.grid import Results


def add_selection(parser: Parser) -> None:
    parser.add_argument("--tasks", help="only these, comma-separated")
    parser.add_argument("--models", help="only these, comma-separated")
    parser.add_argument("--rule", help="what headlines stand on: act, 40, ... (default the most loops asked for)")


def results_of(folder: Path, known: argparse.Namespace) -> Results:
    """What a folder holds of the tasks and models that were asked for."""
    from evaluate import records
    from evaluate.show.grid import Results
    from evaluate.show.tables import heading

    not_empty(known, "tasks", "models")
    held = records.read(folder)
    if known.format not in ("csv", "json", "latex"):
        print(heading(held), flush=True)
    results = Results(held)
    results.only(names(known.tasks or ""), names(known.models or ""))
    return results


def table(arguments: Sequence[str]) -> None:
    """print the tables of a folder again, from its records"""
    parser = Parser(prog="run_benchmarks.py table", allow_abbrev=False)
    parser.add_argument("folder", type=Path, help="that `run` has written, or one of its files")
    allowed = "grid, bands, measures, seeds, ratios, suite, summary"
    parser.add_argument("--section", help=f"only these, comma-separated: {allowed}")
    parser.add_argument("--seeds", action="store_true", help="every seed too")
    add_selection(parser)
    add_format(parser)
    known = parser.parse_args(list(arguments))
    not_empty(known, "section")
    from evaluate.show import rows, tables

    rows.check_format(known.format)
    sections = names(known.section or "")
    if known.seeds:
        sections = [*(sections or tables.SHOWN[:-1]), "seeds", *(() if sections else tables.SHOWN[-1:])]
    sections = list(dict.fromkeys(sections))
    results = results_of(known.folder, known)
    tell(tables.show(results, known.format, sections, known.rule), style=known.format)
    if known.format == "csv":  # which has no place for them
        print("".join(f"{note}\n" for note in results.notes), end="", file=sys.stderr)


def compare(arguments: Sequence[str]) -> None:
    """put folders, or models, side by side: differences, intervals, what is more than chance"""
    parser = Parser(prog="run_benchmarks.py compare", allow_abbrev=False)
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER", help="the first is what others are held to")
    parser.add_argument("--force", action="store_true", help="show also what cannot be compared, and say so")
    add_selection(parser)
    add_format(parser)
    known = parser.parse_args(list(arguments))
    from evaluate.show import compare, rows

    rows.check_format(known.format)
    models, known.models = names(known.models or ""), None
    folders = [results_of(folder, known) for folder in known.folders]
    for results in folders:
        if known.format in ("csv", "json"):
            print("".join(f"{note}\n" for note in results.notes), end="", file=sys.stderr)
        else:
            mark = "% " if known.format == "latex" else ""
            tell(*(f"{mark}{note}" for note in results.notes), style=known.format)
    tell(compare.show(compare.sides(folders, models), known.format, known.force, known.rule), style=known.format)


def report(arguments: Sequence[str]) -> None:
    """write one HTML file that shows all of a folder; of several folders, one that compares them"""
    parser = Parser(prog="run_benchmarks.py report", allow_abbrev=False)
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    parser.add_argument("--out", type=Path, metavar="FILE",
                        help="default report.html in the first folder; of several report-compared.html")  # fmt: skip
    parser.add_argument("--plots", action="store_true", help="PNG and SVG files too, in the folder's plots/")
    parser.add_argument("--force", action="store_true", help="show also what cannot be compared, and say so")
    parser.add_argument("--tasks", help="only these, comma-separated")
    parser.add_argument("--models", help="only these, comma-separated; with several folders, the sides")
    known = parser.parse_args(list(arguments))
    from evaluate.show.page import size
    from tasks.files import refuse_taken, write_new

    if known.out:
        refuse_taken(known.out)
    page, folders = page_of(known)
    out = known.out or folders[0].folder / ("report.html" if len(folders) == 1 else "report-compared.html")
    if not known.out:
        out.unlink(missing_ok=True)  # the last report of these records
    write_new(out, page)
    print(f"{out}: {size(page)}")
    if known.plots:
        from evaluate.show import plots

        for results in folders:
            print("\n".join(str(path) for path in plots.draw_all(results, results.folder / "plots")))


def page_of(known: argparse.Namespace) -> tuple[str, list[Results]]:
    """The page that shows a folder, or compares several, and what they hold."""
    from evaluate.show import compare
    from evaluate.show import report as single
    from evaluate.show import report_compared as compared

    models, known.format = names(known.models or ""), "json"
    if len(known.folders) == 1:
        results = results_of(known.folders[0], known)
        return single.report(results, chosen=bool(known.tasks or known.models)), [results]
    known.models = None
    folders = [results_of(folder, known) for folder in known.folders]
    return compared.compared_page(compare.sides(folders, models), folders, known.force), folders
