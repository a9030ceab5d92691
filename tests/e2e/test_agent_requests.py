"""What agents send, and engines or chat templates reject: tried on a real vLLM, with templates that raise.

The models take turns, because only one fits in memory. So the tests are grouped by model.
"""

from __future__ import annotations

import gzip
import json
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clients.serving import scripted
from tests.e2e.agents.case import CHAT, COMPLETIONS, HELLO, HI, MESSAGES, RESPONSES, Case
from tests.e2e.agents.fields import EFFORTS, FIELDS
from tests.e2e.agents.history import HISTORY
from tests.e2e.agents.rejections import COLD, EMBEDDER, REJECTIONS, SEEING, Rejection
from tests.e2e.sparkd_process import SparkdProcess
from tests.models import EMBEDDINGS_MODEL, RUNTIMES, VENVS

THINKS = {"reasoning-parser": "qwen3"}
PATTERNS = ["claude-*", "gpt-4o"]
EFFORT_SCALE = {"efforts": ["low", "medium", "high"]}
PLAIN = json.dumps({"model": "first", "messages": [HI], "max_tokens": 40}).encode()


@pytest.fixture(scope="module")
def sparkd() -> Iterator[SparkdProcess]:
    embedder = scripted("qwen", source=str(EMBEDDINGS_MODEL), context_length=256)
    embedder["options"] = {"runner": "pooling"}
    with tempfile.TemporaryDirectory(prefix="sparkd-agents-") as folder:
        sparkd = SparkdProcess(
            Path(folder),
            {
                "server": {"listen": "localhost:0"},
                "queue": {"probes": "reject"},
                # enough for a launcher beside one model of 1 GiB, so that the second and the third start are warm
                "memory": {"total": "2200 MiB", "reserve": 0, "learn": False},
                "paths": {"venvs": str(VENVS), "runtimes": str(RUNTIMES)},
                "models": {
                    "first": scripted("qwen", THINKS, aliases=PATTERNS),
                    "channels": scripted("harmony", rewriting=EFFORT_SCALE),
                    "alternating": scripted("mistral"),
                    COLD: scripted("qwen", THINKS),
                    SEEING: scripted("qwen", THINKS, vision=True),
                    EMBEDDER: embedder,
                },
            },
        )
        sparkd.start()
        yield sparkd
        assert sparkd.stop(seconds=120) == 0, sparkd.log()
        sparkd.assert_nothing_left()


@pytest.fixture(scope="module")
def client(sparkd: SparkdProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=sparkd.url, timeout=300) as client:
        yield client


@pytest.mark.parametrize("rejection", REJECTIONS, ids=lambda rejection: rejection.name)
def test_what_cannot_succeed_starts_nothing(
    sparkd: SparkdProcess, client: httpx.Client, rejection: Rejection
) -> None:
    answer = client.post(rejection.path, content=rejection.encode(), headers=dict(rejection.headers))
    assert answer.status_code == rejection.status, answer.text
    body = answer.json()
    assert ("request_id" in body) == (body.get("type") == "error") == (rejection.path == MESSAGES)
    assert body["error"]["type"]
    assert body["error"]["code"]
    assert rejection.part in body["error"]["message"], answer.text
    for model in (COLD, SEEING, EMBEDDER):
        assert sparkd.model(model).state == "stopped"


@pytest.mark.parametrize("path", ["/v1/messages/count_tokens", "/tokenize", "/v1/responses/input_tokens"])
def test_counting_loads_nothing(sparkd: SparkdProcess, client: httpx.Client, path: str) -> None:
    answer = client.post(path, json={"model": COLD, "messages": [HI], "input": "hi"})
    assert (answer.status_code, answer.json()["estimate"]) == (200, True)
    assert sparkd.model(COLD).state == "stopped"


def read_answer(path: str, body: Any) -> str:
    """The text of a whole response."""
    if path == CHAT:
        return body["choices"][0]["message"]["content"] or ""
    if path == COMPLETIONS:
        return str(body["choices"][0]["text"])
    if path == MESSAGES:
        return "".join(block.get("text", "") for block in body["content"])
    parts = [part for item in body["output"] if item["type"] == "message" for part in item["content"]]
    return "".join(part["text"] for part in parts)


def read_delta(path: str, event: Any) -> str:
    """The text in one event of a stream."""
    if path == RESPONSES:
        return event["delta"] if event["type"] == "response.output_text.delta" else ""
    if path == MESSAGES:
        return event["delta"].get("text", "") if event["type"] == "content_block_delta" else ""
    choices = event["choices"]
    if not choices:
        return ""
    return (choices[0]["text"] if path == COMPLETIONS else choices[0]["delta"].get("content")) or ""


def read_stream(path: str, text: str) -> str:
    """The text of a streamed response, whose end is checked."""
    data = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    if data[-1] == "[DONE]":
        data.pop()
    events = [json.loads(each) for each in data]
    assert not any(event.get("error") for event in events), text
    ends = {RESPONSES: ("response.completed", "response.incomplete"), MESSAGES: ("message_stop",)}
    assert path not in ends or events[-1]["type"] in ends[path], text
    return "".join(read_delta(path, event) for event in events)


def ask(client: httpx.Client, case: Case, model: str) -> None:
    """Send a request whole and streamed, and check what comes back."""
    for stream in (False, True):
        answer = client.post(
            case.path,
            content=case.encode(model, stream=stream),
            headers={"content-type": "application/json"},
        )
        assert answer.status_code == 200, answer.text
        rewrites = answer.headers.get("x-sparkd-rewrites", "").split(", ")
        assert case.rules <= set(rewrites)
        said = read_stream(case.path, answer.text) if stream else read_answer(case.path, answer.json())
        assert case.answer is None or case.answer in said, answer.text


@pytest.mark.parametrize("case", [*HISTORY, *FIELDS], ids=lambda case: case.name)
def test_a_template_with_one_system_message_in_front(client: httpx.Client, case: Case) -> None:
    ask(client, case, "first")


@pytest.mark.parametrize(
    "model",
    [
        *("First", " first ", "openai/first", "first:latest", "claude-haiku-4-5-20251001", "gpt-4o"),
    ],
)
def test_names_are_found_as_clients_write_them(client: httpx.Client, model: str) -> None:
    answer = client.post(CHAT, json={"model": model, "messages": [HI], "max_tokens": 40})
    assert answer.json()["choices"][0]["message"]["content"] == HELLO


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/v1/v1/chat/completions",
            "/chat/completions",
            "/api/v1/chat/completions",
            "/v1/chat/completions/",
        ),
    ],
)
def test_obvious_addresses_are_served(client: httpx.Client, path: str) -> None:
    answer = client.post(path, content=PLAIN, headers={"content-type": "application/json"})
    assert read_answer(CHAT, answer.json()) == HELLO


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, b"\xef\xbb\xbf" + PLAIN),
        ({"content-encoding": "gzip"}, gzip.compress(PLAIN)),
        ({"content-encoding": "deflate"}, zlib.compress(PLAIN)),
        ({"content-type": "application/x-www-form-urlencoded"}, PLAIN),
    ],
)
def test_bodies_are_read_as_clients_encode_them(
    client: httpx.Client, headers: dict[str, str], body: bytes
) -> None:
    answer = client.post(CHAT, content=body, headers={"content-type": "application/json", **headers})
    assert read_answer(CHAT, answer.json()) == HELLO


def test_what_clients_ask_first(sparkd: SparkdProcess, client: httpx.Client) -> None:
    listed = client.get("/v1/models", params={"client_version": "0.153.4"}).json()
    assert {"data", "models"} <= listed.keys()
    for path in ("/v1", "/", "/health", "/version", "/models"):
        assert client.get(path).status_code == 200
    assert httpx.get(f"http://[::1]:{sparkd.port}/health").status_code == 200


def test_the_engine_counts_what_its_template_would_reject(client: httpx.Client) -> None:
    late = {"role": "system", "content": "Be brief. " * 50}
    counts = []
    for turns in ([HI], [HI, {"role": "assistant", "content": "yo"}, late, HI], [late, HI]):
        answer = client.post("/v1/messages/count_tokens", json={"model": "first", "messages": turns})
        assert (answer.status_code, "estimate" in answer.json()) == (200, False), answer.text
        counts.append(answer.json()["input_tokens"])
    assert counts[0] + 50 < min(counts[1:])
    answer = client.post("/tokenize", json={"model": "first", "messages": [HI, late, HI]})
    assert "tokens" in answer.json(), answer.text


@pytest.mark.parametrize("case", [*HISTORY, *EFFORTS], ids=lambda case: case.name)
def test_a_template_with_channels_and_three_efforts(client: httpx.Client, case: Case) -> None:
    ask(client, case, "channels")


@pytest.mark.parametrize("case", HISTORY, ids=lambda case: case.name)
def test_a_template_whose_roles_alternate(client: httpx.Client, case: Case) -> None:
    ask(client, case, "alternating")
