"""A prompt near the end of its context is counted by the engine itself, once that is ready."""

import json
from typing import Any

import pytest

from tests.gateway.engines import OK, Answer, Asked, answering, request
from tests.gateway.gateways import catalogue, house, model, run

WORDS = "The keeper climbed the stairs and cleaned the lamp. "


def counted(status: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 %s\r\ncontent-length: %d\r\n\r\n%s" % (status, len(body), body)


def ask(
    words: int, *answers: bytes, path: str = "/v1/chat/completions", **fields: Any
) -> tuple[Answer, list[Asked]]:
    asked: list[Asked] = []
    got: list[Answer] = []
    said: dict[str, Any] = {"messages": [{"role": "user", "content": WORDS * words}]}
    if path == "/v1/completions":
        said = {"prompt": WORDS * words}
    body = json.dumps({"model": "m", **said, **fields}).encode()

    async def test() -> None:
        models = catalogue(model("m", context_length=4096, source="org/m", runtime="cpu"))
        async with house(answering(*answers, asked=asked), models=models) as here:
            got.append(await here.ask(request(body, path)))

    run(test)
    return got[0], asked


def test_a_prompt_that_turns_out_to_fit_gets_all_that_is_left() -> None:
    answer, asked = ask(370, counted(b"200 OK", b'{"count":4000,"tokens":[1]}'), OK, max_tokens=500)
    assert answer.status == 200
    assert [each.line.split()[1] for each in asked] == ["/tokenize", "/v1/chat/completions"]
    assert json.loads(asked[0].body).keys() == {"model", "messages"}
    assert json.loads(asked[1].body)["max_tokens"] == 96


def test_a_prompt_that_turns_out_not_to_fit_is_refused_with_the_exact_sum() -> None:
    answer, asked = ask(370, counted(b"200 OK", b'{"count":4100}'), OK)
    assert (answer.status, answer.code) == (400, "context_length_exceeded")
    assert answer.json["error"]["message"].startswith('The prompt has 4,100 tokens, but "m" takes 4,096.')
    assert len(asked) == 1


@pytest.mark.parametrize(
    "reply",
    [
        counted(b"404 Not Found", b"{}"),
        counted(b"200 OK", b"[]"),
        counted(b"200 OK", b"\xff"),
        b"no http\r\n\r\n",
    ],
)
def test_where_the_engine_cannot_count_the_estimate_stands(reply: bytes) -> None:
    answer, asked = ask(370, reply, OK, max_tokens=500)
    assert answer.status == 200
    assert json.loads(asked[-1].body)["max_tokens"] == 1


def test_a_completions_prompt_is_counted_too() -> None:
    _, asked = ask(370, counted(b"200 OK", b'{"count":4000}'), OK, path="/v1/completions", max_tokens=500)
    assert json.loads(asked[0].body).keys() == {"model", "prompt"}
    assert json.loads(asked[1].body)["max_tokens"] == 96


def test_where_there_is_no_doubt_nothing_is_counted() -> None:
    _, asked = ask(100, OK, max_tokens=500)
    assert [each.line.split()[1] for each in asked] == ["/v1/chat/completions"]
