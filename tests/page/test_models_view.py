"""The view Models, in a real browser: ten thousand of them, search, filters, actions with their plan."""

from __future__ import annotations

import re
import time

import httpx
import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import Build
from tests.e2e.sparkd_process import engine
from tests.page.browser import NARROW, WIDE, Theme
from tests.page.conftest import OpenPage


@pytest.mark.parametrize(("size", "theme"), [(WIDE, "light"), (WIDE, "dark"), (NARROW, "light")])
def test_the_table_is_accessible_and_fits(
    build: Build, open_page: OpenPage, size: tuple[int, int], theme: Theme
) -> None:
    models = {
        "small": engine(description="a small one", context_length=8192),
        "large": engine(memory="8 GiB"),
        "old": engine(status="disabled", reason="replaced"),
    }
    sparkd = build(models)
    sparkd.chat("small")
    tab = open_page(sparkd, size=size, theme=theme)
    page = tab.open("models")
    expect(page.get_by_role("row", name=re.compile("small"))).to_contain_text("ready")
    tab.check_accessibility()
    tab.check_layout()


def test_models_are_found_and_a_link_keeps_the_search(build: Build, open_page: OpenPage) -> None:
    sparkd = build(
        {
            "qwen-coder": engine(aliases=["coder"], description="writes code"),
            "gemma": engine(),
            "old": engine(status="disabled", reason="replaced"),
        }
    )
    page = open_page(sparkd).open("models")
    rows = page.get_by_role("table", name="Models of the catalogue").locator("tbody tr")
    expect(rows).to_have_count(3)
    page.get_by_label("Search").fill("writes coder")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("qwen-coder")
    page.reload()
    expect(rows).to_have_count(1)
    page.get_by_label("Search").fill("nothing like that")
    expect(page.get_by_text("No model matches")).to_be_visible()
    page.get_by_role("link", name="Show all models").click()
    expect(rows).to_have_count(3)
    page.get_by_role("button", name="Disabled", exact=True).click()
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("old")


def test_a_model_is_loaded_after_its_plan_was_shown(build: Build, open_page: OpenPage) -> None:
    sparkd = build(
        {"one": engine(memory="8 GiB", min_residency=0), "two": engine(memory="8 GiB", min_residency=0)}
    )
    sparkd.chat("one")
    page = open_page(sparkd).open("models")
    page.get_by_role("button", name="Load two").click()
    dialog = page.get_by_role("dialog", name="Load two?")
    expect(dialog).to_contain_text("It stops one.")
    expect(dialog).to_contain_text("sparkctl load two")
    page.keyboard.press("Escape")
    expect(dialog).not_to_be_attached()
    assert sparkd.model("two").state == "stopped"
    page.get_by_role("button", name="Load two").click()
    dialog.get_by_role("button", name="Load", exact=True).click()
    expect(page.get_by_role("row", name=re.compile("^ready.* two "))).to_be_visible(timeout=20_000)
    expect(page.get_by_role("row", name=re.compile("^stopped one "))).to_be_visible(timeout=20_000)
    page.get_by_role("button", name="Stop two").click()
    expect(page.get_by_role("row", name=re.compile("^stopped two "))).to_be_visible()
    assert sparkd.model("two").state == "stopped"


def test_a_key_that_may_operate_loads_models_on_the_port(build: Build, open_port: OpenPage) -> None:
    page = open_port(build({"small": engine()})).open("models")  # without keys, every client may operate
    page.get_by_role("button", name="Load small").click()
    expect(page.get_by_role("row", name=re.compile("^ready.* small "))).to_be_visible()
    page.get_by_role("button", name="Stop small").click()
    expect(page.get_by_role("row", name=re.compile("^stopped small "))).to_be_visible()


def test_the_panel_of_a_model_opens_and_closes(build: Build, open_page: OpenPage) -> None:
    page = open_page(build({"small": engine(), "other": engine()})).open("models?text=small")
    page.get_by_role("link", name="small", exact=True).click()
    panel = page.get_by_role("dialog", name="small")
    expect(panel).to_be_visible()
    page.keyboard.press("Escape")
    expect(panel).not_to_be_attached()
    expect(page.get_by_label("Search")).to_have_value("small")


def test_ten_thousand_models_are_listed_and_scrolled(build: Build, open_page: OpenPage) -> None:
    sparkd = build({f"model-{number:05}": engine() for number in range(10_000)})
    tab = open_page(sparkd)
    page = tab.open("models")
    table = page.get_by_role("table", name="Models of the catalogue")
    expect(table).to_have_attribute("aria-rowcount", "10001", timeout=60_000)
    assert table.locator("tbody tr").count() < 100
    region = page.get_by_role("region", name="Models of the catalogue")
    region.evaluate("element => element.scrollTo(0, element.scrollHeight)")
    expect(page.get_by_role("link", name="model-09999")).to_be_visible()
    sparkd.chat("model-04711")
    region.evaluate("element => element.scrollTo(0, 0)")
    expect(page.get_by_role("row", name=re.compile("^ready.* model-04711 "))).to_be_visible()
    page.get_by_label("Search").fill("0815")
    expect(table.locator("tbody tr")).to_have_count(11)  # x0815 and 0815x
    times = []
    for _ in range(5):
        began = time.monotonic()
        httpx.get(f"{sparkd.url}/ui/api/models", timeout=60)
        times.append(time.monotonic() - began)
    print(f"GET /models with 10,000 models: {1000 * min(times):.0f} ms")
