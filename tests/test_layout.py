"""Imports point one way: run_benchmarks -> evaluate -> {model, tasks}, and readers of records never load torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tasks import TASKS

ROOT = Path(__file__).parent.parent


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} imports by a relative name"
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


def test_no_task_rests_on_another_tasks_file():
    """The version of the code that a task's records name leaves out the other tasks' files and the list of tasks."""
    shared = {f"tasks.{path.stem}" for path in (ROOT / "tasks").glob("[!_]*.py")} | {"tasks.graph.prompt"}
    of_tasks = {cls.__module__ for cls in TASKS.values()}
    files = [path for path in (ROOT / "tasks").rglob("*.py") if path.name != "__init__.py"]
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in files}
    assert of_tasks | shared == set(modules) and not of_tasks & shared
    for module, path in modules.items():
        for name in imported(path):
            from_ours = [other for other in modules if name == other or name.startswith(f"{other}.")]
            assert not of_tasks & set(from_ours), f"{path} imports {name}"
            if module in of_tasks and name.partition(".")[0] == "tasks":
                assert from_ours, f"{path} imports {name}, from none of the files that tasks share"


def test_records_and_tables_do_not_load_torch():
    code = (
        "import sys, evaluate.records, evaluate.metrics, evaluate.show.tables, evaluate.show.compare, "
        "evaluate.show.report, evaluate.show.report_compared; print('torch' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "False"
