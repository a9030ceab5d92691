"""A request in the background whose model is not loaded: another model serves it, or it waits without an eviction."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from sparkd.catalog import Catalogue
from sparkd.catalog.client_rules import ClientRule
from sparkd.catalog.key_rules import KeyRules
from sparkd.catalog.reading.keys import Keys
from sparkd.catalog.settings import Queue, Settings
from sparkd.scheduling.lifecycle import Residency
from sparkd.scheduling.status import ModelStatus
from tests.gateway.engines import Answer, Asked, answering, request
from tests.gateway.gateways import House, catalogue, house, model, run

TITLE = "Generate a concise title"
RULES = (
    ClientRule(name="title", prompts=(TITLE,), background=True),
    ClientRule(name="check", shape="probe", headers={"user-agent": "checker/*"}),
)
ANSWER = b'{"id":"1","model":"%s","choices":[]}'
TOOLS = {"enable-auto-tool-choice": True, "tool-call-parser": "hermes"}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}


def make_catalogue(**settings: Any) -> Catalogue:
    models = [
        model("big", vision=True),
        model("main", vision=True, context_length=4096, options=TOOLS),
        model("tiny", lifecycle="utility", context_length=256, source="org/tiny"),
        model("vectors", tasks=("embed",)),
        model("off", status="disabled", reason="x"),
    ]
    return Catalogue(
        path=catalogue().path,
        settings=Settings(queue=Queue(**settings)),
        models={each.id: each for each in models},
        runtimes={},
        keys={
            "small": KeyRules(name="small", models=("big", "main")),
            "cron": KeyRules(name="cron", background=True),
        },
        clients=RULES,
    )


@asynccontextmanager
async def running(
    asked: list[Asked] | None = None,
    *,
    loaded: str = "",
    startable: str = "",
    keys: Keys | None = None,
    **settings: Any,
) -> AsyncIterator[House]:
    """A gateway where these models are loaded, and these fit into free memory."""
    answer = ANSWER % b"engine"
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(answer)
    models = make_catalogue(**settings)
    async with house(answering(head + answer, asked=asked), models=models, keys=keys) as here:
        names: dict[str, Residency] = dict.fromkeys(models.models, "unloaded")
        here.supervisor.residencies = names | dict.fromkeys(loaded.split(), "loaded")
        here.supervisor.startable = set(startable.split())
        yield here


def chat(target: str = "big", text: str = TITLE, extra: str = "", **fields: Any) -> bytes:
    body = {"model": target, "messages": [{"role": "user", "content": text}], **fields}
    return request(json.dumps(body).encode(), extra=extra)


@pytest.mark.parametrize(
    ("loaded", "startable", "server", "background"),
    [
        ("big main tiny", "", "big", False),  # its own model is loaded
        ("main tiny", "", "tiny", True),
        ("main", "tiny", "tiny", True),
        ("main", "", "main", True),
        ("", "tiny", "tiny", True),
        ("", "big main", "big", True),  # only the utility model is loaded for it
        ("vectors", "", "big", True),  # which cannot chat
        ("", "", "big", True),
    ],
)
def test_the_model_that_serves_it(loaded: str, startable: str, server: str, background: bool) -> None:
    async def test() -> None:
        asked: list[Asked] = []
        async with running(asked, loaded=loaded, startable=startable) as here:
            answer = await here.ask(chat())
            assert answer.status == 200
            assert here.supervisor.asked == [server]
            assert json.loads(asked[0].body)["model"] == server
            assert here.supervisor.claims[0].background == background
            is_other = server != "big"
            assert answer.header("x-sparkd-served-by") == (server if is_other else None)
            assert ("background-model" in (answer.header("x-sparkd-rewrites") or "")) == is_other
            assert answer.json["model"] == ("big" if is_other else "engine")

    run(test)


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": [{"role": "user", "content": [{"type": "text", "text": TITLE}, IMAGE]}]},
        {"text": TITLE + " word" * 2000},
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
    ],
    ids=["image", "long", "tools"],
)
def test_a_model_that_cannot_do_the_task_does_not_get_it(fields: dict[str, Any]) -> None:
    """The utility model has no eyes and a short context, and vLLM without a parser calls no tools."""

    async def test() -> None:
        async with running(loaded="tiny main") as here:
            await here.ask(chat(**fields))
            assert here.supervisor.asked == ["main"]

    run(test)


@pytest.mark.parametrize(("policy", "background"), [("wait", True), ("serve", False)])
def test_the_owner_chooses_what_happens(policy: str, background: bool) -> None:
    async def test() -> None:
        async with running(loaded="main tiny", background=policy) as here:
            assert (await here.ask(chat())).header("x-sparkd-served-by") is None
            assert here.supervisor.asked == ["big"]
            assert [claim.background for claim in here.supervisor.claims] == [background]

    run(test)


def test_any_other_request_is_served_by_its_model() -> None:
    async def test() -> None:
        async with running(loaded="main tiny", startable="tiny") as here:
            await here.ask(chat(text="Hello"))
            assert here.supervisor.asked == ["big"]
            assert [claim.background for claim in here.supervisor.claims] == [False]

    run(test)


def test_a_recognized_probe_is_rejected_at_once_if_its_model_is_not_loaded() -> None:
    async def test() -> None:
        probe = chat(text="hi", max_tokens=1, extra="user-agent: Checker/1\r\n")
        async with running(loaded="main tiny") as here:
            answer: Answer = await here.ask(probe)
            assert (answer.status, answer.code, here.supervisor.asked) == (503, "model_not_loaded", [])
        async with running(loaded="big") as here:
            assert (await here.ask(probe)).status == 200

    run(test)


def test_a_key_in_the_background_is_rerouted_and_embeddings_are_not() -> None:
    async def test() -> None:
        key = "x-api-key: k\r\n"
        async with running(loaded="main", keys=Keys([("cron", "k")])) as here:
            await here.ask(chat(text="Hello", extra=key))
            body = json.dumps({"model": "vectors", "input": "x"}).encode()
            await here.ask(request(body, "/v1/embeddings", extra=key))
            assert here.supervisor.asked == ["main", "vectors"]
            assert [claim.background for claim in here.supervisor.claims] == [True, True]

    run(test)


def test_a_key_gets_no_substitute_that_it_may_not_use() -> None:
    async def test() -> None:
        async with running(loaded="tiny main", keys=Keys([("small", "k")])) as here:
            await here.ask(chat(extra="x-api-key: k\r\n"))
            assert here.supervisor.asked == ["main"]

    run(test)


@pytest.mark.parametrize("keep_alive", [0, "1h", -1])
def test_keep_alive_does_not_concern_the_model_that_serves_instead(keep_alive: object) -> None:
    async def test() -> None:
        async with running(loaded="main tiny") as here:
            here.supervisor.statuses = (ModelStatus(id="tiny", state="ready", footprint=1),)
            assert (await here.ask(chat(keep_alive=keep_alive))).header("x-sparkd-served-by") == "tiny"
            fields = {"model": "big", "messages": [{"role": "user", "content": TITLE}], "stream": False}
            body = json.dumps(fields | {"keep_alive": keep_alive}).encode()
            assert (await here.ask(request(body, "/api/chat"))).header("x-sparkd-served-by") == "tiny"
            # The next request is served only once nothing of the one before is left.
            await here.ask(chat())
            assert here.supervisor.asked == ["tiny"] * 3
            assert [claim.keep_alive for claim in here.supervisor.claims] == [None] * 3
            assert here.supervisor.stopped == []

    run(test)


def test_a_utility_model_that_cannot_be_loaded_does_not_serve() -> None:
    """It is not on disk, for example."""

    async def test() -> None:
        async with running(loaded="main", startable="tiny") as here:
            here.supervisor.unfit = {"tiny"}
            await here.ask(chat())
            assert here.supervisor.asked == ["main"]

    run(test)


def test_a_raw_completion_has_no_substitute() -> None:
    keys = Keys([("cron", "sk-cron")])
    body = {"model": "big", "prompt": "<|fim_prefix|>def f("}

    async def test() -> None:
        async with running(loaded="main tiny", keys=keys) as here:
            await here.ask(
                request(json.dumps(body).encode(), "/v1/completions", extra="x-api-key: sk-cron\r\n")
            )
            assert here.supervisor.asked == ["big"]
            assert here.supervisor.claims[0].background

    run(test)
