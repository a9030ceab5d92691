"""Health checks that generate: rejected without loading a model, if the owner wants it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sparkd.catalog.settings import Queue, Settings
from tests.gateway.engines import Answer, request
from tests.gateway.gateways import catalogue, house, model, run, until

HI = [{"role": "user", "content": "hi"}]
PARTS = [{"role": "user", "content": [{"type": "text", "text": "test from litellm"}]}]
PROBES: list[tuple[str, dict[str, Any]]] = [
    ("/v1/chat/completions", {"messages": HI, "max_tokens": 1}),
    ("/v1/chat/completions", {"messages": HI, "max_completion_tokens": 5, "stream": True}),
    ("/v1/m/chat/completions", {"messages": PARTS, "max_tokens": 1}),
    ("/v1/messages", {"messages": HI, "max_tokens": 1}),
    ("/v1/messages", {"messages": PARTS, "max_tokens": 1, "stream": True}),
    ("/v1/completions", {"prompt": "ping", "max_tokens": 1}),
    ("/v1/responses", {"input": "hi", "max_output_tokens": 1, "stream": True}),
    ("/v1/responses", {"input": HI, "max_output_tokens": 1}),
]
OTHERS: list[tuple[str, dict[str, Any]]] = [
    ("/v1/chat/completions", {"messages": HI}),
    ("/v1/chat/completions", {"messages": HI, "max_tokens": 16}),
    (
        "/v1/chat/completions",
        {"messages": [{"role": "system", "content": "Yes or no?"}, *HI], "max_tokens": 1},
    ),
    ("/v1/chat/completions", {"messages": [{"role": "user", "content": "x" * 41}], "max_tokens": 1}),
    ("/v1/chat/completions", {"messages": HI, "max_tokens": 1, "tools": []}),
    ("/v1/messages", {"messages": HI, "max_tokens": 1, "system": "Yes or no?"}),
    ("/v1/completions", {"prompt": ["a", "b"], "max_tokens": 1}),
    ("/v1/embeddings", {"input": "hi"}),
]


def ask(
    path: str, fields: dict[str, Any], *, probes: Any = "reject", ready: bool = False
) -> tuple[Answer, list[str]]:
    got: list[tuple[Answer, list[str]]] = []

    async def test() -> None:
        models = catalogue(model("m"), settings=Settings(queue=Queue(probes=probes)))
        async with house(models=models, ready=ready) as here:
            if not ready and not is_rejected(path, fields, probes):
                _, writer = await here.connect()
                writer.write(request(json.dumps({"model": "m"} | fields).encode(), path))
                await until(lambda: here.supervisor.waiting == 1)
                here.supervisor.ready.set()
            answer = await here.ask(request(json.dumps({"model": "m"} | fields).encode(), path))
            got.append((answer, here.supervisor.asked))

    run(test)
    return got[0]


def is_rejected(path: str, fields: dict[str, Any], probes: str) -> bool:
    return probes == "reject" and (path, fields) in PROBES


@pytest.mark.parametrize(("path", "fields"), PROBES)
def test_a_probe_of_a_model_that_is_not_loaded_is_rejected(path: str, fields: dict[str, Any]) -> None:
    answer, asked = ask(path, fields)
    assert (answer.status, answer.code, asked) == (503, "model_not_loaded", [])
    assert answer.json.get("type") == ("error" if "messages" in path else None)


@pytest.mark.parametrize(("path", "fields"), PROBES)
def test_a_probe_of_a_loaded_model_is_served(path: str, fields: dict[str, Any]) -> None:
    assert ask(path, fields, ready=True)[0].status == 200


@pytest.mark.parametrize(("path", "fields"), OTHERS)
def test_anything_else_loads_its_model(path: str, fields: dict[str, Any]) -> None:
    answer, asked = ask(path, fields)
    assert (answer.status, len(asked)) == (200, 2)


def test_by_default_probes_are_served() -> None:
    assert ask(*PROBES[0], probes=Queue().probes)[0].status == 200
