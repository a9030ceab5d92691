"""Clients load and unload models, and say how long a model stays loaded."""

from __future__ import annotations

import asyncio
import json
import math

import pytest

from sparkd.catalog.key_rules import KeyRules
from sparkd.catalog.reading.keys import Keys
from sparkd.scheduling.status import ModelStatus
from tests.gateway.engines import OK, Asked, answering, request
from tests.gateway.gateways import House, catalogue, house, model, run, until

KEYS = Keys([("owner", "sk-owner"), ("ada", "sk-ada")])
RULES = [KeyRules(name="owner", role="operate")]
OWNER, ADA = "authorization: Bearer sk-owner\r\n", "authorization: Bearer sk-ada\r\n"
HI = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def post(path: str, body: object = None, extra: str = "") -> bytes:
    return request(json.dumps(body).encode() if body is not None else b"", path, "POST", extra)


@pytest.mark.parametrize("path", ["/models/load", "/v1/models/load"])
def test_a_load_is_answered_at_once_as_by_llama_cpp(path: str) -> None:
    async def test() -> None:
        async with house(ready=False) as here:
            answer = await here.ask(post(path, {"model": "short"}))
            assert answer.status == 200
            loaded = json.loads(answer.body)
            assert loaded == {"success": True, "model": "m", "status": {"value": "unloaded"}}
            assert here.supervisor.loads == [("m", None)]

    run(test)


def test_a_load_that_waits_is_answered_once_the_model_is_ready() -> None:
    async def test() -> None:
        async with house(ready=False) as here:
            asking = asyncio.create_task(here.ask(post("/models/load", {"model": "m", "wait": True})))
            lm_studio = asyncio.create_task(here.ask(post("/api/v1/models/load", {"model": "m", "ttl": 60})))
            await until(lambda: here.supervisor.waiting == 2)
            here.supervisor.ready.set()
            assert json.loads((await asking).body)["success"] is True
            answer = json.loads((await lm_studio).body)
            assert (answer["instance_id"], answer["status"]) == ("m", "loaded")
            assert {claim.keep_alive for claim in here.supervisor.claims} == {None, 60.0}
            assert here.supervisor.held == 0, "a load does not keep its lease"

    run(test)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/models/unload", {"model": "m"}),
        ("/v1/models/unload", {"model": "org/alias"}),
        ("/api/v1/models/unload", {"instance_id": "m"}),
        ("/api/models/unload/org/alias", None),
        ("/api/models/unload", {"model": "m"}),
        ("/api/models/unload", None),
        ("/unload", None),
    ],
)
def test_each_way_to_unload_a_model(path: str, body: object) -> None:
    async def test() -> None:
        async with house() as here:
            here.supervisor.residencies["m"] = "loaded"
            answer = await here.ask(post(path, body))
            assert answer.status == 200
            assert json.loads(answer.body)["success"] is True
            assert here.supervisor.stopped == ["m"]

    run(test)


def test_an_unload_says_what_it_waits_for() -> None:
    async def test() -> None:
        async with house() as here:
            here.supervisor.residencies["m"] = "loaded"
            here.supervisor.statuses = (ModelStatus(id="m", state="ready", in_flight=2),)
            answer = json.loads((await here.ask(post("/models/unload", {"model": "m"}))).body)
            assert answer["message"] == "It is unloaded once its 2 requests have ended."

    run(test)


def test_a_pinned_model_is_not_unloaded() -> None:
    async def test() -> None:
        async with house(models=catalogue(model("m", pinned=True))) as here:
            here.supervisor.residencies["m"] = "loaded"
            answer = await here.ask(post("/models/unload", {"model": "m"}))
            assert answer.status == 409
            assert json.loads(answer.body)["error"]["code"] == "model_pinned"
            assert (await here.ask(post("/unload"))).status == 200
            assert here.supervisor.stopped == []

    run(test)


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({"model": "shorf"}, 404, 'did you mean "short"'),
        ({}, 400, "names no model"),
        ({"model": 3}, 400, "must be a string"),
        ({"model": "m", "wait": "yes"}, 400, "true or false"),
        ({"model": "m", "keep_alive": "soon"}, 400, "`keep_alive` is not a duration"),
        ([], 400, "JSON object"),
    ],
)
def test_a_load_that_makes_no_sense_is_rejected(body: object, status: int, text: str) -> None:
    async def test() -> None:
        async with house() as here:
            answer = await here.ask(post("/models/load", body))
            assert answer.status == status
            assert text in json.loads(answer.body)["error"]["message"]
            assert here.supervisor.loads == []

    run(test)


@pytest.mark.parametrize("path", ["/models/load", "/models/unload", "/unload", "/api/models/unload/m"])
def test_only_the_owners_key_may_operate(path: str) -> None:
    async def test() -> None:
        async with house(models=catalogue(keys=RULES), keys=KEYS) as here:
            assert (await here.ask(post(path, {"model": "m"}))).status == 401
            answer = await here.ask(post(path, {"model": "m"}, ADA))
            assert answer.status == 403
            assert 'has the role \\"ask\\"' in answer.body.decode()
            assert (await here.ask(post(path, {"model": "m"}, OWNER))).status == 200

    run(test)


def test_the_list_of_models_in_memory() -> None:
    async def test() -> None:
        async with house(models=catalogue(*map(model, "abc"))) as here:
            here.supervisor.residencies = {"a": "loaded", "b": "loading"}
            answer = await here.ask(request(b"", "/running", "GET"))
            assert json.loads(answer.body) == {
                "running": [{"model": "a", "state": "ready"}, {"model": "b", "state": "starting"}]
            }

    run(test)


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ({"ttl": 300}, 300.0),
        ({"keep_alive": "5m"}, 300.0),
        ({"keep_alive": -1}, math.inf),
        ({"keep_alive": 0, "ttl": 7}, 0.0),
        ({"keep_alive": None, "ttl": 7}, 7.0),
        ({}, None),
    ],
)
def test_a_body_says_how_long_the_model_stays_loaded(fields: dict[str, object], kept: float | None) -> None:
    async def test() -> None:
        asked: list[Asked] = []
        async with house(answering(OK, asked=asked)) as here:
            assert (await here.ask(post("/v1/chat/completions", HI | fields))).status == 200
            assert here.supervisor.claims[-1].keep_alive == kept
            assert not json.loads(asked[0].body).keys() & {"ttl", "keep_alive"}

    run(test)


def test_a_client_that_may_not_operate_does_not_decide_how_long_a_model_stays_loaded() -> None:
    async def test() -> None:
        async with house(models=catalogue(keys=RULES), keys=KEYS) as here:
            for extra, kept, note in ((ADA, None, True), (OWNER, 9.0, False)):
                answer = await here.ask(post("/v1/chat/completions", HI | {"ttl": 9}, extra))
                assert answer.status == 200
                assert here.supervisor.claims[-1].keep_alive == kept
                assert ("ignored-keep-alive" in (answer.header("x-sparkd-rewrites") or "")) is note

    run(test)


def test_an_unknown_duration_is_rejected() -> None:
    async def test() -> None:
        async with house() as here:
            answer = await here.ask(post("/v1/chat/completions", HI | {"ttl": "soon"}))
            assert answer.status == 400
            assert "`ttl` is not a duration" in json.loads(answer.body)["error"]["message"]

    run(test)


def test_a_hundred_clients_load_and_unload_at_once() -> None:
    async def ask(here: House, number: int) -> int:
        path = "/models/load" if number % 2 else "/models/unload"
        return (await here.ask(post(path, {"model": "m"}))).status

    async def test() -> None:
        async with house() as here:
            statuses = await asyncio.gather(*(ask(here, number) for number in range(100)))
            assert set(statuses) == {200}
            assert (len(here.supervisor.loads), len(here.supervisor.stopped)) == (50, 50)

    run(test)


def test_a_head_request_unloads_nothing() -> None:
    async def test() -> None:
        async with house() as here:
            here.supervisor.residencies["m"] = "loaded"
            answer = await here.ask(request(b"", "/unload", "HEAD"))
            assert (answer.status, answer.header("allow")) == (405, "GET, POST")
            assert here.supervisor.stopped == []

    run(test)


def test_a_key_sees_only_its_own_models_in_memory() -> None:
    rules = [KeyRules(name="ada", models=("n",))]
    models = catalogue(model("m"), model("n"), keys=rules)

    async def test() -> None:
        async with house(models=models, keys=KEYS) as here:
            here.supervisor.residencies = {"m": "loaded", "n": "loaded"}
            answer = await here.ask(request(b"", "/running", "GET", ADA))
            assert json.loads(answer.body) == {"running": [{"model": "n", "state": "ready"}]}

    run(test)
