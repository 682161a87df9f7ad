"""What every test shares: the runs that it carries out in its own process draw no plots, unless it asks for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from evaluate.show import plots

DRAW_ALL = plots.draw_all

SHARED = {
    "test_ask.py": "trained weights",
    "test_command_line.py": "a first run",
    "test_far.py": "what together.py has loaded",
    "test_faults.py": "an undisturbed run",
    "test_scale.py": "what together.py has loaded",
}
"""Files whose tests share something that takes long to make: what it is."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """One process does all that shares something, so that it is made once; the rest goes to whichever is free."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0].rpartition("/")[2]
            return SHARED.get(file, nodeid)

    return ByFile(config, log)


@pytest.fixture(scope="session", autouse=True)
def undrawn() -> Iterator[None]:
    """Plots are a third of what a run of a test takes, and test_report.py looks at them."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(plots, "draw_all", lambda results, folder: [])
        yield


@pytest.fixture
def drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """For one test, plots as users get them."""
    monkeypatch.setattr(plots, "draw_all", DRAW_ALL)
