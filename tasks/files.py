"""Writing a user's file: whole or not at all, and never over another one."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from tasks.errors import UserError


def refuse_taken(path: Path) -> None:
    """Refuse a file that is there already, or whose folder is not: best asked before the work, not after it."""
    if path.exists():
        raise UserError(f"{str(path)!r} exists already: choose another name, or remove it first")
    if not path.parent.is_dir():
        raise UserError(f"no folder {str(path.parent)!r}: make it first")


def write_new(path: Path, content: str | bytes) -> None:
    """Write a file that was not there; cut off at any moment, it is either whole or absent."""
    refuse_taken(path)
    content = content.encode() if isinstance(content, str) else content
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            umask = os.umask(0)
            os.umask(umask)
            os.chmod(name, 0o666 & ~umask)  # mkstemp lets nobody else read
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UserError(f"cannot write {str(path)!r}: {error.strerror}") from None
