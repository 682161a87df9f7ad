"""Which version of the code makes a result: the commit, for people, and a hash of the files that decide it."""

from __future__ import annotations

import hashlib
import subprocess
from functools import cache
from pathlib import Path

from tasks import TASKS

ROOT = Path(__file__).resolve().parent.parent.parent

DECIDES_NOTHING = {
    "tasks/checks.py", "tasks/files.py", "tasks/plugin.py", "tasks/template.py",
    "model/generate.py", "model/settling.py", "model/weights.py",
    "evaluate/run/board.py", "evaluate/run/checkpoint.py", "evaluate/run/cluster.py", "evaluate/run/folder.py",
    "evaluate/run/limits.py", "evaluate/run/local.py", "evaluate/run/presets.py", "evaluate/run/sweep.py",
}  # fmt: skip
"""Files of these rooms that check, load, carry about or use what makes a result. A preset's experiments are told apart
by their own hashes."""


@cache
def read(root: Path) -> dict[Path, bytes]:
    """Every file that may decide a result, as it is at the first look: what a process runs it has read at its start."""
    files = [path for room in ("tasks", "model", "evaluate/run") for path in root.glob(f"{room}/**/*.py")]
    decide = [path for path in files if path.relative_to(root).as_posix() not in DECIDES_NOTHING]
    return {path: path.read_bytes() for path in sorted(decide)}


read(ROOT)  # at import, beside the code itself: a file that is edited while runs go on is not what they were made by


@cache
def code_version(task: str) -> str:
    """A hash of every file that decides a task's results: the task, models, and how they are trained and asked.

    The files of the other tasks are left out, so that one may be mended without making the records of all others old.
    A task of a plugin may rest on any of them, and counts them all, whether its plugin is loaded or not.
    The commit will not do: it changes with a word in the README, and stays while a file is being edited.
    """
    suite = {name: file_of(cls.__module__) for name, cls in TASKS.items() if cls.__module__.startswith("tasks.")}
    others = {*suite.values(), ROOT / "tasks/__init__.py"} - {suite[task]} if task in suite else set()
    mixed = hashlib.sha256()
    for path, content in read(ROOT).items():
        if path not in others:
            mixed.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + content + b"\0")
    return mixed.hexdigest()[:12]


def file_of(module: str) -> Path:
    return ROOT.joinpath(*module.split(".")).with_suffix(".py")


@cache
def commit() -> tuple[str | None, bool | None]:
    """The commit of the code that runs, and whether it was changed since; None where git cannot tell, or tells of a
    repository round this one."""

    def git(*words: str) -> str:
        line = ["git", "--no-optional-locks", *words]  # so as not to be in the way of a commit that a user makes
        return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    try:
        if not Path(git("rev-parse", "--show-toplevel")).samefile(ROOT):
            return None, None
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.CalledProcessError):
        return None, None
