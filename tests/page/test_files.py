"""The files of a model, in a real browser: a download with its progress from a hub of the tests, and their removal."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import Build
from tests.e2e.sparkd_process import engine
from tests.hub.server import Hub, running_hub, safetensors
from tests.page.conftest import OpenPage

HALF = 1_500_000


@pytest.fixture
def hub(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that sends half of the weights of org/m, and the rest after `release`."""
    with running_hub() as hub:
        hub.add("org/m", {"model.safetensors": safetensors(2 * HALF), "config.json": b"{}"})
        hub.faults.hold_after = HALF
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("HOME", str(folder))
        yield hub


def takes(source: str) -> dict[str, Any]:
    """A model whose engine gets the folder of its source."""
    model = engine(source=source, download="reject")
    model["command"][model["command"].index("{model}")] = "{source}"
    return model


def test_a_model_is_pulled_with_progress_and_removed(build: Build, open_page: OpenPage, hub: Hub) -> None:
    sparkd = build({"m": takes("org/m")})
    tab = open_page(sparkd)
    page = tab.open("models/m?tab=files")
    panel = page.get_by_role("dialog", name="m", exact=True)
    expect(panel.get_by_text("not on disk", exact=True)).to_be_visible()
    panel.get_by_role("button", name="Download").click()
    question = page.get_by_role("dialog", name="Download m?")
    expect(question).to_contain_text("continues if you close this page")
    question.get_by_role("button", name="Download").click()
    progress = panel.get_by_role("progressbar", name="Download")
    expect(progress).to_have_attribute("value", re.compile(r"0\.[3-6]"), timeout=20_000)
    expect(panel).to_contain_text(re.compile(r"1\.\d MiB of 2\.9 MiB"))
    tab.check_accessibility()
    page.keyboard.press("Escape")
    tab.open("now")
    load = page.get_by_role("article", name="m", exact=True)
    expect(load).to_contain_text("downloading")
    expect(load).to_contain_text(re.compile(r"1\.\d MiB of 2\.9 MiB"))
    expect(load.get_by_role("progressbar", name="Download of m")).to_have_attribute(
        "value", re.compile(r"0\.[3-6]")
    )
    tab.check_accessibility()
    hub.release()
    expect(load).to_have_count(0, timeout=20_000)
    tab.open("models/m?tab=files")
    expect(panel.get_by_text("complete", exact=True)).to_be_visible()
    assert sparkd.chat("m").status_code == 200
    tab.open("history?span=3600")
    page.get_by_role("button", name="Show as table").click()
    expect(page.get_by_role("table", name="Events")).to_contain_text("Downloaded")
    assert sparkd.sparkctl("stop", "m").returncode == 0
    tab.open("models/m?tab=files")
    panel.get_by_role("button", name="Delete files…").click()
    page.get_by_role("dialog", name="Delete the files of m?").get_by_role(
        "button", name="Delete", exact=True
    ).click()
    expect(panel.get_by_text("not on disk", exact=True)).to_be_visible()


def test_a_download_that_fails_says_why(build: Build, open_page: OpenPage, hub: Hub) -> None:
    hub.repositories.clear()
    tab = open_page(build({"m": takes("org/m")}))
    page = tab.open("models/m?tab=files")
    panel = page.get_by_role("dialog", name="m", exact=True)
    panel.get_by_role("button", name="Download").click()
    page.get_by_role("dialog", name="Download m?").get_by_role("button", name="Download").click()
    expect(page.locator(".toast")).to_contain_text("org/m", timeout=20_000)
    tab.expect_faults("503")
