"""Writing files: whole or not at all. A user's is never written over another one."""

from __future__ import annotations

import os
import re
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
    write_over(path, content.encode() if isinstance(content, str) else content)


def file_name(name: str) -> str:
    """A name that came from a file of others, as the name of a file: it never leads into another folder."""
    return re.sub(r"[^\w-]", "_", name)[:100]


def write_over(path: Path, content: bytes) -> None:
    """Write a file in the place of what was there: cut off at any moment, it is the old one or the new one, whole.

    The scratch file carries this process's number, so that two processes never write into the same one.
    """
    scratch = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(scratch, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(scratch, path)
        except BaseException:
            scratch.unlink(missing_ok=True)
            raise
        keep_name(path.parent)
    except OSError as error:
        raise UserError(f"cannot write {str(path)!r}: {error.strerror}") from None


def keep_name(folder: Path) -> None:
    """Have the disk remember which files a folder holds, where the system can be asked for that."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # a system whose folders cannot be opened
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
