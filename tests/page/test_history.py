"""The view History, in a real browser with a real sparkd."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import expect

from sparkd.usage.records import Occurrence
from tests.e2e.conftest import Build
from tests.e2e.sparkd_process import engine
from tests.page.browser import NARROW, WIDE, Theme
from tests.page.conftest import OpenPage
from tests.page.past import DAY, HOUR, make_load, make_request, write_past

CAUSE = "Its engine was killed (SIGKILL)."


def write_loads(folder: Path) -> None:
    changes = [
        *make_load("small", 20 * HOUR, stop_reason="evicted", evicted_for="large"),
        *make_load("large", 18 * HOUR),
        *make_load("small", 3 * HOUR, stop_reason="crash", text=CAUSE),
        *make_load("old", 20 * DAY),
    ]
    guard = Occurrence(at=time.time() - 2 * HOUR, kind="guard", model="small", text="0.9 GiB were left.")
    write_past(folder, changes=changes, occurrences=[guard])


def test_a_lane_says_when_and_why(build: Build, open_page: OpenPage, folder: Path) -> None:
    write_loads(folder)
    tab = open_page(build({"small": engine(), "large": engine()}))
    page = tab.open("history")
    lane = page.get_by_role("slider", name="States of small")
    lane.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(lane).to_have_attribute("aria-valuetext", re.compile("ready, .* 1 h"))
    page.keyboard.press("ArrowRight")
    expect(lane).to_have_attribute(
        "aria-valuetext", re.compile("stopping, .* Model large needed its memory.")
    )
    expect(lane.locator(".lane-tip")).to_contain_text("Model large needed its memory.")
    tab.check_accessibility()
    expect(page.get_by_role("slider", name="States of old")).to_have_count(0)


def test_a_part_is_zoomed_into_with_the_keyboard_and_with_the_mouse(
    build: Build, open_page: OpenPage, folder: Path
) -> None:
    write_loads(folder)
    page = open_page(build({"small": engine(), "large": engine()})).open("history")
    lane = page.get_by_role("slider", name="States of large")
    box = lane.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 12)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.75 * box["width"], box["y"] + 14, steps=4)
    page.mouse.up()
    page.wait_for_url("**/#/history?from=*&to=*")
    begin, end = (float(part.partition("=")[2]) for part in page.url.rpartition("?")[2].split("&"))
    assert end - begin == pytest.approx(6 * HOUR, rel=0.05)
    page.get_by_role("button", name="Back to now").click()
    lane.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_url("**/#/history?from=*&to=*")
    page.get_by_role("button", name="Zoom out").click()
    page.get_by_role("button", name="Earlier").click()
    expect(page.get_by_role("button", name="24 h")).to_have_attribute("aria-pressed", "false")


def test_the_same_as_a_table(build: Build, open_page: OpenPage, folder: Path) -> None:
    write_loads(folder)
    tab = open_page(build({"small": engine(), "large": engine()}))
    page = tab.open("history?span=2592000")
    page.get_by_role("button", name="Show as table").click()
    table = page.get_by_role("table", name="States of models")
    expect(table).to_contain_text(CAUSE)
    expect(table).to_contain_text("old")
    events = page.get_by_role("table", name="Events")
    expect(events.locator("tbody tr").filter(has_text="Memory guard")).to_contain_text("0.9 GiB were left.")
    tab.check_accessibility()


def test_what_the_history_adds_up_to(build: Build, open_page: OpenPage, folder: Path) -> None:
    write_loads(folder)
    page = open_page(build({"small": engine(), "large": engine()})).open("history?span=2592000")
    loads = page.get_by_role("table", name="Loads of each model")
    expect(loads.locator("tbody tr").filter(has_text="small")).to_contain_text("2")
    expect(loads.locator("tbody tr").filter(has_text="old")).to_contain_text("1 min")
    expect(page.get_by_role("slider", name="Swaps a day")).to_be_visible()
    expect(page.get_by_role("table", name="What the memory guard did")).to_contain_text("0.9 GiB were left.")


def test_a_load_appears_while_it_is_watched(build: Build, open_page: OpenPage) -> None:
    sparkd = build({"small": engine()})
    sparkd.chat("small")
    page = open_page(sparkd).open("history?span=3600")
    lane = page.get_by_role("slider", name="States of small")
    lane.focus()
    page.keyboard.press("End")
    expect(lane).to_have_attribute("aria-valuetext", re.compile("^ready, "))
    page.keyboard.press("Home")
    expect(lane).to_have_attribute("aria-valuetext", re.compile("^unknown: sparkd did not run"))


def test_without_a_load_it_says_so(build: Build, open_page: OpenPage) -> None:
    page = open_page(build({"small": engine()})).open("history")
    expect(page.get_by_text("No model was loaded in this time", exact=True)).to_be_visible()


@pytest.mark.parametrize(("size", "theme"), [(WIDE, "light"), (WIDE, "dark"), (NARROW, "light")])
def test_the_view_is_accessible(
    build: Build, open_page: OpenPage, folder: Path, size: tuple[int, int], theme: Theme
) -> None:
    write_loads(folder)
    tab = open_page(build({"small": engine()}), size=size, theme=theme)
    page = tab.open("history")
    expect(page.get_by_role("slider", name="States of small")).to_be_visible()
    expect(page.get_by_role("table", name="Loads of each model")).to_be_visible()
    tab.check_accessibility()
    tab.check_layout()


def test_a_lane_and_the_panel_of_a_model_say_when_it_was_in_use(
    build: Build, open_page: OpenPage, folder: Path
) -> None:
    """A model is ready for four hours, and works for half an hour of them."""
    changes = [*make_load("small", 6 * HOUR, 4 * HOUR), *make_load("large", 20 * HOUR)]
    requests = [
        make_request(number, 5 * HOUR - 600 * number, seconds=300.0, queue_seconds=0.0, load_seconds=0.0)
        for number in range(6)
    ]
    write_past(folder, changes=changes, requests=requests)
    tab = open_page(build({"small": engine(), "large": engine()}))
    page = tab.open("history")
    lane = page.get_by_role("slider", name="States of small")
    lane.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(lane).to_have_attribute("aria-valuetext", re.compile(r"ready, .* In use for 30 min \(13 %\)\."))
    expect(lane.locator(".lane-tip")).to_contain_text("In use for 30 min (13 %).")
    expect(lane.locator(".span-in-use")).to_have_attribute("d", re.compile("^(M[^M]*){6}$"))
    tab.check_accessibility()
    page.get_by_role("button", name="Show as table").click()
    row = page.get_by_role("row").filter(has_text="ready").filter(has_text="small")
    expect(row).to_contain_text("30 min")
    expect(page.get_by_role("row").filter(has_text="ready").filter(has_text="large")).to_contain_text("0 ms")
    page = tab.open("models/small")
    expect(page.get_by_text("in use for 30 min (13 %)")).to_be_visible()
    tab.check_accessibility()
    page.get_by_role("link", name="History", exact=True).last.click()
    expect(page.get_by_text("Only small is shown.")).to_be_visible()
    expect(page.get_by_role("slider", name="States of large")).to_have_count(0)
    page.get_by_role("button", name="Show all models").click()
    expect(page.get_by_role("slider", name="States of large")).to_be_visible()
