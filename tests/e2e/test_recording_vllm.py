"""What a real vLLM reports of each API is what is recorded, and its streams arrive as if sparkd had asked for nothing.

sparkd starts vLLM; then a gateway of the tests forwards to the same engine, so that its records can be seen.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sparkd.catalog.definitions import Model
from sparkd.engines.engine import UnixAddress
from sparkd.upstream.client import Upstream
from sparkd.usage.records import RequestRecord
from tests.clients.serving import scripted
from tests.e2e.sparkd_process import SparkdProcess
from tests.gateway.gateways import House, catalogue, house, model, run
from tests.gateway.test_recording import ended, watch
from tests.models import EMBEDDINGS_MODEL, RUNTIMES, VENVS

HI = [{"role": "user", "content": "hi"}]
READ_NOTE = {
    "description": "Reads",
    "parameters": {"type": "object", "properties": {"command": {"type": "string"}}},
}
BASH = [{"type": "function", "function": {"name": "bash", **READ_NOTE}}]
PATHS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", {"messages": HI, "max_tokens": 60}),
    "tool call": (
        "/v1/chat/completions",
        {"messages": [{"role": "user", "content": "Read the note"}], "tools": BASH, "max_tokens": 90},
    ),
    "completions": ("/v1/completions", {"prompt": "<|play:hello|>", "max_tokens": 12}),
    "echo": ("/v1/completions", {"prompt": "<|play:hello|>", "max_tokens": 12, "echo": True}),
    "responses": ("/v1/responses", {"input": "hi", "max_output_tokens": 60}),
    "messages": ("/v1/messages", {"messages": HI, "max_tokens": 60}),
}


@pytest.fixture(scope="module")
def engines() -> Iterator[dict[str, UnixAddress]]:
    """Real engines that run, by their models."""
    embedder = scripted("qwen", source=str(EMBEDDINGS_MODEL), context_length=256)
    embedder["options"] = {"runner": "pooling"}
    thinking = {"reasoning-parser": "qwen3", "enable-prompt-tokens-details": True}
    with tempfile.TemporaryDirectory(prefix="sparkd-recording-") as folder:
        sparkd = SparkdProcess(
            Path(folder),
            {
                "memory": {"total": "6 GiB", "reserve": 0, "learn": False},
                "paths": {"venvs": str(VENVS), "runtimes": str(RUNTIMES)},
                "models": {"m": scripted("qwen", thinking), "embedder": embedder},
            },
        )
        sparkd.start()
        sockets: dict[str, UnixAddress] = {}
        for name in ("m", "embedder"):
            assert sparkd.sparkctl("load", name).returncode == 0, sparkd.log()
            [path] = set((sparkd.folder / "run" / "engines").rglob("*.sock")) - {
                Path(each.path) for each in sockets.values()
            }
            sockets[name] = UnixAddress(str(path))
        yield sockets
        assert sparkd.stop(seconds=120) == 0, sparkd.log()


def served(name: str) -> Model:
    return model(
        name, context_length=None, options={"enable-auto-tool-choice": True, "tool-call-parser": "hermes"}
    )


async def ask(here: House, path: str, body: dict[str, Any]) -> tuple[str, RequestRecord]:
    """A response of the gateway, and its record."""
    records = watch(here)
    async with httpx.AsyncClient(base_url=here.url, timeout=60) as client:
        answer = await client.post(path, json=body, headers={"x-request-id": "r1"})
        assert answer.status_code == 200, answer.text
    return answer.text, await ended(here, records)


def usage_in(text: str) -> tuple[int, int, int | None]:
    """The last usage in a response: tokens in, out and cached."""
    last = None
    for line in [text, *text.splitlines()]:
        try:
            document = json.loads(line.removeprefix("data: "))
        except json.JSONDecodeError:
            continue
        last = document.get("usage") or document.get("response", {}).get("usage") or last
    assert last is not None, text
    cached = last.get("cache_read_input_tokens")
    details = last.get("prompt_tokens_details") or last.get("input_tokens_details") or {}
    tokens_in = last.get("prompt_tokens", last.get("input_tokens")) + (cached or 0)
    return (
        tokens_in,
        last.get("completion_tokens", last.get("output_tokens", 0)),
        details.get("cached_tokens", cached),
    )


@pytest.mark.parametrize("kind", PATHS)
def test_what_is_recorded_is_what_vllm_reports(engines: dict[str, UnixAddress], kind: str) -> None:
    path, fields = PATHS[kind]

    async def test() -> None:
        async with house(models=catalogue(served("m")), upstream=Upstream(engines["m"])) as here:
            body = {"model": "m", "temperature": 0, **fields}
            for stream in (False, True):
                asked = {"stream_options": {"include_usage": True}} if stream and "/c" in path else {}
                text, record = await ask(here, path, {**body, "stream": stream, **asked})
                tokens = usage_in(text)
                assert (record.tokens_in, record.tokens_out, record.tokens_cached) == tokens, text
                assert (record.endpoint, record.streamed) == (path, stream)
                assert (record.first_token_seconds is not None) is stream
                assert tokens[1] > 2
                if asked:
                    silent, record = await ask(here, path, {**body, "stream": True})
                    assert '"usage"' not in silent
                    assert (record.tokens_in, record.tokens_out) == tokens[:2]

    run(test, 120)


@pytest.mark.parametrize("kind", ["chat", "tool call", "completions", "echo"])
def test_a_stream_is_that_which_vllm_sends_if_nobody_asks(engines: dict[str, UnixAddress], kind: str) -> None:
    path, fields = PATHS[kind]
    body = {"model": "m", "temperature": 0, "stream": True, **fields}

    async def test() -> None:
        texts = []
        for asks in (True, False):
            definition = model("m", context_length=None, options=served("m").options, ask_usage=asks)
            async with house(models=catalogue(definition), upstream=Upstream(engines["m"])) as here:
                text, record = await ask(here, path, body)
                assert (record.tokens_out is not None) is asks
                texts.append(text)
        same = [re.sub(r'"created":\d+|chatcmpl-tool-\w+|call_\w+', "", text) for text in texts]
        assert same[0] == same[1]
        assert "system_fingerprint" in same[0]

    run(test, 60)


@pytest.mark.parametrize("path", ["/v1/embeddings", "/pooling"])
def test_embeddings(engines: dict[str, UnixAddress], path: str) -> None:
    async def test() -> None:
        async with house(models=catalogue(model("embedder")), upstream=Upstream(engines["embedder"])) as here:
            text, record = await ask(here, path, {"model": "embedder", "input": ["one two", "three"] * 8})
            assert record.tokens_in == json.loads(text)["usage"]["prompt_tokens"] > 16
            assert record.endpoint == path

    run(test, 60)


def test_reasoning_is_the_first_token(engines: dict[str, UnixAddress]) -> None:
    async def test() -> None:
        async with house(models=catalogue(served("m")), upstream=Upstream(engines["m"])) as here:
            text, record = await ask(here, *_with(PATHS["chat"], stream=True))
            assert '"reasoning":"' in text
            assert record.first_token_seconds is not None

    run(test, 60)


def _with(case: tuple[str, dict[str, Any]], **fields: Any) -> tuple[str, dict[str, Any]]:
    return case[0], {"model": "m", **case[1], **fields}
