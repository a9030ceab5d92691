"""The page's connection: a daemon that does not answer, an end that nobody announces, and tabs that nobody sees."""

from __future__ import annotations

import os
import signal

from playwright.sync_api import Page, expect

from tests.e2e.conftest import Build
from tests.e2e.sparkd_process import engine
from tests.page.conftest import OpenPage

HIDE = """hidden => {
    Object.defineProperty(document, "hidden", {get: () => hidden, configurable: true});
    document.dispatchEvent(new Event("visibilitychange"));
}"""


def watch_connections(page: Page) -> list[str]:
    """The requests for the event stream from now on."""
    opened: list[str] = []
    page.on("request", lambda request: opened.append(request.url) if "/api/events" in request.url else None)
    return opened


def wait_for(page: Page, happened: list[str], count: int) -> None:
    """Wait until so much has happened. The page's events arrive only while this thread waits for the page."""
    for _ in range(200):
        if len(happened) >= count:
            break
        page.wait_for_timeout(50)
    assert len(happened) == count


def test_a_connection_without_a_sign_of_life_is_replaced(build: Build, open_page: OpenPage) -> None:
    sparkd = build({"small": engine()})
    tab = open_page(sparkd)
    tab.page.clock.install()
    opened = watch_connections(tab.page)
    page = tab.open("now")
    expect(page.get_by_text("live", exact=True)).to_be_visible()
    os.kill(sparkd.process.pid, signal.SIGSTOP)
    try:
        page.clock.fast_forward(13_000)
        page.clock.run_for(1_100)
        expect(page.get_by_text("stale", exact=True)).to_be_visible()
        assert len(opened) == 1
        page.clock.fast_forward(20_000)
        page.clock.run_for(4_000)
        wait_for(page, opened, 2)
    finally:
        os.kill(sparkd.process.pid, signal.SIGCONT)
    expect(page.get_by_text("live", exact=True)).to_be_visible(timeout=15_000)


def test_a_hidden_tab_gives_its_connection_back(build: Build, open_page: OpenPage) -> None:
    tab = open_page(build({"small": engine()}))
    tab.page.clock.install()
    opened = watch_connections(tab.page)
    page = tab.open("now")
    expect(page.get_by_text("live", exact=True)).to_be_visible()
    ended: list[str] = []
    page.on("requestfailed", lambda request: ended.append(request.url))
    page.evaluate(HIDE, True)
    page.clock.run_for(61_000)
    wait_for(page, ended, 1)
    page.clock.run_for(10_000)
    assert len(opened) == 1
    page.evaluate(HIDE, False)
    page.clock.run_for(3_000)
    wait_for(page, opened, 2)
    expect(page.get_by_text("live", exact=True)).to_be_visible()
