"""A model is found by the name that a client uses for it, wherever the request has it."""

from __future__ import annotations

import json

import pytest

from sparkd.catalog.rewriting import Rewriting
from sparkd.catalog.settings import Server, Settings
from tests.gateway.engines import OK, Asked, answering, request
from tests.gateway.gateways import catalogue, house, model, run

MODELS = (
    model("gpt-oss-20b", source="openai/gpt-oss-20b", aliases=("claude-*",)),
    model("qwen", rewriting=Rewriting(presets={"qwen:think": {"top_k": 3}})),
)


def form(name: str) -> bytes:
    body = f'--b\r\ncontent-disposition: form-data; name="model"\r\n\r\n{name}\r\n--b--\r\n'.encode()
    head = "POST /v1/audio/transcriptions HTTP/1.1\r\nhost: [::1]\r\ncontent-type: multipart/form-data; boundary=b\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


def reached(raw: bytes, settings: Settings | None = None) -> tuple[str, str, bytes]:
    """The model, the target and the body that a request reaches."""
    asked: list[Asked] = []
    models: list[str] = []

    async def test() -> None:
        async with house(answering(OK, asked=asked), models=catalogue(*MODELS, settings=settings)) as here:
            answer = await here.ask(raw)
            assert answer.status == 200, answer.body
            models.extend(here.supervisor.asked)

    run(test)
    return models[0], asked[0].line.split()[1], asked[0].body


@pytest.mark.parametrize(
    "name", ["GPT-oss-20b", " openai/gpt-oss-20b", "gpt-oss-20b:latest", "claude-opus-4"]
)
@pytest.mark.parametrize("path", ["chat/completions", "completions", "responses", "messages", "embeddings"])
def test_a_body_may_write_the_name_in_another_way(name: str, path: str) -> None:
    said: dict[str, object] = {"messages": [{"role": "user", "content": "hi"}], "input": "hi"}
    if path == "completions":
        said = {"prompt": "hi"}
    found, target, body = reached(request(json.dumps({"model": name, **said}).encode(), f"/v1/{path}"))
    assert (found, target, json.loads(body)["model"]) == ("gpt-oss-20b", f"/v1/{path}", "gpt-oss-20b")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/GPT-OSS-20B/embeddings",
        "/v1/openai/gpt-oss-20b/embeddings",
        "/v1/openai%2Fgpt-oss-20b/embeddings",
        "/v1/claude-x/embeddings",
        "/v1/embeddings?model=OpenAI/gpt-oss-20b",
        "/v1/embeddings?model=claude-1",
    ],
)
def test_path_and_query_may_too(path: str) -> None:
    assert reached(request(b"{}", path))[:2] == ("gpt-oss-20b", "/v1/embeddings")


@pytest.mark.parametrize("name", ["gpt-OSS-20b", "openai/gpt-oss-20b"])
def test_a_form_may_too(name: str) -> None:
    found, _, body = reached(form(name))
    assert found == "gpt-oss-20b"
    assert b"\r\n\r\ngpt-oss-20b\r\n" in body


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/Qwen:Think/chat/completions"])
def test_a_preset_in_another_case_is_applied(path: str) -> None:
    body = {"model": "local/Qwen:Think"} if path.startswith("/v1/chat") else {}
    assert json.loads(reached(request(json.dumps(body).encode(), path))[2])["top_k"] == 3


@pytest.mark.parametrize(
    "raw",
    [
        request(b'{"model":"gpt-5"}'),
        request(b'{"model":""}'),
        request(b"{}", "/v1/messages"),
        form("whisper-1"),
        form(""),
    ],
)
def test_a_default_model_answers_for_a_name_that_does_not_exist(raw: bytes) -> None:
    assert reached(raw, Settings(server=Server(default_model="qwen")))[0] == "qwen"


def test_a_default_model_is_for_bodies_only() -> None:
    async def test() -> None:
        models = catalogue(*MODELS, settings=Settings(server=Server(default_model="qwen")))
        async with house(models=models) as here:
            for raw, status in (
                (request(b"", "/v1/responses/r1", "GET"), 400),
                (request(b"", "/v1/nosuch/x", "GET"), 404),
                (request(b"{}", "/v1/nosuch/chat/completions"), 404),
                (request(b"", "/v1/x?model=nosuch", "GET"), 404),
                (form("x").replace(b'"model"', b'"other"'), 400),
            ):
                assert (await here.ask(raw)).status == status
            assert here.supervisor.asked == []

    run(test)
