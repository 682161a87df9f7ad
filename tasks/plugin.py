"""A user's own tasks and models: a file named with `--plugin` is run, each Task in it is checked and listed in TASKS.

Models are what it holds under the name MODELS: a dictionary as model/__init__.py has one. They are handed on as they
are (`models`), for this room knows nothing of them.

A plugin is code and can do whatever its user can: name only files that you would run yourself.
Nothing is trained or shown before `check` has proven the contract on drawn examples; each breach is one line that
names the thing and the example that shows it.
"""

from __future__ import annotations

import hashlib
import inspect
import keyword
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from tasks import TASKS
from tasks.checks import check, guard
from tasks.errors import UserError
from tasks.files import write_new
from tasks.task import Task

HELP = "a file of your own with a Task or MODELS in it; may be repeated. A plugin is code: it can do whatever you can"


@dataclass(frozen=True)
class Source:
    """A plugin's file as it was read: worker processes run exactly this, whatever the file holds by then."""

    path: str
    code: bytes

    @property
    def file(self) -> str:
        return Path(self.path).name

    @property
    def module(self) -> str:
        """The name that it is imported by, the same in every process, so that its tasks can be pickled."""
        return "loopbench_plugin_" + re.sub(r"\W", "_", Path(self.path).stem)


_loaded: dict[str, Source] = {}  # by module name


def load(files: Iterable[str | Path]) -> list[str]:
    """Run these files, check every task in them and list it in TASKS; returns their names.

    A file that was loaded before is read again, and takes its own tasks' places.
    """
    names: list[str] = []
    for path in dict.fromkeys(Path(file).resolve() for file in files):
        source = _read(path)
        held = _loaded.get(source.module)
        if held and held.path != source.path:
            raise UserError(f"two plugins are called {source.file!r}: rename {held.path} or {source.path}")
        forget(source.module)
        try:
            classes = _classes(_run(source))
            for cls in classes:
                if cls.name in TASKS:
                    raise UserError(f"the name {cls.name!r} is already taken: choose another")
                check(_constructed(cls))
                TASKS[cls.name] = cls
        except UserError as error:
            forget(source.module)
            raise UserError(f"{source.file}: {error}") from error.__cause__
        _loaded[source.module] = source
        names += [cls.name for cls in classes]
    return names


def models() -> dict[str, tuple[Callable[..., Any], str]]:
    """What the loaded plugins hold under MODELS, by name, each with its plugin's `origin`."""
    found: dict[str, tuple[Callable[..., Any], str]] = {}
    for module, source in _loaded.items():
        held = getattr(sys.modules[module], "MODELS", {})
        if not isinstance(held, dict):
            raise UserError(f"{source.file}: MODELS is {held!r}: allowed is a dictionary of names and functions")
        for name, make in held.items():
            if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_]*", name) or not callable(make):
                allowed = "lower-case letters, digits and _, and a function that builds it"
                raise UserError(f"{source.file}: MODELS has {name!r}: allowed is {allowed}")
            found[name] = make, _stamp(source)
    return found


def forget(module: str) -> None:
    """Take a plugin's tasks off the list again."""
    for name in [name for name, cls in TASKS.items() if cls.__module__ == module]:
        del TASKS[name]
    _loaded.pop(module, None)
    sys.modules.pop(module, None)


def sources() -> list[Source]:
    """The plugins that this process has loaded, for `restore` in another one."""
    return list(_loaded.values())


def restore(plugins: Iterable[Source]) -> None:
    """List plugins that another process has loaded and checked: needed before anything of theirs is unpickled."""
    for source in plugins:
        for cls in _classes(_run(source)):
            TASKS[cls.name] = cls
        _loaded[source.module] = source


def origin(task: Task) -> str | None:
    """File name and hash of the plugin that a task comes from, so that edited code is another experiment; or None."""
    source = _loaded.get(type(task).__module__)
    return _stamp(source) if source else None


def stamps() -> dict[str, str]:
    """The `origin` of whatever a loaded plugin has defined, by its module."""
    return {module: _stamp(source) for module, source in _loaded.items()}


def _stamp(source: Source) -> str:
    return f"{source.file} {hashlib.sha256(source.code).hexdigest()[:12]}"


def write_skeleton(name: str, path: Path) -> None:
    """Write a working task of this name, from tasks/template.py, to a new file."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise UserError(
            f"a task cannot be called {name!r}: allowed are lower-case letters, digits and _, and no keyword"
        )
    if name in TASKS:
        raise UserError(f"the name {name!r} is already taken: choose another")
    written = Path(__file__).with_name("template.py").read_text(encoding="utf-8")
    called = "".join(part.capitalize() for part in name.split("_"))
    if re.search(rf"\b{called}\b", written):  # it would hide what the template imports
        called += "Task"
    written = written.replace("--plugin new_task.py", f"--plugin {path}").replace("new_task", name)
    write_new(path, written.replace("NewTask", called))


def _read(path: Path) -> Source:
    if not path.exists():
        raise UserError(f"no plugin file {str(path)!r}")
    try:
        return Source(str(path), path.read_bytes())
    except OSError as error:
        raise UserError(f"cannot read the plugin {str(path)!r}: {error.strerror}") from None


def _run(source: Source) -> ModuleType:
    """Run a plugin's code as a module of its own. Not through a loader: that would leave a cache beside the file."""
    module = ModuleType(source.module)
    module.__file__ = source.path
    sys.modules[source.module] = module  # dataclasses look their own module up while they are made
    with guard("importing it"):
        exec(compile(source.code, source.path, "exec"), module.__dict__)
    return module


def _classes(module: ModuleType) -> list[type[Task]]:
    """The tasks that a module itself defines and that are whole; a base class of another one need not be."""
    own = [v for v in vars(module).values() if isinstance(v, type) and issubclass(v, Task)]
    own = list(dict.fromkeys(cls for cls in own if cls.__module__ == module.__name__))
    bases = {base for cls in own for base in cls.__mro__[1:]}
    whole = []
    for cls in own:
        if inspect.isabstract(cls):
            if cls not in bases:
                lacks = sorted(cls.__abstractmethods__)[0]
                raise UserError(f"task class {cls.__name__} lacks the method {lacks!r}")
            continue
        if "__dataclass_params__" not in vars(cls):
            raise UserError(f"{cls.__name__} is no dataclass: write @dataclass(frozen=True) above it")
        whole.append(cls)
    if not whole and not getattr(module, "MODELS", None):
        raise UserError("no Task in it: allowed is a file that defines a subclass of tasks.Task, or MODELS")
    return whole


def _constructed(cls: type[Task]) -> Task:
    with guard(f"{cls.__name__}()"):
        return cls()  # type: ignore[call-arg]
