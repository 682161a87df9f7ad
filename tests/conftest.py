"""What every test shares: the runs that it carries out in its own process draw no plots, unless it asks for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from evaluate.show import plots

DRAW_ALL = plots.draw_all

TOGETHER = {"test_far.py": "test_scale.py", **{f"test_{name}.py": f"test_{name}.py" for name in (
    "ask", "command_line", "faults", "scale",
)}}  # fmt: skip
"""Files whose tests share something that takes long to make, each by the file beside which it is done."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """One process does what belongs together, so that it is made once; all else goes to whichever is free."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0].rpartition("/")[2]
            return TOGETHER.get(file, nodeid)

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
