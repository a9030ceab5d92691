"""The view Now, in a real browser: loads, evictions, requests, and a daemon that ends under the open page."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import Build
from tests.e2e.sparkd_process import engine
from tests.page.browser import NARROW, WIDE, Theme
from tests.page.conftest import OpenPage
from tests.page.scene import Scene, playing

LOST = (
    "ERR_CONNECTION",
    "ERR_SOCKET_NOT_CONNECTED",
    "ERR_EMPTY_RESPONSE",
    "ERR_INCOMPLETE_CHUNKED_ENCODING",
    "Failed to load resource",
)
"""What a browser reports while no daemon listens."""


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    """One scene for the tests that only look."""
    with tempfile.TemporaryDirectory(prefix="sparkd-page-") as folder, playing(Path(folder)) as played:
        yield played


def card(page: Page, title: str) -> Locator:
    """The card with this title."""
    return page.get_by_role("region", name=title, exact=True).first


@pytest.mark.parametrize(
    ("size", "theme"), [(WIDE, "light"), (WIDE, "dark"), (NARROW, "light"), (NARROW, "dark")]
)
def test_a_full_page_is_accessible_and_fits(
    scene: Scene, open_page: OpenPage, size: tuple[int, int], theme: Theme
) -> None:
    tab = open_page(scene.sparkd, size=size, theme=theme)
    page = tab.open("now")
    expect(page.get_by_role("heading", name="Loading")).to_be_visible()
    tab.check_accessibility()
    tab.check_layout()
    page.get_by_role("button", name="Show as table").click()
    tab.check_accessibility()
    tab.check_layout()


def test_memory_is_shown_as_reserved_and_as_measured(scene: Scene, open_page: OpenPage) -> None:
    page = open_page(scene.sparkd).open("now")
    bar = page.get_by_role("img", name=re.compile("^Memory of"))
    for share in (
        r"System: .* in use, 4\.0 GiB kept free",
        r"qwen3-coder-30b: 0\.\d GiB in use, 4\.0 GiB reserved",
    ):
        expect(bar).to_have_accessible_name(re.compile(share))
    resident = page.locator(".resident", has_text="qwen3-coder-30b")
    expect(resident).to_contain_text("in use of 4.0 GiB reserved")
    expect(resident).to_contain_text("2 requests in flight")
    page.get_by_role("button", name="Show as table").click()
    shares = page.get_by_role("table", name="Shares of the memory")
    expect(shares.get_by_role("row", name=re.compile("qwen3-coder-30b"))).to_contain_text("4.0 GiB")
    expect(shares.get_by_role("row", name=re.compile("The guard ends a model below"))).to_be_visible()


def test_a_load_is_shown_by_its_phases_against_their_usual_times(scene: Scene, open_page: OpenPage) -> None:
    page = open_page(scene.sparkd).open("now")
    load = page.get_by_role("article", name="gemma-3-12b-vision")
    current = load.locator('[aria-current="step"]')
    expect(current).to_contain_text("loading weights")
    expect(current).to_contain_text("40 %")
    expect(current).to_contain_text("usually")
    expect(load.locator(".phase.done").first).to_contain_text("importing modules")
    expect(load.locator(".phase.next").last).to_be_visible()
    expect(load).to_contain_text("usually")
    expect(load).to_contain_text("warm start")


def test_the_queue_is_shown_in_words(scene: Scene, open_page: OpenPage) -> None:
    page = open_page(scene.sparkd).open("now")
    waiting = page.get_by_role("table", name="Requests that wait for a model")
    rows = waiting.get_by_role("row")
    expect(rows).to_have_count(1 + 3)
    expect(rows.nth(1)).to_contain_text("gemma-3-12b-vision is loading weights, 40 %.")
    expect(rows.nth(2)).to_contain_text(
        "Position 1 in the queue. gemma-3-12b-vision is loading weights, 40 %."
    )
    expect(rows.nth(3)).to_contain_text("llama-3.3-70b")


def test_requests_in_flight_have_phase_and_speed(scene: Scene, open_page: OpenPage) -> None:
    page = open_page(scene.sparkd).open("now")
    rows = page.get_by_role("table", name="Requests in flight").get_by_role("row")
    expect(rows).to_have_count(1 + 6)
    decoding = rows.filter(has_text="decoding").first
    expect(decoding).to_contain_text(re.compile(r"\d+ tok/s"))
    expect(rows.filter(has_text="queued")).to_have_count(2)
    finished = page.get_by_role("table", name="Requests that have just ended")
    expect(finished.get_by_role("row", name=re.compile("503 unavailable whisper-large-v3"))).to_be_visible()


def test_a_cancelled_request_ends_with_an_error(build: Build, open_page: OpenPage) -> None:
    sparkd = build({"small": engine("--pace", "0.2", "--tokens", "1000")})
    page = open_page(sparkd).open("now")
    with sparkd.streaming("small") as lines:
        next(lines)
        page.get_by_role("button", name="Cancel the request for small").click()
        assert any("cancelled" in line for line in lines)
    expect(page.get_by_text("No request is in flight")).to_be_visible()


def test_a_model_is_stopped_and_says_so_to_a_screen_reader(build: Build, open_page: OpenPage) -> None:
    sparkd = build({"small": engine()})
    page = open_page(sparkd).open("now")
    expect(page.get_by_text("No model is in memory.")).to_be_visible()
    sparkd.chat("small")
    announced = page.locator('main [aria-live="polite"]')
    expect(announced).to_have_text("small is ready.")
    page.get_by_role("button", name="Stop small").click()
    expect(announced).to_have_text("small has stopped.")
    assert sparkd.model("small").state == "stopped"


def test_an_eviction_is_shown_with_its_reason(build: Build, open_page: OpenPage) -> None:
    sparkd = build(
        {
            "old": engine("--shutdown-delay", "3", memory="8 GiB", min_residency=0, stop_grace=30),
            "new": engine(memory="8 GiB"),
        }
    )
    sparkd.chat("old")
    page = open_page(sparkd).open("now")
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(sparkd.chat, "new")
        expect(page.locator(".resident", has_text="old")).to_contain_text("new", timeout=20_000)
        expect(page.get_by_role("table", name="Requests that wait for a model")).to_contain_text(
            "old leaves the memory for new"
        )
        assert answer.result().status_code == 200
    expect(page.locator(".resident", has_text="new")).to_contain_text("ready")


def test_a_model_that_failed_can_be_retried(build: Build, open_page: OpenPage) -> None:
    sparkd = build({"bad": engine("--exit-at-start", "3")}, failures={"max_failures": 1})
    sparkd.chat("bad")
    page = open_page(sparkd).open("now")
    failed = page.get_by_role("article", name="bad")
    expect(failed).to_contain_text("quarantined")
    failed.get_by_role("button", name="Retry").click()
    expect(failed).not_to_be_attached()
    assert not sparkd.model("bad").quarantined


def test_two_hundred_requests_in_flight(build: Build, open_page: OpenPage) -> None:
    sparkd = build({"small": engine("--pace", "0.5", "--tokens", "400")})
    sparkd.chat("small", stream=False, max_tokens=1, bad={"tokens": 1})
    tab = open_page(sparkd)
    page = tab.open("now")
    with ExitStack() as stack:
        for _ in range(210):
            stack.enter_context(sparkd.waiting_client("small"))
        expect(card(page, "In flight")).to_contain_text("210 requests, of which the first 200 are shown")
        tab.check_layout()
    expect(page.get_by_text("No request is in flight")).to_be_visible(timeout=20_000)


def test_the_page_survives_the_end_of_the_daemon(build: Build, open_page: OpenPage) -> None:
    sparkd = build({"small": engine()})
    tab = open_page(sparkd)
    page = tab.open("now")
    expect(page.get_by_text("live", exact=True)).to_be_visible()
    assert sparkd.stop() == 0
    expect(page.get_by_text("no connection")).to_be_visible(timeout=15_000)
    sparkd.start()
    expect(page.get_by_text("live", exact=True)).to_be_visible(timeout=15_000)
    sparkd.chat("small")
    expect(page.locator(".resident", has_text="small")).to_be_visible()
    tab.expect_faults(*LOST)


def test_a_daemon_is_replaced_under_the_open_page(build: Build, open_page: OpenPage) -> None:
    sparkd = build({"small": engine()})
    sparkd.chat("small")
    tab = open_page(sparkd)
    page = tab.open("now")
    expect(page.locator(".resident", has_text="small")).to_be_visible()
    done = sparkd.sparkctl("reexec")
    assert done.returncode == 0, done.stderr
    assert sparkd.status().replacements == 1
    sparkd.chat("small")
    finished = page.get_by_role("table", name="Requests that have just ended")
    expect(finished.get_by_role("row")).to_have_count(1 + 1, timeout=15_000)  # those of this program
    expect(page.get_by_text("live", exact=True)).to_be_visible()
    expect(page.locator(".resident", has_text="small")).to_contain_text("ready")
    tab.expect_faults(*LOST)


def test_on_the_port_of_clients_it_can_be_read(build: Build, open_port: OpenPage, folder: Path) -> None:
    (folder / "keys").write_text("watcher: secret-of-watcher\nowner: secret-of-owner\n")
    sparkd = build(
        {"small": engine()},
        server={"listen": "127.0.0.1:0", "api_key_file": "keys"},
        keys={"watcher": {"role": "view"}, "owner": {"role": "operate"}},
    )
    headers = {"x-api-key": "secret-of-owner"}
    body = {"model": "small", "messages": [{"role": "user", "content": "hi"}]}
    assert httpx.post(f"{sparkd.url}/v1/chat/completions", json=body, headers=headers).status_code == 200
    tab = open_port(sparkd)
    page = tab.page
    page.goto(f"{tab.url}#/now")
    page.get_by_role("textbox", name="API key").fill("secret-of-watcher")
    page.get_by_role("button", name="Use this key").click()
    resident = page.locator(".resident", has_text="small")
    expect(resident).to_be_visible()
    expect(resident.get_by_role("button")).to_have_count(0)
    tab.check_accessibility()
    tab.expect_faults("401")
