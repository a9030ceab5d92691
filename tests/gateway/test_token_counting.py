"""Counting tokens: exact if the model is loaded, an estimate otherwise, and no use of the model in either case."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from sparkd.catalog.rewriting import Rewriting
from tests.gateway.engines import Answer, Asked, answering, request
from tests.gateway.gateways import House, catalogue, house, model, run

WORDS = "The keeper climbed the stairs and cleaned the lamp. " * 100
TURNS = [{"role": "user", "content": WORDS}]
COUNTS: list[tuple[str, dict[str, Any], str]] = [
    ("/v1/messages/count_tokens", {"messages": TURNS, "system": "Be brief."}, "input_tokens"),
    ("/v1/m/messages/count_tokens", {"messages": TURNS}, "input_tokens"),
    ("/messages/count_tokens", {"messages": TURNS}, "input_tokens"),
    ("/v1/responses/input_tokens", {"input": WORDS}, "input_tokens"),
    ("/tokenize", {"messages": TURNS}, "count"),
    ("/tokenize", {"prompt": WORDS}, "count"),
    ("/v1/m/tokenize", {"prompt": WORDS}, "count"),
]
MODEL = model("m", context_length=4096, rewriting=Rewriting(thinking_switch=True, disable_thinking=True))


def ask(
    path: str, fields: dict[str, Any], *answers: bytes, ready: bool = True, engine: str = "vllm"
) -> tuple[Answer, list[Asked], House]:
    seen: list[Asked] = []
    got: list[tuple[Answer, House]] = []

    async def test() -> None:
        script = answering(*(answers or (b"",)), asked=seen)
        models = catalogue(model("m", engine=engine, context_length=4096) if engine != "vllm" else MODEL)
        async with house(script, models=models, ready=ready) as here:
            got.append((await here.ask(request(json.dumps({"model": "m"} | fields).encode(), path)), here))

    run(test)
    return got[0][0], seen, got[0][1]


def reply(status: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (
        status,
        len(body),
        body,
    )


@pytest.mark.parametrize(("path", "fields", "name"), COUNTS)
def test_a_model_that_is_not_loaded_is_counted_by_an_estimate(
    path: str, fields: dict[str, Any], name: str
) -> None:
    answer, seen, here = ask(path, fields, ready=False)
    assert (answer.status, answer.header("x-sparkd-estimate")) == (200, "true")
    assert 900 < answer.json[name] < 1500
    assert answer.json["estimate"] is True
    assert (seen, here.supervisor.asked) == ([], [])
    assert "tokens" not in answer.json
    assert answer.json.get("max_model_len", 4096) == 4096


@pytest.mark.parametrize(("path", "fields", "name"), [each for each in COUNTS if "responses" not in each[0]])
def test_a_loaded_model_counts_itself_without_a_lease(path: str, fields: dict[str, Any], name: str) -> None:
    body = b'{"%s":7,"tokens":[1]}' % name.encode()
    answer, seen, here = ask(path, fields, reply(b"200 OK", body))
    assert (answer.status, answer.header("x-sparkd-estimate"), answer.body) == (200, None, body)
    assert here.supervisor.asked == []
    assert seen[0].line.split()[1] == path.replace("/m/", "/").replace("/v1/tok", "/tok").replace(
        "//", "/"
    ) or (seen[0].line.split()[1] == "/v1/messages/count_tokens")
    sent = json.loads(seen[0].body)
    assert sent["model"] == "m"
    assert sent.keys() <= {*fields, "model", "chat_template_kwargs"}


@pytest.mark.parametrize(
    "reply_",
    [reply(b"400 Bad", b"{}"), reply(b"404 Not Found", b"{}"), reply(b"500 No", b""), b"no http\r\n\r\n"],
)
def test_what_the_engine_cannot_count_is_estimated(reply_: bytes) -> None:
    answer, *_ = ask("/v1/messages/count_tokens", {"messages": TURNS}, reply_)
    assert (answer.status, answer.header("x-sparkd-estimate")) == (200, "true")


def test_a_prompt_that_is_too_long_is_counted_too() -> None:
    turns = [{"role": "user", "content": WORDS * 50}]
    for path in ("/v1/messages/count_tokens", "/tokenize"):
        answer, *_ = ask(path, {"messages": turns, "max_tokens": 100}, ready=False)
        assert answer.status == 200
        assert max(answer.json.get("input_tokens", 0), answer.json.get("count", 0)) > 40_000


def test_tools_count() -> None:
    tool = {"name": "f", "description": WORDS, "input_schema": {"type": "object"}}
    short = ask("/v1/messages/count_tokens", {"messages": TURNS}, ready=False)[0].json["input_tokens"]
    long = ask("/v1/messages/count_tokens", {"messages": TURNS, "tools": [tool]}, ready=False)[0].json[
        "input_tokens"
    ]
    assert long > short + 900


def test_tokens_are_not_made_up() -> None:
    answer, _, here = ask("/tokenize", {"prompt": "hi", "return_token_strs": True}, ready=False)
    assert (answer.status, answer.code, here.supervisor.asked) == (503, "model_not_loaded", [])


@pytest.mark.parametrize(
    ("path", "fields", "param"),
    [
        ("/v1/messages/count_tokens", {}, "messages"),
        ("/v1/messages/count_tokens", {"messages": "hi"}, "messages"),
        ("/v1/responses/input_tokens", {}, "input"),
        ("/tokenize", {}, "prompt"),
        ("/tokenize", {"prompt": [1, 2]}, "prompt"),
        ("/tokenize", {"messages": None}, "messages"),
    ],
)
def test_a_request_without_a_prompt_is_rejected(path: str, fields: dict[str, Any], param: str) -> None:
    for ready in (True, False):
        answer, *_ = ask(path, fields, ready=ready)
        error = answer.json["error"]
        assert (answer.status, f"`{param}`" in error["message"]) == (400, True)


def test_the_tokenizer_of_an_engine_of_ones_own_is_its_own() -> None:
    answer, seen, here = ask(
        "/tokenize", {"content": "hi"}, reply(b"200 OK", b'{"tokens":[1]}'), engine="command"
    )
    assert (answer.body, here.supervisor.asked) == (b'{"tokens":[1]}', ["m"])
    assert seen[0].line.split()[1] == "/tokenize"


def test_a_compressed_request_counts_as_well() -> None:
    async def test() -> None:
        async with house(ready=False) as here:
            body = gzip.compress(json.dumps({"model": "m", "prompt": WORDS}).encode())
            answer = await here.ask(request(body, "/tokenize", extra="content-encoding: gzip\r\n"))
            assert answer.json["count"] > 900

    run(test)
