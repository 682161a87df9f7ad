"""Imports point one way: run_benchmarks -> evaluate -> {model, tasks}, and readers of records never load torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


FORBIDDEN = {
    "tasks": ("model", "evaluate", "torch", "run_benchmarks"),
    "model": ("tasks", "evaluate", "run_benchmarks"),
    "evaluate/run": ("evaluate.show", "evaluate.study", "evaluate.commands", "run_benchmarks"),
    "evaluate/show": ("evaluate.run", "evaluate.study", "evaluate.commands", "model", "torch", "run_benchmarks"),
    "evaluate/study": ("evaluate.commands", "run_benchmarks"),
    "evaluate/commands": ("run_benchmarks",),
}


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_imports_point_one_way(folder):
    files = list((ROOT / folder).rglob("*.py"))
    assert files
    for path in files:
        for name in imported(path):
            for wrong in FORBIDDEN[folder]:
                assert name != wrong and not name.startswith(f"{wrong}."), f"{path} imports {name}"


def test_records_and_tables_do_not_load_torch():
    code = (
        "import sys, evaluate.records, evaluate.metrics, evaluate.show.tables, evaluate.show.compare, "
        "evaluate.show.report, evaluate.show.report_compared; print('torch' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "False"
