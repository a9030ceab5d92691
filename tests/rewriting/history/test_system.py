"""System messages, by what the chat template accepts, in every API."""

from typing import Any

import pytest

from sparkd.catalog.templates import SystemMessages, Template
from sparkd.rewriting import RewriteContext
from sparkd.rewriting.rewrite_context import Api
from tests.rewriting.corpus import ANSWER, SYSTEM, USER, message, text
from tests.rewriting.examples import PIXEL, model, rewrite_request, rewrite_to_dict

LATE = {"role": "user", "content": "[System Instruction]\nBe brief."}
LATE_ITEM = {"type": "message", **LATE}
KIND = {"role": "system", "content": "Be kind."}


def place(api: Api, body: dict[str, Any], system: SystemMessages | None = None) -> dict[str, Any]:
    context = RewriteContext(model(), api, template=Template(system=system))
    return rewrite_to_dict(body, context)


def test_leading_ones_become_one() -> None:
    assert place("chat", {"messages": [SYSTEM, KIND, USER]}) == {
        "messages": [{"role": "system", "content": "Be brief.\n\nBe kind."}, USER]
    }


def test_parts_are_appended() -> None:
    image = {"type": "image_url", "image_url": {"url": PIXEL}}
    body = {"messages": [SYSTEM, {"role": "system", "content": [image]}, USER]}
    context = RewriteContext(model(vision=True))
    assert rewrite_to_dict(body, context)["messages"][0]["content"] == [text("Be brief."), image]


@pytest.mark.parametrize(
    ("api", "field", "late"),
    [("chat", "messages", LATE), ("messages", "messages", LATE), ("responses", "input", LATE_ITEM)],
)
def test_a_later_one_becomes_a_marked_user_turn_in_its_place(api: Api, field: str, late: Any) -> None:
    assert place(api, {field: [USER, ANSWER, SYSTEM, USER]}) == {field: [USER, ANSWER, late, USER]}


@pytest.mark.parametrize(
    ("api", "field"), [("chat", "messages"), ("messages", "messages"), ("responses", "input")]
)
def test_a_template_that_accepts_them_anywhere_gets_them_as_they_are(api: Api, field: str) -> None:
    body = {field: [SYSTEM, KIND, USER, SYSTEM]}
    assert place(api, body, "anywhere") == body


def test_in_messages_leading_ones_join_the_top_level_one() -> None:
    assert place("messages", {"system": "A", "messages": [SYSTEM, USER]}) == {
        "system": "A\n\nBe brief.",
        "messages": [USER],
    }
    cached = {**text("A"), "cache_control": {"type": "ephemeral"}}
    assert place("messages", {"system": [cached], "messages": [SYSTEM, USER]}) == {
        "system": [cached, text("\n\nBe brief.")],
        "messages": [USER],
    }


def test_a_change_of_tools_in_messages_stays_a_system_message() -> None:
    change = {
        "role": "system",
        "content": [{"type": "tool_removal", "tool": {"type": "tool_reference", "name": "f"}}],
    }
    body = {"messages": [USER, ANSWER, change, USER]}
    assert place("messages", body) == body


def test_in_responses_leading_items_join_the_instructions() -> None:
    items = [message("developer", {"type": "input_text", "text": "Be kind."}), USER]
    assert place("responses", {"instructions": "Be brief.", "input": items}) == {
        "instructions": "Be brief.\n\nBe kind.",
        "input": [USER],
    }
    once = place("responses", {"input": [items[0], items[0], USER]})
    assert once["input"][0] == {"type": "message", "role": "system", "content": "Be kind.\n\nBe kind."}


@pytest.mark.parametrize(
    ("api", "body", "expected"),
    [
        (
            "chat",
            {"messages": [SYSTEM, USER]},
            {"messages": [{**LATE, "content": f"{LATE['content']}\n\nHi"}]},
        ),
        (
            "messages",
            {"system": "Be brief.", "messages": [USER]},
            {"messages": [{**LATE, "content": f"{LATE['content']}\n\nHi"}]},
        ),
        (
            "responses",
            {"instructions": "Be brief.", "input": [USER]},
            {"input": [{**LATE, "content": f"{LATE['content']}\n\nHi"}]},
        ),
        ("responses", {"instructions": "Be brief.", "input": "Hi"}, {"input": f"{LATE['content']}\n\nHi"}),
        ("responses", {"instructions": "Be brief."}, {"input": LATE["content"]}),
        ("chat", {"messages": [SYSTEM, ANSWER, USER]}, {"messages": [LATE, ANSWER, USER]}),
        ("responses", {"instructions": "Be brief.", "input": [ANSWER]}, {"input": [LATE_ITEM, ANSWER]}),
    ],
)
def test_a_template_without_them_gets_them_in_the_first_user_turn(api: Api, body: Any, expected: Any) -> None:
    assert place(api, body, "none") == expected


@pytest.mark.parametrize(
    ("api", "field"), [("chat", "messages"), ("messages", "messages"), ("responses", "input")]
)
def test_a_developer_is_the_system_unless_the_template_knows_the_role(api: Api, field: str) -> None:
    body = {field: [USER, ANSWER, {"role": "developer", "content": "Be brief."}, USER]}
    known = RewriteContext(model(), api, template=Template(system="anywhere", developer=True))
    unknown = RewriteContext(model(), api, template=Template(system="anywhere"))
    assert rewrite_to_dict(body, unknown)[field][2] == SYSTEM
    assert (rewrite_to_dict(body, known) == body) is (api != "messages")  # /v1/messages never has that role


def test_conversations_without_system_messages_pass_as_the_same_bytes() -> None:
    assert rewrite_request({"messages": [SYSTEM, USER, ANSWER, USER]}, RewriteContext(model())).rewrites == ()
