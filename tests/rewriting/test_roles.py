"""Turns: what strict chat templates want, without losing anything on the way."""

from typing import Any

import pytest

from sparkd.rewriting import RewriteContext
from tests.rewriting.examples import model, rewrite_request, rewrite_to_dict

GEMMA = RewriteContext(model(alternate_roles=True, vision=True, repair_history=False))

Message = dict[str, Any]


def turns(*messages: Any) -> list[Message]:
    result: list[Message] = rewrite_to_dict({"messages": list(messages)}, GEMMA)["messages"]
    return result


def user(content: Any, **more: Any) -> Message:
    return {"role": "user", "content": content, **more}


def assistant(content: Any, **more: Any) -> Message:
    return {"role": "assistant", "content": content, **more}


def system(content: Any) -> Message:
    return {"role": "system", "content": content}


def part(text: str) -> Message:
    return {"type": "text", "text": text}


def call(id_: str) -> Message:
    return {"id": id_, "type": "function", "function": {"name": "f", "arguments": "{}"}}


IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}


def test_turns_that_are_right_already_pass_as_they_came() -> None:
    result = rewrite_request({"messages": [user("a"), assistant("b"), user("c")]}, GEMMA)
    assert not result.rewrites


def test_system_messages_move_into_the_first_user_message() -> None:
    assert turns(system("Be brief."), user("Hello"), system("In French.")) == [
        user("[System Instruction]\nBe brief.\n\nIn French.\n\nHello")
    ]


def test_the_newer_name_of_the_system_role_is_the_same() -> None:
    assert turns({"role": "developer", "content": "Be brief."}, user("Hello")) == [
        user("[System Instruction]\nBe brief.\n\nHello")
    ]


def test_a_system_message_in_parts_keeps_its_text() -> None:
    assert turns(system([part("One."), part("Two.")]), user("Hello")) == [
        user("[System Instruction]\nOne.\n\nTwo.\n\nHello")
    ]


@pytest.mark.parametrize("content", [None, []])
def test_system_words_survive_a_first_message_without_content(content: Any) -> None:
    assert turns(system("Be brief."), user(content)) == [user("[System Instruction]\nBe brief.")]


def test_system_words_go_in_front_of_parts_as_a_part() -> None:
    assert turns(system("Be brief."), user([part("Hello"), IMAGE])) == [
        user([part("[System Instruction]\nBe brief.\n\n"), part("Hello"), IMAGE])
    ]


def test_system_words_alone_become_a_user_message() -> None:
    assert turns(system("Be brief.")) == [user("[System Instruction]\nBe brief.")]


def test_a_conversation_that_the_assistant_begins_gets_a_user_message_in_front() -> None:
    assert turns(assistant("Hello!"), user("Hi")) == [user(" "), assistant("Hello!"), user("Hi")]


def test_no_message_at_all_becomes_a_greeting() -> None:
    assert turns() == [user("Hi")]


def test_neighbours_are_joined_with_a_blank_line() -> None:
    assert turns(user("a"), user("b"), assistant("c"), assistant("d")) == [
        user("a\n\nb"),
        assistant("c\n\nd"),
    ]


def test_a_text_and_parts_are_joined_as_parts() -> None:
    assert turns(user("a"), user([part("b"), IMAGE])) == [user([part("a"), part("b"), IMAGE])]


def test_a_null_content_is_no_text() -> None:
    assert turns(user("x"), assistant(None, tool_calls=[call("1")]), assistant("b")) == [
        user("x"),
        assistant("b", tool_calls=[call("1")]),
    ]


def test_tool_calls_of_neighbours_stand_behind_each_other() -> None:
    first = assistant(None, tool_calls=[call("1")])
    second = assistant("and", tool_calls=[call("2")])
    assert turns(user("x"), first, second) == [
        user("x"),
        assistant("and", tool_calls=[call("1"), call("2")]),
    ]


def test_results_of_tools_called_together_stay_apart() -> None:
    results = [{"role": "tool", "tool_call_id": id_, "content": id_} for id_ in "12"]
    called = assistant(None, tool_calls=[call("1"), call("2")])
    assert turns(user("x"), called, *results) == [user("x"), called, *results]


def test_what_a_merger_would_lose_is_kept_apart_by_a_short_turn() -> None:
    assert turns(user("a", name="Ann"), user("b", name="Ben")) == [
        user("a", name="Ann"),
        assistant("Understood."),
        user("b", name="Ben"),
    ]
    assert turns(user("x"), assistant("a", audio={"id": 1}), assistant("b", audio={"id": 2})) == [
        user("x"),
        assistant("a", audio={"id": 1}),
        user("Continue."),
        assistant("b", audio={"id": 2}),
    ]


def test_one_odd_message_does_not_keep_the_others_from_being_mended() -> None:
    assert turns(user("a"), None, user("b"), user("c")) == [user("a"), None, user("b\n\nc")]
    assert turns(system("s"), user([None, part("a")])) == [
        user([part("[System Instruction]\ns\n\n"), None, part("a")])
    ]


def test_texts_to_complete_have_no_roles() -> None:
    body = {"messages": [assistant("a")], "max_tokens": 5}
    assert rewrite_to_dict(body, RewriteContext(GEMMA.model, "completions")) == body


def test_a_text_merged_with_parts_that_say_nothing_is_a_text_where_only_texts_are_taken() -> None:
    plain = RewriteContext(model(alternate_roles=True, join_text=True))
    said = {"messages": [user("a"), user([]), user([part("")])]}
    assert rewrite_to_dict(said, plain)["messages"] == [user("a")]
