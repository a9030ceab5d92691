"""Heartbeats before the streams of a real vLLM, which loads while clients of each API wait."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clients.serving import scripted
from tests.e2e.sparkd_process import SparkdProcess
from tests.models import RUNTIMES, VENVS

PARAMETERS = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
NOTE: dict[str, Any] = {"name": "read_note", "description": "Reads a note.", "parameters": PARAMETERS}
MESSAGES = [{"role": "user", "content": "Read the note, then say hello."}]
CHAT = {"messages": MESSAGES, "tools": [{"type": "function", "function": NOTE}]}
REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", {**CHAT, "stream_options": {"include_usage": True}}),
    "two choices": ("/v1/chat/completions", {**CHAT, "n": 2, "temperature": 1}),
    "completions": ("/v1/completions", {"prompt": "Hello", "max_tokens": 5}),
    "messages": (
        "/v1/messages",
        {
            "messages": MESSAGES,
            "max_tokens": 100,
            "tools": [{"name": "read_note", "description": "Reads a note.", "input_schema": PARAMETERS}],
        },
    ),
    "responses": (
        "/v1/responses",
        {"input": "Say hello.", "tools": [{"type": "function", **NOTE}], "store": False},
    ),
    "rejected": ("/v1/chat/completions", {**CHAT, "temperature": -1}),
    "document": ("/v1/chat/completions", {**CHAT, "stream": False}),
}


@pytest.fixture(scope="module")
def bodies() -> Iterator[dict[str, tuple[str, bytes]]]:
    """What each request gets that waits for the load: the request's id, and the body."""
    with tempfile.TemporaryDirectory(prefix="sparkd-waiting-") as folder:
        sparkd = SparkdProcess(
            Path(folder),
            {
                "memory": {"total": "8 GiB", "reserve": 0, "learn": False},
                "paths": {"venvs": str(VENVS), "runtimes": str(RUNTIMES)},
                "heartbeat": {"after": 0.5, "interval": 0.5, "blanks": True},
                "models": {
                    "scripted": scripted(
                        "qwen",
                        {"reasoning-parser": "qwen3"},
                        rewriting={"form_values": False},
                        aliases=["asked"],
                    )
                },
            },
        )
        sparkd.start()

        def ask(name: str) -> tuple[str, bytes]:
            path, fields = REQUESTS[name]
            body = {"model": "asked", "stream": True, **fields}
            got = httpx.post(sparkd.url + path, json=body, timeout=300)
            assert got.status_code == 200
            return got.headers["x-request-id"], got.content

        with ThreadPoolExecutor(len(REQUESTS)) as pool:
            yield dict(zip(REQUESTS, pool.map(ask, REQUESTS), strict=True))
        assert sparkd.stop(seconds=120) == 0, sparkd.log()
        sparkd.assert_nothing_left()


def events(body: bytes) -> list[tuple[str, dict[str, Any]]]:
    """The name and the data of each event of a stream, without the end mark."""
    *whole, rest = body.decode().split("\n\n")
    assert rest == ""
    found = []
    for event in whole:
        if event != "data: [DONE]":
            name, _, data = event.rpartition("data: ")
            found.append((name.strip().removeprefix("event: "), json.loads(data)))
    return found


def chunks(body: bytes, index: int = 0) -> list[dict[str, Any]]:
    """The deltas of one choice."""
    found = [choice for _, chunk in events(body) for choice in chunk["choices"] if choice["index"] == index]
    return [choice["delta"] for choice in found]


def test_a_chat_has_one_id_one_role_and_one_whole_call(bodies: dict[str, tuple[str, bytes]]) -> None:
    request_id, body = bodies["chat"]
    assert {chunk["id"] for _, chunk in events(body)} == {f"chatcmpl-{request_id}"}
    assert {chunk["model"] for _, chunk in events(body)} == {"asked"}
    deltas = chunks(body)
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert deltas[1] == {"content": ""}
    assert [delta["role"] for delta in deltas if "role" in delta] == ["assistant"]
    calls = [call for delta in deltas for call in delta.get("tool_calls") or ()]
    assert calls[0]["function"]["name"] == "read_note"
    assert json.loads("".join(call["function"].get("arguments") or "" for call in calls))["path"]
    assert events(body)[-1][1]["usage"]["completion_tokens"] > 0
    assert body.endswith(b"data: [DONE]\n\n")


def test_each_choice_has_one_role(bodies: dict[str, tuple[str, bytes]]) -> None:
    _, body = bodies["two choices"]
    for index in (0, 1):
        roles = [delta["role"] for delta in chunks(body, index) if "role" in delta]
        assert roles == ["assistant"]


def test_completions_have_one_id(bodies: dict[str, tuple[str, bytes]]) -> None:
    request_id, body = bodies["completions"]
    found = [chunk for _, chunk in events(body)]
    assert len({chunk["id"] for chunk in found}) == 1
    assert found[0]["id"] == f"cmpl-{request_id}"
    assert found[-1]["choices"][0]["finish_reason"]


def test_a_message_starts_after_pings(bodies: dict[str, tuple[str, bytes]]) -> None:
    _, body = bodies["messages"]
    names = [name for name, _ in events(body)]
    started = names.index("message_start")
    assert started > 1
    assert set(names[:started]) == {"ping"}
    assert "ping" not in names[started:]
    assert names[-1] == "message_stop"


def test_a_response_is_created_once_and_completed_under_one_id(bodies: dict[str, tuple[str, bytes]]) -> None:
    _, body = bodies["responses"]
    found = events(body)
    names = [name for name, _ in found]
    assert names[0] == "response.created"
    assert names.count("response.created") == 1
    assert "keepalive" in names
    assert names[-1] == "response.completed"
    assert len({data["response"]["id"] for _, data in found if "response" in data}) == 1
    numbers = [data["sequence_number"] for name, data in found if name != "keepalive"]
    assert numbers == list(range(len(numbers)))


def test_what_vllm_rejects_is_an_event(bodies: dict[str, tuple[str, bytes]]) -> None:
    _, body = bodies["rejected"]
    (_, first), *_, (_, last) = events(body)
    assert first["choices"][0]["delta"]["role"] == "assistant"
    assert last["error"]["code"]
    assert b"[DONE]" not in body


def test_a_document_follows_blanks(bodies: dict[str, tuple[str, bytes]]) -> None:
    request_id, body = bodies["document"]
    assert body.startswith(b"  ")
    document = json.loads(body)
    assert (document["id"], document["model"]) == (f"chatcmpl-{request_id}", "asked")
