"""What every test shares: the runs that it carries out in its own process draw no plots, unless it asks for them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from evaluate.show import plots

DRAW_ALL = plots.draw_all


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
