"""Which version of the code makes a result: the commit, for people, and a hash of the files that decide it."""

from __future__ import annotations

import hashlib
import subprocess
from functools import cache
from pathlib import Path

from tasks import TASKS

ROOT = Path(__file__).resolve().parent.parent.parent

DECIDES_NOTHING = {
    "board.py", "checkpoint.py", "cluster.py", "folder.py", "limits.py", "local.py", "presets.py", "sweep.py",
}  # fmt: skip
"""Files of this room that carry runs about. A preset's experiments are told apart by their own hashes."""


@cache
def code_version(task: str) -> str:
    """A hash of every file that decides a task's results: the task, models, and how they are trained and asked.

    The files of the other tasks are left out, so that one may be mended without making the records of all others old.
    The commit will not do: it changes with a word in the README, and stays while a file is being edited.
    """
    others = {file_of(cls.__module__) for name, cls in TASKS.items() if name != task} if task in TASKS else set()
    files = [path for path in ROOT.glob("tasks/**/*.py") if path not in {*others, ROOT / "tasks/__init__.py"}]
    files += ROOT.glob("model/**/*.py")
    files += [path for path in ROOT.glob("evaluate/run/*.py") if path.name not in DECIDES_NOTHING]
    mixed = hashlib.sha256()
    for path in sorted(files):
        mixed.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return mixed.hexdigest()[:12]


def file_of(module: str) -> Path:
    return ROOT.joinpath(*module.split(".")).with_suffix(".py")


@cache
def commit() -> tuple[str | None, bool | None]:
    """The commit of the code that runs, and whether it was changed since; None where git cannot tell."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.CalledProcessError):
        return None, None
