"""Limits per API key: exact under concurrency, and released however a request ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from sparkd.catalog import Catalogue
from sparkd.catalog.key_rules import KeyRules
from sparkd.catalog.reading.keys import Keys
from sparkd.catalog.settings import Settings
from sparkd.errors import ModelFailed, OperatorRequired
from sparkd.gateway.admission.key_limits import RequestRate
from sparkd.gateway.request_head import RequestHead
from tests.gateway.engines import Answer, Script
from tests.gateway.gateways import House, catalogue, house, model, run, until

KEYS = Keys([("free", "k1"), ("small", "k2"), ("owner", "k3")])


def make_catalogue(**rules: dict[str, Any]) -> Catalogue:
    models = {id_: model(id_) for id_ in ("big", "tiny", "other")}
    keys = {name: KeyRules(name=name, **fields) for name, fields in rules.items()}
    return Catalogue(path=catalogue().path, settings=Settings(), models=models, runtimes={}, keys=keys)


@asynccontextmanager
async def limited(ready: bool = True, script: Script | None = None, **rules: Any) -> AsyncIterator[House]:
    models = make_catalogue(small=rules, owner={"role": "operate"})
    async with house(script, models=models, keys=KEYS, ready=ready) as here:
        yield here
        await until(lambda: here.gateway.limits.in_flight("small") == 0)


def chat(key: str = "k2", target: str = "tiny") -> bytes:
    body = json.dumps({"model": target, "messages": [{"role": "user", "content": "hi"}]}).encode()
    return (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        b"authorization: Bearer %s\r\ncontent-length: %d\r\n\r\n%s" % (key.encode(), len(body), body)
    )


def get(path: str, key: str = "k2") -> bytes:
    return b"GET %s HTTP/1.1\r\nhost: localhost\r\nx-api-key: %s\r\n\r\n" % (path.encode(), key.encode())


def test_of_a_hundred_requests_at_once_as_many_are_served_as_the_key_may_have() -> None:
    async def test() -> None:
        async with limited(ready=False, max_in_flight=7) as here:
            asked = [asyncio.ensure_future(here.ask(chat())) for _ in range(100)]
            await until(lambda: sum(each.done() for each in asked) == 93)
            assert here.gateway.limits.in_flight("small") == here.supervisor.waiting == 7
            here.supervisor.ready.set()
            answers: list[Answer] = await asyncio.gather(*asked)
            refused = [answer for answer in answers if answer.status == 429]
            assert len(refused) == 93
            assert {answer.code for answer in refused} == {"rate_limit_exceeded"}
            assert {answer.header("retry-after") for answer in refused} == {"5"}
            assert sum(answer.status == 200 for answer in answers) == 7
            assert (await here.ask(chat())).status == 200

    run(test)


def test_other_keys_are_not_limited() -> None:
    async def test() -> None:
        async with limited(ready=False, max_in_flight=1) as here:
            asked = [asyncio.ensure_future(here.ask(chat("k1"))) for _ in range(20)]
            await until(lambda: here.supervisor.waiting == 20)
            here.supervisor.ready.set()
            assert {answer.status for answer in await asyncio.gather(*asked)} == {200}

    run(test)


def test_a_client_that_leaves_the_queue_frees_its_place() -> None:
    async def test() -> None:
        async with limited(ready=False, max_in_flight=1) as here:
            _, writer = await here.connect()
            writer.write(chat())
            await until(lambda: here.supervisor.waiting == 1)
            writer.close()
            await until(lambda: here.gateway.limits.in_flight("small") == 0)

    run(test)


async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.close()


@pytest.mark.parametrize("is_refused", [False, True])
def test_an_engine_that_fails_frees_the_place(is_refused: bool) -> None:
    async def test() -> None:
        async with limited(script=break_off, max_in_flight=1) as here:
            if is_refused:
                here.supervisor.refusal = ModelFailed("It failed.", retry_after=1)
            for _ in range(3):
                assert (await here.ask(chat())).status == (503 if is_refused else 502)

    run(test)


def test_the_rate_is_limited_and_the_headers_say_so() -> None:
    async def test() -> None:
        async with limited(rate=3) as here:
            answers = [await here.ask(chat()) for _ in range(4)]
            assert [answer.status for answer in answers] == [200, 200, 200, 429]
            left = [answer.header("x-ratelimit-remaining-requests") for answer in answers]
            assert left == ["2", "1", "0", "0"]
            assert {answer.header("x-ratelimit-limit-requests") for answer in answers} == {"3"}
            assert 1 <= int(answers[3].header("retry-after") or 0) <= 20
            free = await here.ask(chat("k1"))
            assert (free.status, free.header("x-ratelimit-limit-requests")) == (200, None)
            assert (await here.ask(get("/v1/models"))).status == 200

    run(test)


def test_a_rate_refills_with_time() -> None:
    rate = RequestRate(60, 100.0)
    assert [rate.try_take(100.0) for _ in range(61)] == [True] * 60 + [False]
    assert rate.wait(100.0) == pytest.approx(1.0)
    assert rate.describe(100.0)["x-ratelimit-reset-requests"] == "60s"
    assert not rate.try_take(100.5)
    assert rate.try_take(101.0)
    assert not rate.try_take(101.0)
    assert rate.describe(1000.0)["x-ratelimit-remaining-requests"] == "60"


def test_a_reload_keeps_the_requests_and_changes_the_limit() -> None:
    async def test() -> None:
        async with limited(ready=False, max_in_flight=1) as here:
            asked = asyncio.ensure_future(here.ask(chat()))
            await until(lambda: here.supervisor.waiting == 1)
            here.gateway.serve(make_catalogue(small={"max_in_flight": 2}), KEYS)
            second = asyncio.ensure_future(here.ask(chat()))
            await until(lambda: here.supervisor.waiting == 2)
            assert (await here.ask(chat())).status == 429
            here.supervisor.ready.set()
            assert (await asked).status == (await second).status == 200

    run(test)


def test_a_key_uses_and_sees_its_models_only() -> None:
    async def test() -> None:
        async with limited(models=("tiny", "oth*")) as here:
            assert (await here.ask(chat())).status == 200
            refused = await here.ask(chat(target="big"))
            assert (refused.status, refused.code) == (403, "model_not_allowed")
            assert '"other", "tiny"' in refused.json["error"]["message"]
            listed = (await here.ask(get("/v1/models"))).json["data"]
            assert [card["id"] for card in listed] == ["tiny", "other", "warm"]
            tags = (await here.ask(get("/api/tags"))).json["models"]
            assert [card["model"].partition(":")[0] for card in tags] == ["tiny", "other", "warm"]
            for path in ("/v1/models/big", "/v1/big/models", "/v1/big/health"):
                assert (await here.ask(get(path))).status == 403
            everything = (await here.ask(get("/v1/models", "k1"))).json["data"]
            assert [card["id"] for card in everything] == ["big", "tiny", "other", "warm"]

    run(test)


def test_only_some_keys_may_operate() -> None:
    async def test() -> None:
        async with limited() as here:
            access = here.gateway.access
            for key, may in (("k1", False), ("k2", False), ("k3", True)):
                request = _head(key)
                access.check(request)
                assert access.may_operate(request) == may
                if may:
                    access.require_operator(request)
                else:
                    with pytest.raises(OperatorRequired, match='role "operate"'):
                        access.require_operator(request)
        async with house() as here:
            assert here.gateway.access.may_operate(_head("k1"))

    run(test)


def _head(key: str) -> RequestHead:
    headers = [(b"host", b"localhost"), (b"x-api-key", key.encode())]
    return RequestHead(
        {
            "server": None,
            "client": None,
            "method": "POST",
            "raw_path": b"/",
            "query_string": b"",
            "headers": headers,
        }
    )
