"""The view Logs: both sources, colours, text that looks like HTML, search, follow, earlier runs."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from sparkd.control.client import ControlClient
from tests.e2e.conftest import Build
from tests.page.browser import NARROW, WIDE, Theme
from tests.page.chat_engine import talker
from tests.page.conftest import OpenPage

LINES = [
    "\x1b[36m(APIServer pid=12)\x1b[0;0m INFO 11-28 [api.py:1] \x1b[1;32mstarting\x1b[0m",
    "WARNING 11-28 [x.py:1] <script>window.attacked = 1</script><img src=x onerror=window.attacked=1>",
    "ERROR 11-28 [x.py:2] it failed",
    "Traceback (most recent call last):",
    '  File "x.py", line 1',
    "INFO 11-28 [x.py:3] well again",
]


def say(*lines: str) -> list[str]:
    return [part for line in lines for part in ("--say", line)]


def open_engine_log(page: Page, url: str, query: str = "") -> None:
    page.goto(f"{url}#/logs/small{query}")
    page.get_by_label("Output of small").wait_for()


def test_lines_of_an_engine_have_colours_and_are_only_text(build: Build, open_page: OpenPage) -> None:
    sparkd = build({"small": talker(*say(*LINES))})
    assert sparkd.chat("small").status_code == 200
    tab = open_page(sparkd)
    open_engine_log(tab.page, tab.url)
    first = tab.page.locator(".log-line").first
    expect(first).to_have_text("(APIServer pid=12) INFO 11-28 [api.py:1] starting")
    expect(first.locator(".sgr-cyan")).to_have_text("(APIServer pid=12)")
    expect(first.locator(".sgr-green.sgr-bold")).to_have_text("starting")
    expect(tab.page.locator(".log-line").nth(1)).to_contain_text("<script>window.attacked = 1</script>")
    assert tab.page.evaluate("window.attacked") is None
    assert tab.page.locator(".log-line img, .log-line script").count() == 0
    tab.page.get_by_label("Level").select_option("error")
    expect(tab.page.locator(".log-line")).to_have_count(3)  # the error, and the trace after it
    expect(tab.page.locator(".log-line").last).to_have_text('  File "x.py", line 1')
    tab.check_accessibility()


def test_a_search_counts_and_goes_to_the_next_and_the_previous_line(
    build: Build, open_page: OpenPage
) -> None:
    sparkd = build({"small": talker("--lines", "900")})
    assert sparkd.chat("small").status_code == 200
    tab = open_page(sparkd)
    page = tab.page
    open_engine_log(page, tab.url)
    page.get_by_label("Output of small").press("/")
    page.keyboard.type("step 7")
    status = page.locator(".log-search [role=status]")
    expect(status).to_have_text("111 lines")
    page.keyboard.press("Enter")
    expect(status).to_have_text("1 of 111")
    expect(page.locator(".log-line.current")).to_contain_text("step 7 of")
    page.keyboard.press("Enter")
    expect(page.locator(".log-line.current")).to_contain_text("step 70 of")
    page.keyboard.press("Shift+Enter")
    page.keyboard.press("Shift+Enter")
    expect(page.locator(".log-line.current")).to_contain_text("step 799 of")
    expect(page.locator(".log-line.current mark")).to_have_text("step 7")
    page.get_by_label("Regex").check()
    page.get_by_role("searchbox").fill(r"step (12|13) of")
    expect(status).to_have_text("2 lines")
    page.get_by_role("searchbox").fill("step (12")
    expect(page.get_by_text(re.compile("Invalid regular expression"))).to_be_visible()
    tab.check_accessibility()


def test_new_lines_are_followed_until_the_user_scrolls_away(build: Build, open_page: OpenPage) -> None:
    sparkd = build({"small": talker("--lines", "300")})
    assert sparkd.chat("small").status_code == 200
    tab = open_page(sparkd)
    page = tab.page
    open_engine_log(page, tab.url)
    expect(page.locator(".log-line").last).to_contain_text("POST /v1/chat/completions")
    page.get_by_role("button", name="To the start").click()
    expect(page.get_by_role("button", name="Follow")).to_be_visible()
    expect(page.locator(".log-line").first).to_contain_text("step 0 of")
    assert sparkd.chat("small").status_code == 200
    expect(page.locator(".log-foot")).to_contain_text("303 lines")
    expect(page.locator(".log-line").first).to_contain_text("step 0 of")
    page.get_by_role("button", name="Follow").click()
    expect(page.locator(".log-line").last).to_contain_text("POST")


def test_sparkds_own_lines_come_as_they_are_logged(build: Build, open_page: OpenPage) -> None:
    sparkd = build({"small": talker(), "broken": talker("--no-such-option")})
    tab = open_page(sparkd)
    page = tab.open("logs")
    expect(page.get_by_label("Lines of sparkd")).to_contain_text("listens on")
    assert sparkd.chat("broken").status_code == 503
    expect(page.locator(".log-line.error .log-level").first).to_have_text("ERROR")
    page.get_by_label("Level").select_option("warning")
    expect(page.get_by_label("Lines of sparkd")).not_to_contain_text("listens on")


def test_earlier_runs_can_be_read(build: Build, open_page: OpenPage) -> None:
    sparkd = build({"small": talker("--say", "one line")})
    with ControlClient(sparkd.folder / "run" / "control.sock") as control:
        for _ in range(2):
            control.load("small")
            control.stop("small")
    tab = open_page(sparkd)
    page = tab.page
    open_engine_log(page, tab.url)
    expect(page.locator(".log-foot")).to_contain_text("the process has ended")
    runs = page.get_by_label("Run")
    expect(runs.locator("option")).to_have_count(3)
    runs.select_option(index=2)
    expect(page.locator(".log-line").first).to_have_text("one line")
    assert "run=small." in page.url
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert download.value.path().read_text().startswith("one line\n")


def test_a_model_that_has_not_run_has_no_output_yet(build: Build, open_page: OpenPage) -> None:
    tab = open_page(build({"small": talker()}))
    tab.page.goto(f"{tab.url}#/logs/small")
    expect(tab.page.get_by_text("There is no output yet")).to_be_visible()
    tab.expect_faults("404")


@pytest.mark.parametrize(("size", "theme"), [(WIDE, "dark"), (NARROW, "light")])
def test_the_view_is_accessible_and_fits(
    build: Build, open_page: OpenPage, size: tuple[int, int], theme: Theme
) -> None:
    sparkd = build({"small": talker(*say(*LINES, "x" * 3000))})
    assert sparkd.chat("small").status_code == 200
    tab = open_page(sparkd, size=size, theme=theme)
    tab.open("logs")
    tab.check_accessibility()
    open_engine_log(tab.page, tab.url, "?find=failed")
    expect(tab.page.locator("mark")).to_have_text("failed")
    tab.check_accessibility()
    tab.check_layout()
    tab.page.get_by_label("Wrap").uncheck()
    tab.check_layout()
