"""Documents, and images in the results of tools."""

from typing import Any

import pytest

from sparkd.catalog.templates import Template
from sparkd.rewriting import RewriteContext
from sparkd.rewriting.rewrite_context import Api
from tests.rewriting.corpus import (
    BLOCK_IMAGE,
    IMAGE,
    INPUT_IMAGE,
    NOTE,
    PDF,
    USER,
    answered,
    call,
    calls,
    input_text,
    made,
    output,
    result,
    returned,
    said,
    text,
    use,
)
from tests.rewriting.examples import model, rewrite_request, rewrite_to_dict

INLINED = '<document name="a.txt">\nHello\n</document>'
LEFT_OUT = '(the document "a.pdf", left out: the model reads only text)'
HEADING = "[Images of the tool result]"


def send(api: Api, *turns: Any, vision: bool = False, **template: Any) -> list[Any]:
    context = RewriteContext(model(vision=vision), api, template=Template(null_content=True, **template))
    field = "input" if api == "responses" else "messages"
    sent: list[Any] = rewrite_to_dict({field: list(turns)}, context)[field]
    return sent


@pytest.mark.parametrize(("data", "name", "expected"), [(NOTE, "a.txt", INLINED), (PDF, "a.pdf", LEFT_OUT)])
def test_one_of_plain_text_becomes_that_text_and_another_a_note(data: str, name: str, expected: str) -> None:
    file = {"type": "file", "file": {"file_data": data, "filename": name}}
    assert send("chat", said(text("Read."), file)) == [said(text("Read."), text(expected))]
    input_file = {"type": "input_file", "file_data": data, "filename": name}
    assert send("responses", said(input_file)) == [said(input_text(expected))]
    assert send("responses", USER, made(), output(value=[input_file]))[2] == output(value=expected)
    media_type, _, encoded = data.removeprefix("data:").partition(";base64,")
    document = {
        "type": "document",
        "title": name,
        "source": {"type": "base64", "media_type": media_type, "data": encoded},
    }
    assert send("messages", said(document)) == [said(text(expected))]
    turns = [USER, answered(use()), said(returned(content=[document]))]
    assert send("messages", *turns) == [*turns[:2], said(returned(content=[text(expected)]))]


def test_a_long_one_is_inlined_whole() -> None:
    document = {"type": "document", "title": "t", "source": {"type": "text", "data": "A" * 400_000}}
    [turn] = send("messages", said(document))
    assert turn["content"][0]["text"] == f'<document name="t">\n{"A" * 400_000}\n</document>'


def test_one_at_an_address_is_named() -> None:
    document = {"type": "document", "source": {"type": "url", "url": "https://x/a.pdf"}}
    [turn] = send("messages", said(document))
    assert "https://x/a.pdf" in turn["content"][0]["text"]


def test_talking_about_documents_changes_nothing() -> None:
    body = {"messages": [said(text('{"type": "document"} "file"'))]}
    assert rewrite_request(body, RewriteContext(model())).rewrites == ()


def test_images_of_results_follow_in_a_user_turn() -> None:
    turns = [USER, calls(call("a"), call("b")), result("a", [text("x"), IMAGE]), result("b", [IMAGE]), USER]
    assert send("chat", *turns, vision=True) == [
        *turns[:2],
        result("a", "x"),
        result("b", "(see the images below)"),
        said(text(HEADING), IMAGE, IMAGE),
        USER,
    ]
    items = [USER, made(), output(value=[input_text("x"), INPUT_IMAGE])]
    image = {**INPUT_IMAGE, "detail": "auto"}
    assert send("responses", *items, vision=True) == [
        *items[:2],
        output(value="x"),
        {"type": "message", **said(input_text(HEADING), image)},
    ]


def test_engines_do_that_in_messages_but_not_for_alternating_roles() -> None:
    turns = [USER, answered(use()), said(returned(content=[BLOCK_IMAGE]))]
    assert send("messages", *turns, vision=True) == turns
    assert send("messages", *turns, vision=True, alternates=True) == [
        *turns[:2],
        said(returned(content="(see the images below)")),
        {"role": "assistant", "content": "Understood."},
        said(text(HEADING), BLOCK_IMAGE),
    ]


def test_a_model_without_vision_gets_a_note_and_no_error() -> None:
    note = "(an image, left out)"
    assert send("chat", USER, calls(call()), result(content=[IMAGE]))[2] == result(content=note)
    assert send("messages", USER, answered(use()), said(returned(content=[BLOCK_IMAGE])))[2] == said(
        returned(content=note)
    )
    assert send("responses", USER, made(), output(value=[INPUT_IMAGE]))[2] == output(value=note)
