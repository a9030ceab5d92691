"""The view Chat: an image, a tool call, reasoning, waiting, stop, edit, and text of a model that attacks the page."""

from __future__ import annotations

import base64
import json
import re
import zlib
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from sparkd.rewriting.rules import RULES
from tests.e2e.conftest import Build
from tests.page.browser import NARROW, WIDE, Theme
from tests.page.chat_engine import talker
from tests.page.conftest import OpenPage

STATIC = Path(__file__).resolve().parents[2] / "sparkd" / "page" / "static"
TOOLS = (
    '[{"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}]'
)


def ask(page: Page, text: str) -> None:
    field = page.get_by_label("Message", exact=True)
    field.fill(text)
    field.press("Enter")


def wait_for_answer(page: Page, number: int = 1) -> None:
    expect(page.get_by_text(re.compile("in all$"))).to_have_count(number)


def make_png(width: int, height: int) -> bytes:
    """A red picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data).to_bytes(4, "big")
        return len(data).to_bytes(4, "big") + kind + data + check

    rows = (b"\0" + b"\xff\0\0" * width) * height
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x02\0\0\0"
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def test_an_answer_has_text_reasoning_tokens_and_what_was_rewritten(
    build: Build, open_page: OpenPage
) -> None:
    tab = open_page(build({"small": talker(aliases=["short"], rewriting={"set": {"top_k": 20}})}))
    page = tab.open("chat?model=small")
    ask(page, "think\necho: **bold** text")
    wait_for_answer(page)
    expect(page.locator(".answer .prose strong")).to_have_text("bold")
    expect(page.locator(".reasoning p")).to_be_hidden()
    page.locator(".reasoning summary").click()
    expect(page.locator(".reasoning p")).to_contain_text("Let me think about it.")
    expect(page.locator(".answer-foot")).to_contain_text("20 tokens in (16 cached)")
    page.get_by_role("button", name=re.compile("Rewritten by")).click()
    expect(page.get_by_role("dialog")).to_contain_text("Set fields that the catalogue sets")
    page.keyboard.press("Escape")
    tab.check_accessibility()


def test_an_image_is_sent_and_shown(build: Build, open_page: OpenPage) -> None:
    tab = open_page(build({"small": talker(vision=True)}))
    page = tab.open("chat?model=small")
    page.locator("input[type=file]").set_input_files(
        {"name": "red.png", "mimeType": "image/png", "buffer": make_png(8, 8)}
    )
    expect(page.locator(".attached img")).to_have_count(1)
    ask(page, "What is this?")
    wait_for_answer(page)
    expect(page.locator(".answer .prose")).to_contain_text("I see 1 image of type data:image/png")
    expect(page.locator(".bubble img")).to_have_count(1)
    tab.check_accessibility()


def test_an_image_is_pasted_and_a_large_one_made_smaller(build: Build, open_page: OpenPage) -> None:
    tab = open_page(build({"small": talker(vision=True)}))
    page = tab.open("chat?model=small")
    large = base64.b64encode(make_png(3000, 10) + b"\0" * 4 * 2**20).decode()
    page.evaluate(
        """data => {
            const bytes = Uint8Array.from(atob(data), (each) => each.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], "large.png", { type: "image/png" }));
            document.getElementById("chat-text").dispatchEvent(
                new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true, cancelable: true }));
        }""",
        large,
    )
    image = page.locator(".attached img")
    expect(image).to_have_attribute("src", re.compile("^data:image/jpeg"))
    assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") == 2048
    page.get_by_role("button", name="Remove large.png").click()
    expect(image).to_have_count(0)


def test_a_tool_call_is_shown_and_its_result_is_typed_by_hand(build: Build, open_page: OpenPage) -> None:
    tab = open_page(build({"small": talker()}))
    page = tab.open("chat?model=small")
    page.get_by_label("Tools").fill(TOOLS)
    ask(page, "What is the weather?")
    wait_for_answer(page)
    call = page.get_by_role("region", name="Tool call")
    expect(call).to_contain_text("get_weather")
    expect(call.locator("pre")).to_have_text('{\n  "city": "Berlin"\n}')
    tab.check_accessibility()
    page.get_by_label("Result of get_weather").fill("sunny")
    page.get_by_role("button", name="Send the result").click()
    wait_for_answer(page, 2)
    expect(page.locator(".answer .prose strong")).to_have_text("sunny")


def test_settings_that_are_no_json_are_explained_and_nothing_is_sent(
    build: Build, open_page: OpenPage
) -> None:
    tab = open_page(build({"small": talker()}))
    page = tab.open("chat?model=small")
    page.get_by_label("Tools").fill('[{"nme": "x"}]')
    expect(page.get_by_text("Tools: number 1 has no name.").first).to_be_visible()
    ask(page, "hi")
    expect(page.locator(".toast.bad")).to_be_visible()
    expect(page.locator(".turn")).to_have_count(0)
    expect(page.get_by_label("Message", exact=True)).to_have_value("hi")


def test_an_answer_is_stopped_edited_and_asked_again(build: Build, open_page: OpenPage) -> None:
    tab = open_page(build({"small": talker()}))
    page = tab.open("chat?model=small")
    ask(page, "count 5000")
    expect(page.locator(".answer .prose")).to_contain_text("3")
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("stopped", exact=True)).to_be_visible()
    page.get_by_role("button", name="Edit and send again").click()
    expect(page.get_by_label("Message", exact=True)).to_have_value("count 5000")
    ask(page, "echo: first")
    wait_for_answer(page)
    page.get_by_role("button", name="Ask again").click()
    wait_for_answer(page)
    expect(page.locator(".turn")).to_have_count(2)
    tab.expect_faults("ERR_ABORTED")


def test_a_conversation_survives_a_reload_and_another_view(build: Build, open_page: OpenPage) -> None:
    tab = open_page(build({"small": talker()}))
    page = tab.open("chat?model=small")
    ask(page, "count 40")
    page.goto(f"{tab.url}#/logs")
    page.get_by_role("heading", name="Logs").wait_for()
    tab.open("chat")
    wait_for_answer(page)
    expect(page.locator(".answer .prose")).to_contain_text("39")
    page.wait_for_timeout(600)  # until it is stored
    page.reload()
    wait_for_answer(page)
    assert page.evaluate("localStorage.getItem('sparkd.chat')") is None


def test_the_request_as_curl_and_python_is_the_one_that_was_sent(build: Build, open_page: OpenPage) -> None:
    sparkd = build({"small": talker()})
    tab = open_page(sparkd)
    page = tab.open("chat?model=small")
    page.get_by_label("Temperature").fill("0.3")
    page.get_by_label("Further fields").fill('{"min_p": 0.1}')
    ask(page, "it's echo: fine")
    wait_for_answer(page)
    page.get_by_role("button", name="curl, Python, export").click()
    dialog = page.get_by_role("dialog")
    curl = dialog.locator("pre").inner_text()
    body = json.loads(curl.partition("-d '")[2].removesuffix("'").replace("'\\''", "'"))
    assert body == {
        "model": "small",
        "messages": [{"role": "user", "content": "it's echo: fine"}],
        "temperature": 0.3,
        "min_p": 0.1,
    }
    assert f"curl http://127.0.0.1:{sparkd.port}/v1/chat/completions" in curl
    dialog.get_by_role("tab", name="Python").click()
    program = dialog.locator("pre").inner_text()
    compile(program, "chat.py", "exec")
    assert "extra_body={" in program
    tab.check_accessibility()
    dialog.get_by_role("tab", name="JSON").click()
    assert json.loads(dialog.locator("pre").inner_text())["settings"]["model"] == "small"


def test_a_cold_load_is_shown_while_the_answer_waits(build: Build, open_page: OpenPage) -> None:
    tab = open_page(build({"small": talker("--start-delay", "1.5")}))
    page = tab.open("chat?model=small")
    ask(page, "echo: at last")
    expect(page.locator(".waiting")).to_contain_text("model loads", timeout=10_000)
    wait_for_answer(page)
    expect(page.locator(".answer .prose")).to_have_text("at last")


def test_an_error_is_shown_where_the_answer_would_be(build: Build, open_page: OpenPage) -> None:
    tab = open_page(build({"broken": talker("--no-such-option")}))
    page = tab.open("chat?model=broken")
    ask(page, "hi")
    expect(page.locator(".answer [role=alert]")).to_contain_text('Model "broken" failed')
    tab.expect_faults("503")


def test_on_the_port_of_clients_the_page_chats_with_its_key(
    build: Build, open_port: OpenPage, folder: Path
) -> None:
    (folder / "keys").write_text("ada: sk-ada\n")
    sparkd = build(
        {"small": talker()},
        server={"listen": "127.0.0.1:0", "api_key_file": "keys"},
        keys={"ada": {"role": "view"}},
    )
    tab = open_port(sparkd)
    page = tab.page
    page.goto(f"{tab.url}#/chat?model=small")
    page.get_by_label("API key", exact=True).fill("sk-ada")
    page.get_by_role("button", name="Use this key").click()
    page.reload()
    ask(page, "echo: with a key")
    wait_for_answer(page)
    expect(page.locator(".answer .prose")).to_have_text("with a key")
    tab.expect_faults("401")


ATTACKS = [
    "<script>window.attacked = 1</script>",
    "<img src=x onerror='window.attacked = 1'>",
    "<svg onload='window.attacked = 1'>",
    "<iframe srcdoc='<script>parent.attacked = 1</script>'></iframe>",
    "[click](javascript:window.attacked=1)",
    "[click](JaVaScRiPt&colon;window.attacked=1)",
    "[click](data:text/html,<script>1</script>)",
    "![x](https://example.org/leak.png)",
    "![x](x' onerror='window.attacked=1)",
    '<a href="https://example.org" onclick="window.attacked = 1">x</a>',
    "<style>body { display: none }</style>",
    "<form action=/v1/models><button>send</button></form>",
    "<input autofocus onfocus='window.attacked = 1'>",
    "<math><mi xlink:href='javascript:window.attacked = 1'>x</mi></math>",
    "```html\n<script>window.attacked = 1</script>\n```",
    '```"><img src=x onerror=window.attacked=1>\nx\n```',
    "`<img src=x onerror='window.attacked = 1'>`",
    "| a |\n|---|\n| <img src=x onerror='window.attacked = 1'> |",
    "<div id=main name=body class=nav>clobber</div>",
    "<noscript><p title='</noscript><img src=x onerror=window.attacked=1>'>",
    "[a](#/catalogue) [b](/v1/models) [c](//example.org)",
]


def test_text_of_a_model_cannot_attack_the_page(build: Build, open_page: OpenPage) -> None:
    tab = open_page(build({"small": talker()}))
    page = tab.open("chat?model=small")
    for number, attack in enumerate(ATTACKS, 1):
        ask(page, f"echo: {attack}")
        wait_for_answer(page, number)
    page.locator(".answer a").evaluate_all("links => links.forEach((link) => link.removeAttribute('target'))")
    assert page.evaluate("window.attacked") is None
    found: dict[str, Any] = page.evaluate(
        """() => {
            const inside = [...document.querySelectorAll(".prose *")];
            return {
                tags: [...new Set(inside.map((each) => each.localName))],
                links: inside.flatMap((each) => each.getAttribute("href") ?? []),
                attributes: [...new Set(inside.flatMap((each) => each.getAttributeNames()))],
            };
        }"""
    )
    allowed = {
        "a",
        "p",
        "pre",
        "code",
        "div",
        "span",
        "button",
        "svg",
        "path",
        "table",
        "thead",
        "tbody",
        "tr",
        "td",
        "th",
        "br",
    }
    assert set(found["tags"]) <= allowed
    assert all(link.startswith(("https://", "http://")) for link in found["links"])
    assert not {
        name for name in found["attributes"] if name.startswith("on") or name in ("id", "name", "style")
    }


def test_links_of_a_model_open_elsewhere_and_tell_nothing(build: Build, open_page: OpenPage) -> None:
    tab = open_page(build({"small": talker()}))
    page = tab.open("chat?model=small")
    ask(page, "echo: [docs](https://example.org/a)")
    wait_for_answer(page)
    link = page.locator(".prose a")
    expect(link).to_have_attribute("rel", "noopener noreferrer")
    expect(link).to_have_attribute("target", "_blank")


def test_every_rule_of_sparkd_is_explained() -> None:
    text = (STATIC / "views" / "chat" / "rewrites.js").read_text()
    explained = set(re.findall(r'^  "([a-z-]+)":', text, re.MULTILINE))
    assert {rule.name for rule in RULES} <= explained


@pytest.mark.parametrize(("size", "theme"), [(WIDE, "dark"), (NARROW, "light")])
def test_the_view_is_accessible_and_fits(
    build: Build, open_page: OpenPage, size: tuple[int, int], theme: Theme
) -> None:
    tab = open_page(build({"small": talker(vision=True)}), size=size, theme=theme)
    page = tab.open("chat?model=small")
    tab.check_accessibility()
    ask(
        page,
        "think\necho: # A title\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```python\nprint('"
        + "long " * 60
        + "')\n```",
    )
    wait_for_answer(page)
    tab.check_accessibility()
    tab.check_layout()
    if size == NARROW:
        page.get_by_role("button", name="Settings").click()
        expect(page.get_by_label("System prompt")).to_be_visible()
        tab.check_accessibility()
        tab.check_layout()


def test_parameters_are_those_of_the_model(build: Build, open_page: OpenPage) -> None:
    rewriting = {
        "default": {"temperature": 0.7},
        "set": {"top_p": 0.9},
        "strip": ["seed"],
        "efforts": ["low", "high"],
        "presets": {"small:bold": {"temperature": 1.5}},
    }
    tab = open_page(build({"small": talker() | {"rewriting": rewriting}, "plain": talker()}))
    page = tab.open("chat?model=small")
    temperature, top_p, seed = (
        page.get_by_label(name, exact=True) for name in ("Temperature", "Top p", "Seed")
    )
    expect(temperature).to_have_attribute("placeholder", "default: 0.7")
    expect(temperature).to_be_enabled()
    expect(top_p).to_be_disabled()
    expect(page.get_by_text("Always 0.9: the catalogue sets it.")).to_be_visible()
    expect(seed).to_be_disabled()
    effort = page.get_by_label("Reasoning effort")
    expect(effort.locator("option")).to_have_text(["default", "low", "high"])
    tab.check_accessibility()
    tab.open("chat?model=small:bold")
    expect(page.get_by_text("small:bold always uses 1.5.")).to_be_visible()
    expect(temperature).to_be_disabled()
    tab.open("chat?model=plain")
    expect(temperature).to_have_attribute("placeholder", "default")
    expect(seed).to_be_enabled()
    expect(effort.locator("option")).to_have_text(["default", "none", "low", "medium", "high"])
