"""Ollama's API with API keys: only operators download and unload models."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import Any

import pytest

from sparkd.catalog import Catalogue
from sparkd.catalog.key_rules import KeyRules
from sparkd.catalog.reading.keys import Keys
from sparkd.catalog.settings import Settings
from sparkd.scheduling.status import ModelStatus
from tests.gateway.engines import request
from tests.gateway.gateways import catalogue, house, model, run

KEYS = Keys([("owner", "sk-owner"), ("ada", "sk-ada"), ("bob", "sk-bob")])
RULES = {"owner": KeyRules(name="owner", role="operate"), "ada": KeyRules(name="ada")}
READY = ModelStatus(id="m", state="ready", footprint=1)
HI = [{"role": "user", "content": "hi"}]


def models() -> Catalogue:
    known = catalogue(model("m", source="org/m"))
    return Catalogue(
        path=known.path,
        settings=Settings(),
        models=known.models,
        runtimes={},
        keys=MappingProxyType(RULES),
    )


def post(path: str, key: str, fields: dict[str, Any]) -> bytes:
    return request(json.dumps({"model": "m"} | fields).encode(), path, extra=f"x-api-key: sk-{key}\r\n")


ROLES = [("owner", True), ("ada", False), ("bob", False)]


@pytest.mark.parametrize(("key", "may"), ROLES)
@pytest.mark.parametrize("stream", [True, False])
def test_only_operators_pull(key: str, *, may: bool, stream: bool) -> None:
    async def test() -> None:
        async with house(models=models(), keys=KEYS) as here:
            answer = await here.ask(post("/api/pull", key, {"stream": stream}))
            assert answer.status == (200 if may else 403)
            assert here.supervisor.pulled == (["m"] if may else [])
            if not may:
                assert '"operate"' in answer.json["error"]

    run(test)


@pytest.mark.parametrize(("key", "may"), ROLES)
@pytest.mark.parametrize(
    ("path", "fields", "is_answered"),
    [
        ("/api/generate", {}, False),
        ("/api/chat", {"messages": []}, False),
        ("/api/chat", {"messages": HI, "stream": False}, True),
    ],
)
def test_only_operators_unload(
    key: str, path: str, fields: dict[str, Any], *, may: bool, is_answered: bool
) -> None:
    async def test() -> None:
        async with house(models=models(), keys=KEYS) as here:
            here.supervisor.statuses = (READY,)
            answer = await here.ask(post(path, key, fields | {"keep_alive": 0}))
            assert answer.status == (200 if may or is_answered else 403)
            assert here.supervisor.stopped == (["m"] if may and not is_answered else [])
            assert [claim.keep_alive for claim in here.supervisor.claims] == (
                [0.0 if may else None] if is_answered else []
            )

    run(test)


@pytest.mark.parametrize("key", ["ada", "bob"])
def test_everybody_with_a_key_may_load(key: str) -> None:
    async def test() -> None:
        async with house(models=models(), keys=KEYS) as here:
            assert (await here.ask(post("/api/generate", key, {}))).status == 200

    run(test)


def test_without_keys_every_client_may() -> None:
    async def test() -> None:
        async with house(models=models()) as here:
            here.supervisor.statuses = (READY,)
            assert (await here.ask(post("/api/pull", "", {"stream": False}))).status == 200
            assert (await here.ask(post("/api/generate", "", {"keep_alive": 0}))).status == 200
            assert (here.supervisor.pulled, here.supervisor.stopped) == (["m"], ["m"])

    run(test)


@pytest.mark.parametrize(("key", "may"), ROLES)
@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/api/chat", {"messages": HI, "stream": False}),
        ("/api/generate", {}),
        ("/api/chat", {"messages": []}),
    ],
)
def test_only_operators_decide_how_long_a_model_stays_loaded(
    key: str, path: str, fields: dict[str, Any], *, may: bool
) -> None:
    async def test() -> None:
        async with house(models=models(), keys=KEYS) as here:
            answer = await here.ask(post(path, key, fields | {"keep_alive": "5m"}))
            assert answer.status == 200
            assert here.supervisor.claims[-1].keep_alive == (300.0 if may else None)
            if fields.get("messages"):
                assert ("ignored-keep-alive" in (answer.header("x-sparkd-rewrites") or "")) is not may

    run(test)
