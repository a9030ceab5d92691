"""The view Clients: configurations for each key, and captured requests."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import Build
from tests.e2e.sparkd_process import SparkdProcess
from tests.page.browser import NARROW, WIDE, Theme
from tests.page.chat_engine import talker
from tests.page.conftest import OpenPage

ADA = {"authorization": "Bearer sk-ada-123"}


@pytest.fixture
def with_keys(build: Build, folder: Path) -> Callable[[], SparkdProcess]:
    """Start a sparkd with two keys and two models."""

    def start() -> SparkdProcess:
        (folder / "keys").write_text("ada: sk-ada-123\nchildren: sk-children-123\n")
        return build(
            {"small": talker(context_length=32768, vision=True), "other": talker(context_length=8192)},
            server={"listen": "127.0.0.1:0", "api_key_file": "keys"},
            keys={"children": {"models": ["small"], "rate": 30}, "ada": {"role": "view"}},
        )

    return start


def test_the_configuration_is_for_the_chosen_key_model_and_address(
    with_keys: Callable[[], SparkdProcess], open_page: OpenPage
) -> None:
    tab = open_page(with_keys())
    page = tab.open("clients/opencode?key=ada")
    content = page.locator(".client-file pre")
    expect(content).to_contain_text("{env:SPARKD_API_KEY}")
    page.get_by_label("Address of sparkd for the program").fill("http://spark.local:8009")
    expect(content).to_contain_text("http://spark.local:8009/v1")
    expect(page.locator(".steps")).to_contain_text(
        "sparkctl client opencode --url http://spark.local:8009 --key - --write"
    )
    assert {"small", "other"} <= set(json.loads(content.inner_text())["provider"]["sparkd"]["models"])
    page.get_by_label("API key").select_option("children")
    expect(page.get_by_text("models: small")).to_be_visible()
    expect(content).not_to_contain_text('"other"')
    assert "sk-" not in page.content()
    page.get_by_label("Put the key into the configuration above").check()
    expect(content).to_contain_text("sk-children-123")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "opencode.json"


def test_every_program_has_a_page(with_keys: Callable[[], SparkdProcess], open_page: OpenPage) -> None:
    tab = open_page(with_keys())
    page = tab.open("clients")
    programs = page.locator(".program-list a")
    expect(programs).to_have_count(14)
    for index in range(14):
        programs.nth(index).click()
        expect(programs.nth(index)).to_have_attribute("aria-current", "page")
        expect(page.get_by_role("heading", name="Steps")).to_be_visible()


def test_a_capture_begins_shows_a_banner_and_is_forgotten(
    with_keys: Callable[[], SparkdProcess], open_page: OpenPage
) -> None:
    sparkd = with_keys()
    tab = open_page(sparkd)
    page = tab.open("clients?tab=captured")
    page.get_by_label("Name of a key or program").fill("ada")
    page.get_by_role("button", name="Begin").click()
    banner = page.locator(".banner.bad")
    expect(banner).to_contain_text('requests of the client "ada"')
    body = {"model": "small", "messages": [{"role": "user", "content": "a secret of ada"}]}
    httpx.post(f"{sparkd.url}/v1/chat/completions", json=body, headers=ADA, timeout=60)
    page.locator("button.link").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator("pre")).to_contain_text("a secret of ada")
    dialog.get_by_role("tab", name="The engine's response").click()
    expect(dialog.locator("pre")).to_contain_text("[DONE]")
    tab.check_accessibility()
    page.keyboard.press("Escape")
    tab.open("now")
    expect(banner).to_be_visible()
    tab.open("clients?tab=captured")
    page.get_by_role("button", name="End and forget").click()
    expect(page.get_by_text("Nothing is captured")).to_be_visible()
    expect(banner).to_have_count(0)
    assert "a secret of ada" not in sparkd.log()
    kept = [
        path
        for path in sparkd.folder.rglob("*")
        if path.is_file() and b"a secret of ada" in path.read_bytes()
    ]
    assert kept == []


def test_captures_are_not_on_the_port_of_clients(
    with_keys: Callable[[], SparkdProcess], open_port: OpenPage
) -> None:
    sparkd = with_keys()
    for path in ("captures", "captures/1", "/captures", "captures/", "x/../captures"):
        answer = httpx.get(f"{sparkd.url}/ui/api/{path}", headers=ADA)
        assert answer.status_code in (403, 404), path
    assert (
        httpx.get(f"{sparkd.url}/ui/api/clients/cline?key=ada&secret=true", headers=ADA).text.count("sk-ada")
        == 0
    )
    tab = open_port(sparkd)
    page = tab.page
    page.goto(f"{tab.url}#/clients")
    page.get_by_label("API key", exact=True).fill("sk-ada-123")
    page.get_by_role("button", name="Use this key").click()
    page.reload()
    expect(page.get_by_role("heading", name="Steps")).to_be_visible()
    expect(page.get_by_role("tab", name="Captured requests")).to_have_count(0)
    expect(page.get_by_label(re.compile("Put the key"))).to_have_count(0)
    tab.expect_faults("401")


@pytest.mark.parametrize(("size", "theme"), [(WIDE, "dark"), (NARROW, "light")])
def test_the_view_is_accessible_and_fits(
    with_keys: Callable[[], SparkdProcess], open_page: OpenPage, size: tuple[int, int], theme: Theme
) -> None:
    tab = open_page(with_keys(), size=size, theme=theme)
    page = tab.open("clients/claude-code")
    expect(page.get_by_role("heading", name="Steps")).to_be_visible()
    tab.check_accessibility()
    tab.check_layout()
    tab.open("clients?tab=captured")
    expect(page.get_by_text("Nothing is captured")).to_be_visible()
    tab.check_accessibility()
    tab.check_layout()
