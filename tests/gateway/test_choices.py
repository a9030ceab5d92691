"""A request for a choice is served by the first of its models that is loaded, else by the first that can be loaded."""

from __future__ import annotations

import json
from collections.abc import Set
from dataclasses import dataclass, field
from typing import Any

import pytest

from sparkd.catalog.definitions import Model
from sparkd.catalog.key_rules import KeyRules
from sparkd.catalog.reading.keys import Keys
from sparkd.catalog.rewriting import Rewriting
from sparkd.catalog.settings import Queue, Server, Settings
from tests.gateway.engines import OK, Answer, Asked, answering, request
from tests.gateway.gateways import catalogue, house, model, run
from tests.gateway.test_names import form

HI = [{"role": "user", "content": "hi"}]
IMAGE = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5E"
    "rkJggg=="
)
PICTURE = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "what is it?"},
            {"type": "image_url", "image_url": {"url": IMAGE}},
        ],
    }
]
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
LONG = [{"role": "user", "content": "word " * 5000}]

MODELS = (
    model("small", tasks=("generate",), context_length=2048, source="org/small"),
    model("plain", tasks=("generate",), context_length=65536, rewriting=Rewriting(tools="strip")),
    model(
        "able",
        tasks=("generate",),
        vision=True,
        context_length=32768,
        rewriting=Rewriting(presets={"able:deep": {"top_k": 3}}),
    ),
    model("vectors", tasks=("embed",)),
    model("ears", tasks=("transcribe",)),
    model("helper", tasks=("generate",), lifecycle="utility"),
    model("off", status="disabled", reason="it crashes"),
)
CHOICES = {
    "coding": ("off", "small", "plain", "able"),
    "deep": ("able:deep", "small"),
    "all": ("small", "vectors", "ears", "able"),
    "quick": ("small", "plain"),
}


@dataclass
class Outcome:
    """What one request led to: its response, the model that served it, and what the engine got."""

    answer: Answer
    model: str | None
    body: dict[str, Any] = field(default_factory=dict)


def send(
    raw: bytes,
    loaded: Set[str] = frozenset(),
    unloadable: Set[str] = frozenset(),
    *,
    models: tuple[Model, ...] = MODELS,
    settings: Settings | None = None,
    engine: bytes = OK,
    choices: dict[str, tuple[str, ...]] | None = None,
) -> Outcome:
    """Send one request while these models are loaded."""
    asked: list[Asked] = []
    outcomes: list[Outcome] = []
    all_models = catalogue(*models, settings=settings, choices=CHOICES if choices is None else choices)

    async def test() -> None:
        async with house(answering(engine, asked=asked), models=all_models) as here:
            here.supervisor.loaded, here.supervisor.unfit = set(loaded), set(unloadable)
            answer = await here.ask(raw)
            served = here.supervisor.asked[-1] if here.supervisor.asked else None
            body = json.loads(asked[-1].body) if asked and asked[-1].body.startswith(b"{") else {}
            outcomes.append(Outcome(answer, served, body))

    run(test)
    return outcomes[0]


def chat(name: str = "coding", messages: Any = HI, **fields: Any) -> bytes:
    return request(json.dumps({"model": name, "messages": messages} | fields).encode())


@pytest.mark.parametrize(
    ("loaded", "unloadable", "served"),
    [
        (set(), set(), "small"),
        ({"able"}, set(), "able"),
        ({"able", "plain"}, set(), "plain"),
        ({"vectors"}, set(), "small"),
        (set(), {"small"}, "plain"),
        (set(), {"small", "plain"}, "able"),
        (set(), {"small", "plain", "able"}, "small"),
        ({"small"}, {"small"}, "small"),
    ],
)
def test_the_first_loaded_model_serves_else_the_first_that_can_be_loaded(
    loaded: set[str], unloadable: set[str], served: str
) -> None:
    outcome = send(chat(), loaded, unloadable)
    assert (outcome.model, outcome.body["model"]) == (served, served)
    assert outcome.answer.header("x-sparkd-served-by") == served


@pytest.mark.parametrize(
    ("fields", "served"),
    [
        ({"messages": PICTURE}, "able"),
        ({"tools": TOOLS}, "able"),
        ({"messages": LONG}, "able"),
        ({}, "small"),
    ],
)
def test_a_loaded_model_that_cannot_do_what_the_request_needs_is_left_out(
    fields: dict[str, Any], served: str
) -> None:
    names = ("plain", "able") if "tools" in fields else ("small", "plain", "able")
    choices: dict[str, tuple[str, ...]] = {"coding": names}
    unloadable = {"plain"} if "messages" in fields else set()
    outcome = send(chat(**fields), {"small", "plain"} - unloadable, unloadable, choices=choices)
    assert outcome.model == served


def test_a_model_for_which_something_is_removed_serves_if_no_other_can() -> None:
    outcome = send(chat(tools=TOOLS), {"plain"}, choices={"coding": ("vectors", "plain")})
    assert (outcome.model, "tools" in outcome.body) == ("plain", False)
    assert "strip-tools" in (outcome.answer.header("x-sparkd-rewrites") or "")


def test_if_no_model_can_serve_a_request_the_error_is_that_of_the_most_able_one() -> None:
    answer = send(chat(messages=[{"role": "user", "content": "word " * 90000}])).answer
    assert (answer.status, answer.code) == (400, "context_length_exceeded")
    assert '"plain"' in answer.json["error"]["message"]
    empty = send(chat(messages=[]))
    assert (empty.answer.status, empty.answer.code, empty.model) == (400, "invalid_request", None)


@pytest.mark.parametrize(
    ("raw", "served"),
    [
        (request(b'{"input": "hi", "model": "all"}', "/v1/embeddings"), "vectors"),
        (request(b'{"input": "hi"}', "/v1/all/embeddings"), "vectors"),
        (request(b'{"input": "hi"}', "/v1/embeddings?model=all"), "vectors"),
        (form("all"), "ears"),
        (form("x").replace(b"/v1/audio", b"/v1/all/audio"), "ears"),
        (b"GET /v1/all/responses/resp_1 HTTP/1.1\r\nhost: localhost\r\n\r\n", "small"),
    ],
)
def test_path_query_and_form_name_a_choice_and_the_model_does_the_task(raw: bytes, served: str) -> None:
    outcome = send(raw, {"able"} if served != "small" else set())
    assert (outcome.model, outcome.answer.header("x-sparkd-served-by")) == (served, served)


@pytest.mark.parametrize("name", ["Coding", "sparkd/coding:latest"])
def test_a_choice_is_found_however_it_is_written_and_is_the_models_name_in_the_response(name: str) -> None:
    document = b'{"id":"x","model":"small"}'
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(document)
    outcome = send(chat(name), engine=head + document)
    assert (outcome.model, outcome.answer.json["model"]) == ("small", name)


@pytest.mark.parametrize(
    "raw",
    [chat("deep"), request(b'{"messages":[{"role":"user","content":"hi"}]}', "/v1/deep/chat/completions")],
)
def test_a_preset_in_a_choice_is_applied(raw: bytes) -> None:
    assert send(raw, {"able"}).body["top_k"] == 3
    assert "top_k" not in send(raw, {"small"}).body


@pytest.mark.parametrize(
    ("loaded", "default", "served"),
    [
        (set(), None, "small"),
        ({"able"}, None, "able"),
        ({"helper"}, None, "helper"),
        ({"helper", "plain"}, None, "plain"),
        ({"plain", "able"}, "able", "able"),
        (set(), "able", "able"),
        (set(), "deep", "able"),
        ({"vectors"}, None, "small"),
    ],
)
def test_warm_is_any_loaded_model_else_the_default_model(
    loaded: set[str], default: str | None, served: str
) -> None:
    settings = Settings(server=Server(default_model=default))
    assert send(chat("warm"), loaded, settings=settings).model == served


@pytest.mark.parametrize("default", ["coding", "warm"])
def test_the_default_model_may_be_a_choice(default: str) -> None:
    settings = Settings(server=Server(default_model=default))
    assert send(chat("gpt-5"), {"plain"}, settings=settings).model == "plain"
    assert (
        send(request(b'{"messages":[{"role":"user","content":"hi"}]}'), {"able"}, settings=settings).model
        == "able"
    )


def test_a_model_with_the_name_of_the_built_in_choice_is_found() -> None:
    models = (model("other"), model("m", aliases=("warm",)))
    outcome = send(chat("warm"), {"other"}, models=models, choices={})
    assert (outcome.model, outcome.answer.header("x-sparkd-served-by")) == ("m", None)


def test_a_request_that_names_a_model_has_no_header_about_who_serves_it() -> None:
    assert send(chat("small"), {"small"}).answer.header("x-sparkd-served-by") is None


def test_choices_are_listed_after_the_models() -> None:
    async def test() -> None:
        async with house(models=catalogue(*MODELS, choices=CHOICES)) as here:
            here.supervisor.residencies = {"able": "loading"}
            raw = b"GET %s HTTP/1.1\r\nhost: localhost\r\n\r\n"
            cards = {card["id"]: card for card in (await here.ask(raw % b"/v1/models")).json["data"]}
            assert list(cards)[-5:] == ["coding", "deep", "all", "quick", "warm"]
            coding = cards["coding"]
            assert coding["choices"] == ["small", "plain", "able"]
            assert (coding["context_length"], coding["vision"]) == (65536, True)
            assert coding["status"]["value"] == "loading"
            assert "choices" not in cards["small"]
            assert (await here.ask(raw % b"/v1/models/coding")).json == coding
            assert (await here.ask(raw % b"/v1/coding/models")).json["data"] == [coding]
            health = (await here.ask(raw % b"/v1/coding/health")).json
            assert health == {"status": "ok", "model": "able", "state": "loading"}
            here.supervisor.residencies = {"able": "loading", "plain": "loaded"}
            assert (await here.ask(raw % b"/v1/coding/health")).json["model"] == "plain"

    run(test)


@pytest.mark.parametrize(
    ("path", "fields", "loaded", "served"),
    [
        ("chat", {"messages": HI}, {"plain"}, "plain"),
        ("generate", {"prompt": "hi"}, {"able"}, "able"),
        ("generate", {"prompt": "hi", "images": [IMAGE.partition(",")[2]]}, {"small"}, "able"),
        ("chat", {"messages": LONG}, {"small", "able"}, "able"),
    ],
)
def test_ollamas_api_takes_choices(path: str, fields: dict[str, Any], loaded: set[str], served: str) -> None:
    document = b'{"choices":[{"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}]}'
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(document)
    body = json.dumps({"model": "coding", "stream": False} | fields).encode()
    outcome = send(request(body, f"/api/{path}"), loaded, engine=head + document)
    assert (outcome.model, outcome.body["model"]) == (served, served)
    assert outcome.answer.header("x-sparkd-served-by") == served
    assert outcome.answer.json["model"] == "coding"


def test_ollamas_load_takes_choices_and_its_list_has_them() -> None:
    async def test() -> None:
        async with house(models=catalogue(*MODELS, choices=CHOICES)) as here:
            here.supervisor.loaded = {"plain"}
            assert (await here.ask(request(b'{"model": "coding"}', "/api/generate"))).status == 200
            assert here.supervisor.asked == ["plain"]
            tags = await here.ask(b"GET /api/tags HTTP/1.1\r\nhost: localhost\r\n\r\n")
            assert [entry["name"] for entry in tags.json["models"]][-5:] == [
                "coding",
                "deep",
                "all",
                "quick",
                "warm",
            ]

    run(test)


def test_a_model_that_is_loading_comes_before_one_that_is_not() -> None:
    async def test() -> None:
        async with house(models=catalogue(*MODELS, choices=CHOICES)) as here:
            here.supervisor.loaded, here.supervisor.residencies = set(), {"able": "loading"}
            answer = await here.ask(chat())
            assert answer.header("x-sparkd-served-by") == "able"

    run(test)


def test_operators_load_and_unload_what_would_serve_a_request() -> None:
    async def test() -> None:
        async with house(models=catalogue(*MODELS, choices=CHOICES)) as here:
            here.supervisor.loaded, here.supervisor.unfit = set(), {"small"}
            answer = await here.ask(request(b'{"model": "coding"}', "/models/load"))
            assert (answer.status, answer.json["model"]) == (200, "plain")
            here.supervisor.loaded = {"able"}
            answer = await here.ask(request(b'{"model": "coding"}', "/models/unload"))
            assert (answer.status, answer.json["model"]) == (200, "able")

    run(test)


def test_a_key_for_some_models_gets_these_alone_from_a_choice() -> None:
    rules = KeyRules(name="child", models=("able", "vectors"))
    models = catalogue(*MODELS, choices=CHOICES, keys=[rules])
    key = "authorization: Bearer secret\r\n"

    async def test() -> None:
        async with house(models=models, keys=Keys([("child", "secret")])) as here:
            here.supervisor.loaded = {"small", "plain"}
            body = json.dumps({"model": "coding", "messages": HI}).encode()
            answer = await here.ask(request(body, extra=key))
            assert answer.header("x-sparkd-served-by") == "able"
            raw = f"GET /v1/models HTTP/1.1\r\nhost: localhost\r\n{key}\r\n".encode()
            cards = {card["id"]: card.get("choices") for card in (await here.ask(raw)).json["data"]}
            assert cards == {
                "able": None,
                "vectors": None,
                "coding": ["able"],
                "deep": ["able"],
                "all": ["vectors", "able"],
                "warm": ["able", "vectors"],
            }
            quick = json.dumps({"model": "quick", "messages": HI}).encode()
            for raw in (request(b"", "/v1/models/quick", "GET", key), request(quick, extra=key)):
                answer = await here.ask(raw)
                assert (answer.status, answer.code) == (403, "model_not_allowed")

    run(test)


def test_a_health_check_of_a_choice_loads_no_model_if_the_owner_wants_that() -> None:
    settings = Settings(queue=Queue(probes="reject"))
    probe = chat(max_tokens=1)
    rejected = send(probe, settings=settings)
    assert (rejected.answer.status, rejected.model) == (503, None)
    assert send(probe, {"able"}, settings=settings).model == "able"


def test_one_model_alone_is_no_choice_in_the_list() -> None:
    async def test() -> None:
        async with house() as here:
            answer = await here.ask(b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n")
            assert [card["id"] for card in answer.json["data"]] == ["m"]

    run(test)
