"""Text of clients, engines and the catalogue in every view: it is only text, whatever is in it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import httpx
import pytest
from playwright.sync_api import Page

from tests.e2e.conftest import Build
from tests.e2e.sparkd_process import SparkdProcess, wait_until
from tests.page.chat_engine import talker
from tests.page.conftest import OpenPage

ATTACK: Final = (
    "<img src=x onerror='window.attacked=1'><script>window.attacked=1</script>"
    "\"'`</textarea></title></style><svg onload=window.attacked=1>${window.attacked=1}"
    " [x](javascript:window.attacked=1) \u202e\u2066\x1b[31m\x1b]8;;javascript:window.attacked=1\x07x\x1b]8;;\x07"
)

VIEWS: Final = (
    *(
        "now",
        "models",
        "requests",
        "logs",
        "logs?model=small",
        "logs?model=broken",
        "history",
        "usage",
        "clients",
    ),
    *("clients/opencode", "catalogue", "catalogue/models.d/own.toml", "catalogue/models.toml", "doctor"),
    *(
        f"models/{model}?tab={tab}"
        for model in ("small", "constructor")
        for tab in ("overview", "options", "plan", "files", "loads")
    ),
    *("history?model=small", "chat?model=constructor"),
)

NAMES: Final = ("constructor", "__proto__", "%zz", "1e308", "<script>")
QUERIES: Final = {
    "models": ("state", "ability", "text", "sort", "order", "tab"),
    "requests": (
        "model",
        "status",
        "range",
        "period",
        "sort",
        "order",
        "id",
        "limit",
        "from",
        "to",
        "endpoint",
    ),
    "logs": ("source", "model", "file", "level", "find", "lines"),
    "history": ("model", "range", "span", "from", "to"),
    "usage": ("range", "group", "measure", "span", "by"),
    "clients": ("model", "key", "base"),
    "catalogue": ("line", "new", "override", "edit"),
    "chat": ("model",),
    "now": ("x",),
    "doctor": ("x",),
}
"""Parts of addresses that a link may have."""

OWN: Final = f"""
# {ATTACK.replace(chr(27), "").replace(chr(7), "")}
[changes.small]
description = '''{ATTACK.replace("'", "").replace(chr(27), "").replace(chr(7), "")}'''
"""


@pytest.fixture
def sparkd(build: Build, folder: Path) -> SparkdProcess:
    """A sparkd that has been sent, and says, the attack wherever text is possible."""
    (folder / "models.d").mkdir()
    (folder / "models.d" / "own.toml").write_text(OWN)
    fails = [sys.executable, "-c", f"print({ATTACK!r}); raise SystemExit({ATTACK!r})", "{socket}"]
    sparkd = build(
        {
            "small": talker("--say", ATTACK, aliases=["short"]),
            "constructor": talker("--say", ATTACK),
            "broken": {"engine": "command", "command": fails, "memory": "1 GiB"},
        },
    )
    text = ATTACK.encode("ascii", "ignore").decode().replace("\x1b", "").replace("\x07", "")
    headers = {"user-agent": text, "x-request-id": text[:100], "x-client-name": text}
    for model in ("small", "constructor", "broken", ATTACK):
        body = {"model": model, "messages": [{"role": "user", "content": f"echo: {ATTACK}"}], "stream": True}
        httpx.post(f"{sparkd.url}/v1/chat/completions", json=body, headers=headers, timeout=60)
    return sparkd


def test_text_of_others_is_only_text_in_every_view(sparkd: SparkdProcess, open_page: OpenPage) -> None:
    control = httpx.HTTPTransport(uds=str(sparkd.folder / "run" / "control.sock"))
    with httpx.Client(transport=control, base_url="http://sparkd", timeout=60) as owner:
        assert owner.post("/captures", json={"client": "anonymous", "minutes": 5}).is_success
        hold = {"seconds": 600, "owner": ATTACK, "job": ATTACK, "reason": ATTACK}
        owner.post("/models/small/hold", json=hold)
        sparkd.chat("small", f"echo: {ATTACK}", stream=True)
        wait_until("it was captured", lambda: owner.get("/captures").json()["requests"])
    tab = open_page(sparkd)
    for view in VIEWS:
        check_is_only_text(tab.open(view), view)
    page = tab.open("requests")
    page.get_by_role("table", name="Finished requests").locator("tbody tr").first.click()
    page.wait_for_timeout(300)
    check_is_only_text(page, "a request")


def test_addresses_that_are_wrong_break_no_view(sparkd: SparkdProcess, open_page: OpenPage) -> None:
    tab = open_page(sparkd)
    page = tab.open("now")
    for view, keys in QUERIES.items():
        for name in NAMES:
            query = "&".join(f"{key}={name}" for key in keys)
            for address in (f"{view}?{query}", f"{view}/{name}", f"{view}/{name}?{query}"):
                page.evaluate("hash => { location.hash = hash }", f"#/{address}")
                page.wait_for_timeout(30)
                exceptions = [fault for fault in tab.faults if fault.startswith("exception")]
                assert not exceptions, f"{address}: {exceptions}"
    for name in NAMES:
        page.evaluate("hash => { location.hash = hash }", f"#/{name}")
        page.wait_for_timeout(30)
    tab.open("now")
    tab.expect_faults("status of 4")  # models that do not exist


def check_is_only_text(page: Page, where: str) -> None:
    """Fail if the attack has run, or has become a part of the document."""
    page.wait_for_selector("main")
    page.wait_for_timeout(100)
    found = page.evaluate(
        """() => [...document.querySelectorAll("body *")].flatMap((each) => [
            ...each.getAttributeNames().filter((name) => name.startsWith("on")),
            ...(/^\\s*(javascript|data):/i.test(each.getAttribute("href") ?? "") ? ["href"] : []),
            ...(["script", "iframe", "object", "embed", "base"].includes(each.localName) ? [each.outerHTML] : []),
            ...(each.localName === "img" && each.getAttribute("src") === "x" ? ["img"] : []),
        ])"""
    )
    assert not found, (where, found)
    assert page.evaluate("window.attacked ?? null") is None, where
