"""A real sparkd, its control socket on a port as by `ssh -L`, and a real Chromium.

    def test_a_model_loads(build, open_page):
        sparkd = build({"small": engine("--token-delay", "0.01")})
        tab = open_page(sparkd)                     # the owner's page, by the control socket
        page = tab.open("models")                   # a Playwright page
        ...
        tab.check_accessibility()

At the end, a test fails if the page has logged an error, violated its Content-Security-Policy, or requested anything
that failed or is not on this machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.e2e.conftest import Build, build, folder
from tests.e2e.sparkd_process import SparkdProcess
from tests.page.browser import Tab, launch_browser, open_tab
from tests.page.forwarder import forward

__all__ = ["browser", "build", "folder", "forwarded", "open_page", "open_port"]

OpenPage = Callable[..., Tab]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests; each tab has a profile of its own.

    While it runs, this thread has a running event loop, so tests in this package cannot use `asyncio.run`.
    """
    with launch_browser() as launched:
        yield launched


@pytest.fixture
def forwarded(build: Build) -> Iterator[Callable[[SparkdProcess], str]]:
    """The address of a sparkd's control socket on a port, without a path. It stays, also if sparkd is restarted."""
    del build  # set up before, so that it stops sparkd after the tabs and ports are closed
    ports: dict[str, int] = {}
    with ExitStack() as stack:

        def address(sparkd: SparkdProcess) -> str:
            socket = sparkd.folder / "run" / "control.sock"
            if str(socket) not in ports:
                ports[str(socket)] = stack.enter_context(forward(socket))
            return f"http://localhost:{ports[str(socket)]}"

        yield address


@pytest.fixture
def open_page(browser: Browser, forwarded: Callable[[SparkdProcess], str]) -> Iterator[OpenPage]:
    """Open the owner's page in a tab: `open_page(sparkd, theme="dark", size=NARROW)`."""
    with ExitStack() as stack:

        def open_owner_page(sparkd: SparkdProcess, **options: Any) -> Tab:
            return stack.enter_context(open_tab(browser, f"{forwarded(sparkd)}/ui/", **options))

        yield open_owner_page


@pytest.fixture
def open_port(browser: Browser, build: Build) -> Iterator[OpenPage]:
    """Open the page for reading, on the port of the clients."""
    del build  # as above
    with ExitStack() as stack:

        def open_reading_page(sparkd: SparkdProcess, **options: Any) -> Tab:
            url = f"http://localhost:{sparkd.port}/ui/"
            return stack.enter_context(open_tab(browser, url, **options))

        yield open_reading_page
