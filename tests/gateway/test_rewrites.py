"""Requests mended on their way: what the client sees of it, what the engine gets, what the journal says."""

import json
import logging
from typing import Any

import pytest

from sparkd.catalog import Catalogue
from sparkd.catalog.rewriting import Rewriting
from tests.gateway.engines import OK, Answer, Asked, answering, request
from tests.gateway.gateways import catalogue, house, model, run

PRESETS = {"m:high": {"reasoning_effort": "high"}}
WORDS = "The keeper climbed the stairs and cleaned the lamp. "
CHAT = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 5}
IMAGE = {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:x"}}]}]}


def models() -> Catalogue:
    return catalogue(
        model("m", context_length=4096, rewriting=Rewriting(tools="strip", presets=PRESETS)),
        model("large", context_length=65536, vision=True),
    )


def ask(
    body: dict[str, Any] | bytes, path: str = "/v1/chat/completions", engine: bytes = OK
) -> tuple[Answer, list[Asked], list[str]]:
    """What came back, what the engine was asked, and which models were wanted of the supervisor."""
    asked: list[Asked] = []
    answers: list[Answer] = []
    wanted: list[str] = []

    async def test() -> None:
        async with house(answering(engine, asked=asked), models=models()) as here:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            answers.append(await here.ask(request(data, path)))
            wanted.extend(here.supervisor.asked)

    run(test)
    return answers[0], asked, wanted


TOOL = {"type": "function", "function": {"name": "hush", "parameters": {"type": "object", "properties": {}}}}


def test_an_answer_says_which_rules_mended_its_request() -> None:
    answer, asked, _ = ask({"model": "m", **CHAT, "tools": [TOOL]})
    assert answer.header("x-sparkd-rewrites") == "cap-tokens, strip-tools"
    assert json.loads(asked[0].body) == {"model": "m", **CHAT, "max_completion_tokens": 5}


def test_an_answer_to_a_request_that_needed_no_mending_says_nothing() -> None:
    answer, *_ = ask({"model": "m", **CHAT, "max_completion_tokens": 5})
    assert answer.header("x-sparkd-rewrites") is None


def test_an_engine_cannot_claim_to_have_mended_anything() -> None:
    claim = b"HTTP/1.1 200 OK\r\nx-sparkd-rewrites: magic\r\ncontent-length: 2\r\n\r\n{}"
    answer, *_ = ask({"model": "m", **CHAT, "max_completion_tokens": 5}, engine=claim)
    assert answer.header("x-sparkd-rewrites") is None


def test_a_prompt_that_cannot_fit_starts_nothing() -> None:
    answer, asked, wanted = ask({"model": "m", "messages": [{"role": "user", "content": WORDS * 1000}]})
    assert (answer.status, answer.code) == (400, "context_length_exceeded")
    assert answer.json["error"]["type"] == "invalid_request_error"
    assert answer.json["error"]["message"].endswith('"m" takes 4,096. "large" takes 65,536.')
    assert (asked, wanted) == ([], [])


def test_anthropics_clients_are_refused_in_their_own_shape() -> None:
    answer, _, wanted = ask({"model": "m", "system": WORDS * 1000, "messages": []}, "/v1/messages")
    assert answer.json["error"]["type"] == "invalid_request_error"
    assert (answer.json["type"], wanted) == ("error", [])


def test_an_image_for_a_model_of_text_starts_nothing() -> None:
    answer, asked, wanted = ask({"model": "m", **IMAGE})
    assert (answer.status, answer.code) == (400, "images_not_supported")
    assert answer.json["error"]["message"] == 'Model "m" does not accept images. These models do: large.'
    assert (asked, wanted) == ([], [])


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"model": "m:high"}),
        ("/v1/m:high/chat/completions", {}),
        ("/v1/m:high/chat/completions", {"model": "whatever"}),
        ("/v1/m/chat/completions", {"model": "m:high"}),
        ("/v1/chat/completions?model=m:high", {}),
    ],
)
def test_a_preset_works_wherever_a_model_is_named(path: str, body: dict[str, Any]) -> None:
    answer, asked, _ = ask({**body, "n": 1}, path)
    assert json.loads(asked[0].body) == {"n": 1, "model": "m", "reasoning_effort": "high"}
    assert answer.header("x-sparkd-rewrites") == "preset"


def test_a_preset_is_listed_among_the_aliases() -> None:
    async def test() -> None:
        async with house(models=models()) as here:
            answer = await here.ask(b"GET /v1/models/m:high HTTP/1.1\r\nhost: localhost\r\n\r\n")
            assert answer.json["aliases"] == ["m:high"]

    run(test)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded"])
def test_a_chat_that_is_no_json_is_refused_whatever_it_is_called(kind: str) -> None:
    async def test() -> None:
        async with house(models=models()) as here:
            raw = request(b"hello", "/v1/m/chat/completions").replace(b"application/json", kind.encode())
            assert (await here.ask(raw)).code == "invalid_request"
            raw = request(b'{"max_tokens": "x"}', "/v1/m/chat/completions").replace(
                b"application/json", kind.encode()
            )
            answer = await here.ask(raw)
            assert answer.json["error"]["message"] == "`max_tokens` must be a whole number of tokens."
            assert here.supervisor.asked == []

    run(test)


def test_the_journal_has_figures_before_and_after_and_not_a_word_of_the_prompt(
    caplog: pytest.LogCaptureFixture,
) -> None:
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": "secret"}],
        "tools": [TOOL],
    }
    with caplog.at_level(logging.DEBUG, "sparkd.gateway"):
        ask({**body, "max_tokens": 100000, "functions": "hush"})
    line, answered = [record.getMessage() for record in caplog.records]
    assert "cap-tokens: max_tokens 100000 -> 3" in line
    assert "strip-tools: tools (1 item, 104 characters) -> -, functions (6 characters) -> -" in line
    for word in ("secret", "hush"):
        assert word not in line + answered


def test_at_other_levels_the_journal_is_silent(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "sparkd.gateway"):
        ask({"model": "m", **CHAT})
    assert caplog.records == []
