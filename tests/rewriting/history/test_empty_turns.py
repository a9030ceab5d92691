"""Assistant turns that say nothing."""

from typing import Any

import pytest

from sparkd.catalog.templates import Template
from sparkd.rewriting import RewriteContext
from sparkd.rewriting.rewrite_context import Api
from tests.rewriting.corpus import ANSWER, USER, answered, call, calls, message, output_text, result, text
from tests.rewriting.examples import model, rewrite_to_dict

EMPTY: list[tuple[Api, str, Any]] = [
    *(
        ("chat", "messages", {"role": "assistant", "content": content})
        for content in ("", " \n", None, [], [text("")])
    ),
    ("chat", "messages", {"role": "assistant"}),
    ("chat", "messages", {"role": "assistant", "content": None, "tool_calls": []}),
    *(
        ("messages", "messages", answered(*blocks))
        for blocks in ([], [text("")], [{"type": "thinking", "thinking": ""}])
    ),
    ("messages", "messages", {"role": "assistant", "content": ""}),
    *(("responses", "input", message("assistant", *parts)) for parts in ([], [output_text("")])),
    ("responses", "input", {"role": "assistant", "content": None}),
    (
        "responses",
        "input",
        {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "Hm"}]},
    ),
]


@pytest.mark.parametrize(("api", "field", "turn"), EMPTY)
def test_they_are_removed(api: Api, field: str, turn: Any) -> None:
    body = {field: [USER, turn, USER]}
    assert rewrite_to_dict(body, RewriteContext(model(), api)) == {field: [USER, USER]}


def test_neighbours_are_merged_where_roles_alternate() -> None:
    body = {"messages": [USER, {"role": "assistant", "content": ""}, USER]}
    context = RewriteContext(model(), template=Template(alternates=True))
    assert rewrite_to_dict(body, context)["messages"] == [{"role": "user", "content": "Hi\n\nHi"}]


def test_the_only_turn_is_filled() -> None:
    context = RewriteContext(model(), template=Template(needs_user=False))
    assert rewrite_to_dict({"messages": [{"role": "assistant", "content": ""}]}, context)["messages"] == [
        {"role": "assistant", "content": "(no answer)"}
    ]


def test_a_template_that_accepts_them_gets_them() -> None:
    body = {"messages": [USER, {"role": "assistant", "content": ""}, USER]}
    assert rewrite_to_dict(body, RewriteContext(model(), template=Template(empty_assistant=True))) == body


def test_a_turn_that_the_model_is_to_continue_stays() -> None:
    body = {"messages": [USER, {"role": "assistant", "content": ""}], "continue_final_message": True}
    assert rewrite_to_dict(body, RewriteContext(model())) == {**body, "add_generation_prompt": False}


@pytest.mark.parametrize("more", [{"reasoning": "Hm"}, {"reasoning_content": "Hm"}])
def test_what_says_something_in_another_way_stays(more: dict[str, Any]) -> None:
    body = {"messages": [USER, {"role": "assistant", "content": "", **more}, USER]}
    assert rewrite_to_dict(body, RewriteContext(model())) == body


def test_null_beside_tool_calls_is_an_empty_text_unless_the_template_accepts_it() -> None:
    body = {"messages": [USER, calls(call()), result(), ANSWER]}
    assert rewrite_to_dict(body, RewriteContext(model()))["messages"][1]["content"] == ""
    assert rewrite_to_dict(body, RewriteContext(model(), template=Template(null_content=True))) == body


def test_speech_that_another_server_keeps_says_nothing() -> None:
    spoken = {"role": "assistant", "content": None, "audio": {"id": "audio_1"}}
    assert rewrite_to_dict({"messages": [USER, spoken, USER]}, RewriteContext(model())) == {
        "messages": [USER, USER]
    }
