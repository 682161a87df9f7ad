"""The verbs that show what a folder of records holds. None of them loads torch."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from evaluate.commands.options import Parser, add_format, check_ending, check_held, names, not_empty
from evaluate.show.screen import tell

if TYPE_CHECKING:
    from evaluate.records import Records
    from evaluate.show.differences import Side
    from evaluate.show.grid import Results


def add_selection(parser: Parser) -> None:
    parser.add_argument("--tasks", help="only these, comma-separated")
    parser.add_argument("--models", help="only these, comma-separated")
    parser.add_argument("--rule", help="what headlines stand on: act, 40, ... (default the most loops asked for)")


def results_of(held: Records, tasks: list[str], models: list[str]) -> Results:
    """What a folder holds of the tasks and models that were asked for."""
    from evaluate.show.grid import Results

    results = Results(held)
    check_held(results.folder, tasks, results.tasks)
    results.only(tasks, models)
    return results


def for_people(style: str) -> bool:
    """Whether a folder's heading stands above its tables."""
    return style not in ("csv", "json", "latex")


def table(arguments: Sequence[str]) -> None:
    """print the tables of a folder again, from its records"""
    from evaluate import records
    from evaluate.show import rows, tables

    parser = Parser(prog="run_benchmarks.py table", allow_abbrev=False)
    parser.add_argument("folder", type=Path, help="that `run` has written, or one of its files")
    parser.add_argument("--section", help=f"only these, comma-separated: {', '.join(tables.SECTIONS)}")
    parser.add_argument("--seeds", action="store_true", help="every seed too")
    add_selection(parser)
    add_format(parser)
    known = parser.parse_args(list(arguments))
    not_empty(known, "section", "tasks", "models")
    rows.check_format(known.format)
    sections = names(known.section or "")
    tables.check_sections(sections)
    if known.seeds:
        sections = [*(sections or tables.SHOWN[:-1]), "seeds", *(() if sections else tables.SHOWN[-1:])]
    sections = list(dict.fromkeys(sections))
    held = records.read(known.folder)
    heading = f"{tables.heading(held)}\n" if for_people(known.format) else ""
    if not (known.tasks or known.models or known.rule):  # else it waits until they are known to be there
        print(heading, end="", flush=True)
        heading = ""
    results = results_of(held, names(known.tasks or ""), names(known.models or ""))
    shown = tables.show(results, known.format, sections, known.rule)
    print(heading, end="")
    tell(shown, style=known.format)
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
    not_empty(known, "tasks", "models")
    from evaluate.show import compare, rows, tables

    rows.check_format(known.format)
    folders, compared = compared_of(known)
    shown = compare.show(compared, known.format, known.force, known.rule)
    for results in folders:
        if known.format in ("csv", "json"):
            print("".join(f"{note}\n" for note in results.notes), end="", file=sys.stderr)
        else:
            if for_people(known.format):
                print(tables.heading(results.records))
            tell(rows.together(results.notes, known.format), style=known.format)
    tell(shown, style=known.format)


def compared_of(known: argparse.Namespace) -> tuple[list[Results], list[Side]]:
    """The folders that are compared, and the sides that they, or the models asked for, make."""
    from evaluate import records
    from evaluate.show import compare

    folders = [results_of(records.read(folder), names(known.tasks or ""), []) for folder in known.folders]
    return folders, compare.sides(folders, names(known.models or ""))


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
        check_ending("out", known.out, ".html")
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
    from evaluate import records
    from evaluate.show import report as single
    from evaluate.show import report_compared as compared

    not_empty(known, "tasks", "models")
    if len(known.folders) == 1:
        held = records.read(known.folders[0])
        results = results_of(held, names(known.tasks or ""), names(known.models or ""))
        return single.report(results, chosen=bool(known.tasks or known.models)), [results]
    folders, sides = compared_of(known)
    return compared.compared_page(sides, folders, known.force), folders
