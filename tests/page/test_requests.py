"""The view Requests, in a real browser with a real sparkd."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import Build
from tests.e2e.sparkd_process import engine
from tests.page.browser import NARROW, WIDE, Theme
from tests.page.conftest import OpenPage
from tests.page.past import DAY, HOUR, make_request, write_past

PAST = [
    make_request(1, HOUR),
    make_request(2, 2 * HOUR, model="large", client="agents", program="", status=503, code="model_failed",
                 first_token_seconds=None, tokens_in=None, tokens_cached=None, tokens_out=None, rewrites=()),
    make_request(3, 3 * DAY, client="agents", endpoint="/v1/embeddings", streamed=False, first_token_seconds=None,
                 tokens_out=None, seconds=62.25),
]  # fmt: skip


def filters(page: Page) -> Locator:
    return page.get_by_role("search", name="Filter requests")


def test_a_request_appears_when_it_has_ended(build: Build, open_page: OpenPage) -> None:
    sparkd = build({"small": engine()})
    page = open_page(sparkd).open("requests")
    expect(page.get_by_text("No request has ended yet")).to_be_visible()
    sparkd.chat("small")
    table = page.get_by_role("table", name="Finished requests")
    expect(table.locator("tbody tr")).to_have_count(1)
    expect(table).to_contain_text("200 OK")
    sparkd.chat("small", max_tokens="many")
    expect(table.locator("tbody tr")).to_have_count(2)
    expect(page.get_by_text("2 requests")).to_be_visible()


def test_figures_that_are_not_known_are_not_zero(build: Build, open_page: OpenPage, folder: Path) -> None:
    write_past(folder, requests=PAST)
    tab = open_page(build({"small": engine()}))
    page = tab.open("requests")
    rows = page.get_by_role("table", name="Finished requests").locator("tbody tr")
    expect(rows).to_have_count(3)
    cells = rows.nth(0).locator("td, th")
    expect(cells).to_contain_text(
        ["", "200 OK", "small", "laptop", "1 min 4 s", "1 min 24 s", "1,000", "600", "30 tok/s", "2"]
    )
    failed = rows.nth(1).locator("td, th")
    expect(failed).to_contain_text(
        ["", "503 unavailable", "large", "agents", "unknown", "", "unknown", "unknown", "unknown", "0"]
    )


def test_details_show_each_phase_and_explain_the_rewrites(
    build: Build, open_page: OpenPage, folder: Path
) -> None:
    write_past(folder, requests=PAST)
    tab = open_page(build({"small": engine()}))
    page = tab.open("requests")
    page.get_by_role("table", name="Finished requests").get_by_role("button", name="Details").first.focus()
    page.keyboard.press("Enter")
    panel = page.get_by_role("dialog", name="Request")
    waterfall = panel.get_by_role("table", name="Phases of the request").locator("tbody tr")
    expect(waterfall).to_contain_text(
        ["Waiting for its turn", "Loading the model", "Until the first token", "Output", "Total"]
    )
    expect(waterfall.locator("td.number")).to_have_text(["2.0 s", "1 min", "1.5 s", "20 s", "1 min 24 s"])
    expect(panel).to_contain_text("400 (40 % of the prompt)")
    expect(panel).to_contain_text("Sets the fields that the alias stands for.")
    assert page.url.endswith("#/requests/past-1")
    tab.check_accessibility()
    page.keyboard.press("Escape")
    expect(panel).to_have_count(0)


def test_a_request_has_an_address(build: Build, open_page: OpenPage, folder: Path) -> None:
    write_past(folder, requests=[*(make_request(100 + each, each) for each in range(150)), *PAST])
    page = open_page(build({"small": engine()})).open("requests/past-3")
    expect(page.get_by_role("dialog", name="Request")).to_contain_text("/v1/embeddings")
    page.keyboard.press("Escape")
    page.goto(page.url.partition("#")[0] + "#/requests/none")
    expect(page.get_by_text("No request has this id")).to_be_visible()


def test_filters_are_in_the_address(build: Build, open_page: OpenPage, folder: Path) -> None:
    write_past(folder, requests=PAST)
    page = open_page(build({"small": engine()})).open("requests")
    rows = page.get_by_role("table", name="Finished requests").locator("tbody tr")
    filters(page).get_by_label("Client").select_option("agents")
    expect(rows).to_have_count(2)
    filters(page).get_by_label("Status").select_option("error")
    expect(rows).to_have_count(1)
    assert "client=agents&status=error" in page.url
    page.reload()
    expect(rows).to_have_count(1)
    filters(page).get_by_label("Search").fill("nothing of the kind")
    expect(page.get_by_text("No request matches")).to_be_visible()
    page.get_by_role("button", name="Clear").click()
    expect(rows).to_have_count(3)
    filters(page).get_by_label("Time").select_option("86400")
    expect(rows).to_have_count(2)


def test_a_request_that_does_not_match_the_filter_stays_out(
    build: Build, open_page: OpenPage, folder: Path
) -> None:
    write_past(folder, requests=PAST)
    sparkd = build({"small": engine(), "other": engine()})
    page = open_page(sparkd).open("requests?model=small")
    expect(page.get_by_text("2 requests")).to_be_visible()
    sparkd.chat("other")
    sparkd.chat("small")
    expect(page.get_by_text("3 requests")).to_be_visible()
    expect(page.get_by_role("table", name="Finished requests")).not_to_contain_text("other")


def test_pages_and_order_come_from_the_database(build: Build, open_page: OpenPage, folder: Path) -> None:
    many = [make_request(each, 60.0 + each, tokens_out=each) for each in range(1, 351)]
    write_past(folder, requests=many)
    page = open_page(build({"small": engine()})).open("requests")
    expect(page.get_by_text("350 requests; 100 loaded")).to_be_visible()
    for loaded in (200, 300):
        page.get_by_role("button", name="Show 100 more").click()
        expect(page.get_by_text(f"350 requests; {loaded} loaded")).to_be_visible()
    page.get_by_role("button", name="Show 100 more").click()
    expect(page.get_by_text("350 requests", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Show 100 more")).to_have_count(0)
    page.get_by_role("button", name="Tokens out").click()
    first = page.get_by_role("table", name="Finished requests").locator("tbody tr").first
    expect(first).to_contain_text("350")
    page.get_by_role("button", name="Tokens out").click()
    expect(
        page.get_by_role("table", name="Finished requests").locator("thead th[aria-sort=ascending]")
    ).to_have_text("Tokens out")


def test_columns_are_chosen_and_remembered(build: Build, open_page: OpenPage, folder: Path) -> None:
    write_past(folder, requests=PAST)
    tab = open_page(build({"small": engine()}))
    page = tab.open("requests")
    page.get_by_text("Columns", exact=True).first.click()
    columns = page.get_by_role("group", name="Columns").last
    columns.get_by_label("Endpoint").check()
    columns.get_by_label("Rewrites").uncheck()
    tab.check_accessibility()
    page.keyboard.press("Escape")
    page.reload()
    heads = page.get_by_role("table", name="Finished requests").locator("thead th")
    expect(heads.filter(has_text="Endpoint")).to_have_count(1)
    expect(heads.filter(has_text="Rewrites")).to_have_count(0)


def test_the_csv_has_what_is_filtered(build: Build, open_page: OpenPage, folder: Path) -> None:
    write_past(folder, requests=PAST)
    page = open_page(build({"small": engine()})).open("requests?client=agents")
    expect(page.get_by_text("2 requests")).to_be_visible()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="CSV").click()
    rows = list(csv.DictReader(Path(waiting.value.path()).read_text().splitlines()))
    assert [row["id"] for row in rows] == ["past-2", "past-3"]


def test_requests_in_flight_are_seen_and_cancelled(build: Build, open_page: OpenPage) -> None:
    sparkd = build({"small": engine("--tokens", "2000", "--pace", "0.1")})
    tab = open_page(sparkd)
    page = tab.open("requests")
    with sparkd.streaming("small") as lines:
        next(lines)
        table = page.get_by_role("table", name="Requests in flight")
        expect(table).to_contain_text("decoding")
        tab.check_accessibility()
        table.get_by_role("button", name="Cancel").click()
        expect(table).to_have_count(0)
    expect(page.get_by_role("table", name="Finished requests")).to_be_visible()


@pytest.mark.parametrize(("size", "theme"), [(WIDE, "light"), (WIDE, "dark"), (NARROW, "light")])
def test_the_view_is_accessible(
    build: Build, open_page: OpenPage, folder: Path, size: tuple[int, int], theme: Theme
) -> None:
    write_past(folder, requests=PAST)
    tab = open_page(build({"small": engine()}), size=size, theme=theme)
    page = tab.open("requests")
    expect(page.get_by_text("3 requests")).to_be_visible()
    tab.check_accessibility()
    tab.check_layout()


def test_a_narrow_screen_shows_every_cell_below_the_name_of_its_row(
    build: Build, open_page: OpenPage, folder: Path
) -> None:
    write_past(folder, requests=PAST)
    tab = open_page(build({"small": engine()}), size=NARROW)
    page = tab.open("requests")
    rows = page.get_by_role("table", name="Finished requests").locator("tbody tr")
    expect(rows).to_have_count(3)
    boxes = [cell.bounding_box() for cell in rows.nth(0).locator("td, th").all()]
    assert all(box and box["x"] >= 0 and box["x"] + box["width"] <= NARROW[0] for box in boxes), boxes
    tab.check_accessibility()
