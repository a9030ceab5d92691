"""The view Usage, in a real browser with a real sparkd."""

from __future__ import annotations

import csv
import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import expect

from sparkd.usage.records import Measurement
from tests.e2e.conftest import Build
from tests.e2e.sparkd_process import engine, wait_until
from tests.page.browser import NARROW, WIDE, Theme
from tests.page.conftest import OpenPage
from tests.page.past import DAY, make_request, write_past

GIB = 2**30


def write_usage(folder: Path) -> None:
    requests = [
        *(make_request(each, each * DAY + 60) for each in range(10)),
        *(make_request(100 + each, 60, client="agents", model="large", tokens_out=900) for each in range(3)),
        make_request(200, 40 * DAY, client="anonymous"),
    ]
    minute = time.time() // 60 * 60
    measurements = [
        Measurement(at=minute - 60 * each, tokens_out=20.0, power=60.0, available=4.0 * GIB, peak_out=44.0)
        for each in range(180)
        if not 3 < each < 8
    ]
    write_past(folder, requests=requests, measurements=measurements)


def test_usage_by_key_model_and_month(build: Build, open_page: OpenPage, folder: Path) -> None:
    write_usage(folder)
    page = open_page(build({"small": engine()})).open("usage")
    table = page.get_by_role("table", name="Usage by API key")
    expect(table.locator("tbody tr")).to_have_count(2)
    expect(table.locator("tbody tr").first).to_contain_text("laptop")
    expect(table.locator("tbody tr").first.locator("td")).to_have_text(
        ["10", "0", "10K", "4,000", "6,000", "3 min 35 s"]
    )
    page.get_by_label("By", exact=True).select_option("model,client")
    expect(page.get_by_role("table", name="Usage by Key and model")).to_contain_text("agents · large")
    page.get_by_role("button", name="12 months").click()
    page.get_by_label("Show", exact=True).select_option("requests")
    expect(page.get_by_role("slider", name="Requests by month")).to_be_visible()
    expect(page.get_by_role("table", name="Usage by Key and model")).to_contain_text("anonymous · small")
    assert "group=model%2Cclient" in page.url
    with page.expect_download() as waiting:
        page.get_by_role("button", name="CSV").click()
    rows = list(csv.DictReader(Path(waiting.value.path()).read_text().splitlines()))
    assert {row["client"] for row in rows} == {"laptop", "agents", "anonymous"}


def test_the_bars_are_read_with_the_arrow_keys(build: Build, open_page: OpenPage, folder: Path) -> None:
    write_usage(folder)
    page = open_page(build({"small": engine()})).open("usage?range=7d")
    bars = page.get_by_role("slider", name="Tokens out by day")
    expect(bars).to_have_attribute("aria-valuenow", "6")
    bars.focus()
    page.keyboard.press("Home")
    expect(bars).to_have_attribute("aria-valuenow", "0")
    value = bars.get_attribute("aria-valuetext")
    assert value is not None
    assert value.endswith(": 600")


def test_measurements_have_gaps_and_unknown_ones_say_so(
    build: Build, open_page: OpenPage, folder: Path
) -> None:
    write_usage(folder)
    tab = open_page(build({"small": engine()}))
    page = tab.open("usage?span=21600")
    chart = page.get_by_role("figure", name="Tokens per second")
    description = re.compile(r"^Tokens per second\. out: .* tok/s now, 20 tok/s at most; in: ")
    expect(chart.get_by_role("img")).to_have_attribute("aria-label", description)
    chart.get_by_role("button", name="Tokens per second: show as table").click()
    cells = chart.get_by_role("table").locator("tbody tr td:nth-child(2)")
    texts = cells.all_text_contents()
    assert "20 tok/s" in texts
    assert any("unknown" in text for text in texts)
    expect(page.get_by_role("figure", name="GPU clock")).to_contain_text("this GPU does not report it")
    tab.check_accessibility()


def test_energy_and_the_highest_speed(build: Build, open_page: OpenPage, folder: Path) -> None:
    write_usage(folder)
    page = open_page(build({"small": engine()})).open("usage")
    expect(page.get_by_text("44 tok/s", exact=True)).to_be_visible()
    expect(page.get_by_text("176 Wh", exact=True)).to_be_visible()


def test_the_machine_is_measured_while_it_is_watched(build: Build, open_page: OpenPage) -> None:
    sparkd = build({"small": engine()})
    page = open_page(sparkd).open("usage")
    sparkd.chat("small", "word " * 400)
    expect(page.get_by_role("figure", name="Memory", exact=True).get_by_role("img")).to_be_visible(
        timeout=20_000
    )
    speed = page.get_by_role("figure", name="Tokens per second").get_by_role("img")
    wait_until("the tokens are seen", lambda: "80 tok/s at most" in str(speed.get_attribute("aria-label")))


@pytest.mark.parametrize(("size", "theme"), [(WIDE, "light"), (WIDE, "dark"), (NARROW, "light")])
def test_the_view_is_accessible(
    build: Build, open_page: OpenPage, folder: Path, size: tuple[int, int], theme: Theme
) -> None:
    write_usage(folder)
    tab = open_page(build({"small": engine()}), size=size, theme=theme)
    page = tab.open("usage?span=21600")
    expect(page.get_by_role("figure", name="Tokens per second").get_by_role("img")).to_be_visible()
    tab.check_accessibility()
    tab.check_layout()
