"""A walk through the page with a real vLLM, in the order in which an owner meets the views.

A cold load by its phases, a chat, the requests with the tokens that vLLM has reported, its output, its metrics, a
failed load with its cause, an eviction with its reason, a tool call, and a replacement under the open page. The tests
share one sparkd and depend on their order, because a load takes 20 seconds.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.clients.serving import scripted
from tests.e2e.sparkd_process import SparkdProcess
from tests.e2e.test_vllm import vllm
from tests.metrics.records import samples
from tests.models import RUNTIMES, VENVS
from tests.page.browser import Tab, open_tab
from tests.page.forwarder import forward
from tests.page.test_chat import ask, wait_for_answer
from tests.page.test_now import LOST

LOADED = 180_000
"""Milliseconds that a cold load of vLLM may take on a busy machine; it only limits a hang."""

QUESTION: dict[str, Any] = {
    "messages": [{"role": "user", "content": "What is the capital of France?"}],
    "max_tokens": 16,
    "temperature": 0,
}


@pytest.fixture(scope="module")
def sparkd() -> Iterator[SparkdProcess]:
    with tempfile.TemporaryDirectory(prefix="sparkd-walk-") as folder:
        sparkd = SparkdProcess(
            Path(folder),
            {
                "memory": {"total": "6 GiB", "reserve": 0, "learn": False},
                "paths": {"venvs": str(VENVS), "runtimes": str(RUNTIMES)},
                "models": {
                    "smollm2": vllm("SmolLM2-135M-Instruct", aliases=["smol"]),
                    "caller": scripted("qwen", {"reasoning-parser": "qwen3"}, memory="4 GiB"),
                    "wrong": vllm("SmolLM2-135M-Instruct", options={"disable-log-requests": True}),
                },
            },
        )
        sparkd.start()
        yield sparkd
        assert sparkd.stop(seconds=120) == 0, sparkd.log()
        sparkd.assert_nothing_left()


@pytest.fixture(scope="module")
def address(sparkd: SparkdProcess) -> Iterator[str]:
    """The owner's page."""
    with forward(sparkd.folder / "run" / "control.sock") as port:
        yield f"http://localhost:{port}/ui/"


@pytest.fixture
def tab(browser: Browser, address: str) -> Iterator[Tab]:
    with open_tab(browser, address) as opened:
        yield opened


def finished(page: Page) -> Locator:
    return page.get_by_role("table", name="Finished requests").locator("tbody tr")


def facts(panel: Locator) -> dict[str, str]:
    """The facts of the panel of a request, by their names."""
    names = panel.locator("dl.facts dt").all_inner_texts()
    return dict(zip(names, panel.locator("dl.facts dd").all_inner_texts(), strict=True))


def newest(sparkd: SparkdProcess) -> dict[str, Any]:
    """The newest record of a finished request."""
    rows = httpx.get(f"{sparkd.url}/ui/api/requests", params={"limit": 1}).json()["requests"]
    found: dict[str, Any] = rows[0]
    return found


def test_a_cold_load_is_seen_by_its_phases(sparkd: SparkdProcess, tab: Tab) -> None:
    page = tab.open("now")
    expect(page.get_by_text("No model is in memory.")).to_be_visible()
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(sparkd.chat, "smollm2", **QUESTION)
        load = page.get_by_role("article", name="smollm2")
        expect(load).to_contain_text("cold start", timeout=20_000)
        expect(page.locator(".phase.current .phase-name")).to_have_text(
            re.compile("weights|memory|warm", re.IGNORECASE), timeout=LOADED
        )
        expect(page.get_by_role("table", name="Requests that wait for a model")).to_contain_text("smollm2")
        tab.check_accessibility()
        tab.check_layout()
        resident = page.locator(".resident", has_text="smollm2")
        expect(resident).to_contain_text("ready", timeout=LOADED)
        assert answer.result().json()["usage"]["completion_tokens"] > 0
    expect(load).to_have_count(0)
    expect(resident).to_contain_text(re.compile(r"\d MiB in use of 3\.0 GiB|\d GiB in use of 3\.0 GiB"))


def test_a_chat_is_streamed_and_its_tokens_are_those_of_its_record(sparkd: SparkdProcess, tab: Tab) -> None:
    page = tab.open("chat?model=smol")
    page.get_by_label("Most tokens").fill("60")
    page.get_by_label("Further fields").fill('{"ignore_eos": true}')
    ask(page, "Write a very long story about a lighthouse.")
    prose = page.locator(".answer .prose")
    expect(prose).to_be_visible(timeout=LOADED)
    first = prose.inner_text()
    foot = page.locator(".answer-foot")
    expect(foot).to_contain_text("in all", timeout=LOADED)
    assert len(prose.inner_text()) > len(first), "the answer was shown before its end"
    expect(foot).to_contain_text("60 out")
    expect(foot).to_contain_text(re.compile(r"\d+ tokens in .*tok/s .*first token after"))
    record = newest(sparkd)
    assert (record["model"], record["asked"], record["tokens_out"]) == ("smollm2", "smol", 60)
    assert f"{record['tokens_in']} tokens in" in foot.inner_text()


def test_a_request_is_listed_with_the_usage_of_its_response(sparkd: SparkdProcess, tab: Tab) -> None:
    page = tab.open("requests")
    expect(finished(page).first).to_be_visible()
    before = finished(page).count()
    usage = sparkd.chat("smollm2", **QUESTION).json()["usage"]
    expect(finished(page)).to_have_count(before + 1)
    finished(page).first.get_by_role("button", name="Details").click()
    panel = page.get_by_role("dialog", name="Request")
    expect(panel).to_contain_text("smollm2")
    shown = facts(panel)
    assert shown["In"] == str(usage["prompt_tokens"])
    assert shown["Out"] == str(usage["completion_tokens"])
    assert shown["Response"] == "in one piece"
    tab.check_accessibility()


def test_an_idle_model_is_seen_in_its_views(sparkd: SparkdProcess, tab: Tab) -> None:
    """Its output, its lane in the history, its figures, and its panel."""
    page = tab.open("logs/smollm2")
    output = page.get_by_label("Output of smollm2")
    expect(output).to_be_visible()
    page.get_by_role("searchbox").fill("Application startup complete")
    expect(page.locator(".log-line mark").first).to_be_visible()
    tab.check_accessibility()
    tab.open("history?span=3600")
    lane = page.get_by_role("slider", name="States of smollm2")
    lane.focus()
    page.keyboard.press("End")
    expect(lane).to_have_attribute("aria-valuetext", re.compile("^ready, "))
    page.keyboard.press("ArrowLeft")
    expect(lane).to_have_attribute("aria-valuetext", re.compile("^loading, "))
    expect(page.get_by_role("table", name="Loads of each model")).to_contain_text("smollm2")
    tab.open("usage?group=model")
    requests = httpx.get(f"{sparkd.url}/ui/api/requests", params={"model": "smollm2"}).json()["requests"]
    row = page.get_by_role("row", name=re.compile("smollm2"))
    expect(row).to_contain_text(str(len(requests)))
    expect(row).to_contain_text(str(sum(each["tokens_out"] for each in requests)))
    tab.open("models/smollm2?tab=options")
    expect(page.get_by_role("dialog", name="smollm2")).to_contain_text("kv-cache-memory-bytes")
    tab.open("models/smollm2?tab=loads")
    expect(page.get_by_role("dialog", name="smollm2")).to_contain_text(re.compile("weights", re.IGNORECASE))


def test_the_metrics_have_what_was_served_and_those_of_the_engine(sparkd: SparkdProcess) -> None:
    records = httpx.get(f"{sparkd.url}/ui/api/requests", params={"model": "smollm2"}).json()["requests"]
    generated = sum(each["tokens_out"] for each in records)
    own = samples(httpx.get(f"{sparkd.url}/metrics").text)
    assert (
        sum(value for name, value in own.items() if re.match('sparkd_tokens_total.*type="output"', name))
        == generated
    )
    engines = samples(httpx.get(f"{sparkd.url}/metrics/engines", timeout=60).text)
    counted = [value for name, value in engines.items() if name.startswith("vllm:generation_tokens_total{")]
    assert counted == [generated], "sparkd and vLLM count the same"


def test_a_failed_load_is_shown_with_its_cause(sparkd: SparkdProcess, tab: Tab) -> None:
    page = tab.open("models/wrong")
    panel = page.get_by_role("dialog", name="wrong")
    assert sparkd.chat("wrong").status_code == 503
    expect(panel).to_contain_text("disable-log-requests")
    tab.open("now")
    failed = page.get_by_role("article", name="wrong")
    expect(failed.locator(".load-cause")).to_contain_text("disable-log-requests")
    tab.check_accessibility()
    failed.get_by_role("link", name="Logs").click()
    expect(page.get_by_label("Output of wrong")).to_contain_text("unrecognized arguments")


def test_an_eviction_is_shown_with_its_reason(tab: Tab) -> None:
    page = tab.open("models")
    page.get_by_role("button", name="Load caller").click()
    plan = page.get_by_role("dialog", name="Load caller?")
    expect(plan).to_contain_text("It stops smollm2.")
    plan.get_by_role("button", name="Load", exact=True).click()
    expect(page.get_by_role("row", name=re.compile("^ready.* caller "))).to_be_visible(timeout=LOADED)
    tab.open("history?span=3600")
    lane = page.get_by_role("slider", name="States of smollm2")
    lane.focus()
    page.keyboard.press("End")
    expect(lane).to_have_attribute(
        "aria-valuetext", re.compile("^stopped, .* Model caller needed its memory.$")
    )
    expect(lane.locator(".lane-tip")).to_contain_text("Model caller needed its memory.")


def test_a_tool_call_of_the_model_gets_its_result(sparkd: SparkdProcess, tab: Tab) -> None:
    """The model reads the note twice before it answers."""
    page = tab.open("chat?model=caller")
    page.get_by_label("Tools").fill('[{"name": "read_note", "parameters": {"type": "object"}}]')
    ask(page, "Read the note")
    for calls in (1, 2):
        wait_for_answer(page, calls)
        expect(page.get_by_role("region", name="Tool call")).to_have_count(calls)
        page.get_by_label("Result of read_note").fill("Meet at the lighthouse.")
        page.get_by_role("button", name="Send the result").click()
    wait_for_answer(page, 3)
    expect(page.locator(".answer .prose").last).to_contain_text("lighthouse")
    expect(page.locator(".answer-foot").last).to_contain_text(f"{newest(sparkd)['tokens_out']} out")


def test_sparkd_is_replaced_while_the_page_shows_a_response(sparkd: SparkdProcess, tab: Tab) -> None:
    page = tab.open("now")
    pid = sparkd.model("caller").pid
    done = sparkd.sparkctl("reexec")
    assert done.returncode == 0, done.stderr
    assert sparkd.chat("caller").status_code == 200
    ended = page.get_by_role("table", name="Requests that have just ended")
    expect(ended.get_by_role("row", name=re.compile("200 OK caller")).first).to_be_visible(timeout=20_000)
    expect(page.get_by_text("live", exact=True)).to_be_visible()
    assert sparkd.model("caller").pid == pid
    page.goto(f"{tab.url}#/history?span=3600")
    page.get_by_role("button", name="Show as table").click(timeout=LOADED)
    expect(page.get_by_role("table", name="Events")).to_contain_text("sparkd replaced by another version")
    tab.check_accessibility()
    tab.expect_faults(*LOST)
