"""Requests in the background: which model answers them, and what they never do."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from sparkd.catalog import Catalogue
from sparkd.catalog.client_rule import ClientRule
from sparkd.catalog.definitions import Model
from sparkd.catalog.key_policy import KeyPolicy
from sparkd.catalog.rewriting import Rewriting
from sparkd.catalog.settings import Settings
from sparkd.gateway.keys import Keys
from tests.gateway.engines import OK, Answer, Asked, answering, request
from tests.gateway.gateways import House, house, model, run

TITLE = [{"role": "user", "content": "### Task:\nGenerate a concise title"}]
PICTURE = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9"
    "awAAAABJRU5ErkJggg=="
)
TOOLS = [
    {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
]
CHAT = ("chat",)
RULES = {"title": ClientRule(prompts=("### Task:\nGenerate",), background=True)}

BIG = model("big", tags=CHAT, memory=90, vision=True)
OTHER = model("other", tags=CHAT, memory=50)
SMALL = model("small", tags=CHAT, memory=5)
UTILITY = model(
    "utility", tags=CHAT, lifecycle="utility", memory=2, context_length=4096, source="org/utility"
)


def known(*models: Model, folder: Path = Path(), **keys: KeyPolicy) -> Catalogue:
    return Catalogue(
        path=folder / "models.toml",
        settings=Settings(),
        models={each.id: each for each in models},
        runtimes={},
        keys=MappingProxyType(keys),
        clients=RULES,
    )


def post(fields: dict[str, Any], path: str = "/v1/chat/completions", extra: str = "") -> bytes:
    return request(json.dumps({"model": "big", "messages": TITLE} | fields).encode(), path, extra=extra)


def ask(
    models: Catalogue,
    loaded: set[str],
    raw: bytes | None = None,
    *,
    startable: tuple[str, ...] = (),
    keys: Keys | None = None,
) -> tuple[Answer, House, Asked]:
    got: list[tuple[Answer, House]] = []
    seen: list[Asked] = []

    async def test() -> None:
        async with house(answering(OK, asked=seen), models=models, keys=keys) as here:
            here.supervisor.loaded = loaded
            here.supervisor.startable = set(startable)
            got.append((await here.ask(raw or post({})), here))

    run(test)
    return *got[0], seen[0]


@pytest.mark.parametrize(
    ("loaded", "served_by"),
    [
        ({"big", "utility"}, None),
        ({"other", "utility"}, "utility"),
        ({"other", "small"}, "small"),
        ({"other"}, "other"),
        (set(), None),
    ],
)
def test_the_utility_model_or_the_smallest_loaded_one_answers(
    loaded: set[str], served_by: str | None
) -> None:
    answer, here, asked = ask(known(BIG, OTHER, SMALL, UTILITY), loaded)
    assert answer.status == 200
    assert here.supervisor.asked == [served_by or "big"]
    assert here.supervisor.claims[0].background
    assert answer.header("x-sparkd-served-by") == served_by
    assert json.loads(asked.body)["model"] == (served_by or "big")
    rewrites = (answer.header("x-sparkd-rewrites") or "").split(", ")
    assert ("background" in rewrites) is (served_by is not None)


def test_a_request_that_somebody_waits_for_gets_its_own_model() -> None:
    raw = post({"messages": [{"role": "user", "content": "hi"}]})
    answer, here, _ = ask(known(BIG, UTILITY), {"utility"}, raw)
    assert here.supervisor.asked == ["big"]
    assert not here.supervisor.claims[0].background
    assert answer.header("x-sparkd-served-by") is None


@pytest.mark.parametrize(
    ("substitute", "fields"),
    [
        (UTILITY, {"messages": [*TITLE, {"role": "user", "content": "long text. " * 20_000}, *TITLE]}),
        (
            UTILITY,
            {
                "messages": [
                    *TITLE,
                    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": PICTURE}}]},
                ]
            },
        ),
        (UTILITY, {"tools": TOOLS}),
        (model("utility", tags=CHAT, rewriting=Rewriting(tools="strip")), {"tools": TOOLS}),
        (model("utility", tags=("embeddings",)), {}),
        (model("utility", tags=("ocr",)), {}),
        (model("utility", engine="command"), {}),
        (model("utility", tags=CHAT, status="disabled"), {}),
    ],
)
def test_a_model_that_cannot_do_all_of_it_does_not_answer(substitute: Model, fields: dict[str, Any]) -> None:
    own = model(
        "big", tags=CHAT, vision=True, options={"enable-auto-tool-choice": True, "tool-call-parser": "x"}
    )
    answer, here, _ = ask(known(own, substitute), {"utility"}, post(fields))
    assert (answer.status, here.supervisor.asked) == (200, ["big"])


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/embeddings"])
def test_only_conversations_have_substitutes(path: str) -> None:
    own = model("big")
    raw = post({"prompt": "### Task:\nGenerate", "input": "### Task:\nGenerate"}, path)
    assert ask(known(own, model("utility", lifecycle="utility")), {"utility"}, raw)[1].supervisor.asked == [
        "big"
    ]


def test_the_answer_names_the_model_that_was_asked_for() -> None:
    body = b'{"id":"x","model":"utility","choices":[]}'
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)

    async def test() -> None:
        async with house(answering(head + body), models=known(BIG, UTILITY)) as here:
            here.supervisor.loaded = {"utility"}
            answer = await here.ask(post({}))
            assert (answer.json["model"], answer.header("x-sparkd-served-by")) == ("big", "utility")
            ollama = await here.ask(post({"stream": False}, "/api/chat"))
            assert (ollama.json["model"], ollama.header("x-sparkd-served-by")) == ("big", "utility")

    run(test)


def test_a_key_gets_no_substitute_that_it_may_not_use() -> None:
    keys = Keys([("ada", "sk-ada")])
    raw = post({}, extra="x-api-key: sk-ada\r\n")
    models = known(BIG, SMALL, UTILITY, ada=KeyPolicy(models=("big", "small")))
    answer, here, _ = ask(models, {"utility", "small"}, raw, keys=keys)
    assert here.supervisor.asked == ["small"]
    assert answer.header("x-sparkd-served-by") == "small"


def test_a_utility_model_is_started_only_if_it_is_on_disk_and_nothing_is_evicted(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    here_on_disk = model("utility", tags=CHAT, lifecycle="utility", engine="vllm")
    missing = model("utility", tags=CHAT, lifecycle="utility", source="org/missing", runtime="cpu")

    async def ask_twice(utility: Model, startable: set[str]) -> list[str]:
        async with house(models=known(BIG, OTHER, utility, folder=tmp_path)) as here:
            here.supervisor.loaded, here.supervisor.startable = {"other"}, startable
            await here.ask(post({}))
            for _ in range(50):
                await asyncio.sleep(0.01)  # a thread looks at the disk
                await here.ask(post({}))
            return [here.supervisor.asked[0], here.supervisor.asked[-1]]

    async def test() -> None:
        assert await ask_twice(here_on_disk, {"utility"}) == ["other", "utility"]
        assert await ask_twice(here_on_disk, set()) == ["other", "other"]
        assert await ask_twice(missing, {"utility"}) == ["other", "other"]

    run(test)


def test_a_key_whose_requests_all_run_in_the_background_gets_substitutes() -> None:
    keys = Keys([("batch", "sk-batch")])
    raw = post({"messages": [{"role": "user", "content": "hi"}]}, extra="x-api-key: sk-batch\r\n")
    models = known(BIG, UTILITY, batch=KeyPolicy(background=True))
    assert ask(models, {"utility"}, raw, keys=keys)[1].supervisor.asked == ["utility"]
