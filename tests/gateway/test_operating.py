"""Load, unload, hold and keep_alive over HTTP."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from sparkd.errors import HoldConflict, ModelFailed
from sparkd.gateway.keys import Keys
from sparkd.scheduling.hold import HoldStatus
from sparkd.scheduling.status import ModelStatus
from tests.gateway.engines import OK, Answer, Asked, answering, request
from tests.gateway.gateways import House, catalogue, house, model, run

KEYS = Keys([("guest", "g"), ("owner", "o")])


async def post(here: House, path: str, body: object = None, key: str = "", method: str = "POST") -> Answer:
    data = b"" if body is None else json.dumps(body).encode()
    return await here.ask(request(data, path, method, f"x-api-key: {key}\r\n" if key else ""))


def test_a_load_answers_at_once_or_once_the_model_is_ready() -> None:
    async def test() -> None:
        async with house(ready=False) as here:
            answer = await post(here, "/models/load", {"model": "short"})
            assert answer.status == 200
            assert answer.json["success"] is True
            assert answer.json["model"] == "m"
            assert here.supervisor.waiting == 1, "the load goes on without its client"
            here.supervisor.ready.set()
            for path in ("/v1/models/load", "/api/v1/models/load"):  # LM Studio's
                here.supervisor.residencies = {"m": "loaded"}
                answer = await post(here, path, {"model": "m", "ttl": 60})
                assert (answer.json["status"], answer.json["instance_id"]) == ("loaded", "m")
                assert here.supervisor.claims[-1].keep_alive == 60.0

    run(test)


def test_a_load_that_is_refused_at_once_says_so() -> None:
    async def test() -> None:
        async with house() as here:
            here.supervisor.refusal = ModelFailed('Model "m" failed: it crashed.')
            for wait in (True, False):
                answer = await post(here, "/models/load", {"model": "m", "wait": wait})
                assert (answer.status, answer.code) == (503, "model_failed")

    run(test)


@pytest.mark.parametrize("path", ["/models/load", "/models/unload", "/models/hold"])
@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({"model": "shotr", "for": "2h"}, 404, "short"),
        ({"for": "2h"}, 400, "`model`"),
        ({"model": 1, "for": "2h"}, 400, "model"),
        ([], 400, "object"),
    ],
)
def test_mistakes(path: str, body: object, status: int, text: str) -> None:
    async def test() -> None:
        async with house() as here:
            answer = await post(here, path, body)
            assert answer.status == status
            assert text in answer.json["error"]["message"]
            assert here.supervisor.asked == here.supervisor.unloaded == []
            assert here.supervisor.holds.begun == []

    run(test)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/models/load"),
        ("POST", "/models/unload"),
        ("POST", "/v1/models/load"),
        ("POST", "/api/models/unload"),
        ("POST", "/models/hold"),
    ],
)
def test_only_an_operator_may(method: str, path: str) -> None:
    async def test() -> None:
        async with house(keys=KEYS) as here:
            body = {"model": "m", "for": 60}
            answer = await post(here, path, body, "g", method)
            assert answer.status == 403
            assert b"guest" in answer.body
            assert here.supervisor.asked == here.supervisor.unloaded == []
            assert (await post(here, path, body, "", method)).status == 401
            assert (await post(here, path, body, "o", method)).status == 200

    run(test)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"state": "stopped"}, "is not loaded"),
        ({"state": "ready"}, "is unloaded when another model has started"),
        ({"state": "ready", "in_flight": 2}, "when 2 requests for it end"),
        ({"state": "ready", "in_flight": 1}, "when 1 request for it end"),
    ],
)
def test_an_unload_says_what_it_does(fields: dict[str, Any], message: str) -> None:
    async def test() -> None:
        async with house() as here:
            here.supervisor.statuses = (ModelStatus(id="m", **fields),)
            answer = await post(here, "/models/unload", {"model": "m"})
            assert message in answer.json["message"]
            assert answer.json["success"] is True
            assert here.supervisor.unloaded == ["m"]

    run(test)


def test_an_unload_of_a_held_model_is_rejected() -> None:
    async def test() -> None:
        async with house() as here:
            here.supervisor.conflict = HoldConflict('Model "m" is held until 18:00.')
            answer = await post(here, "/models/unload", {"model": "m"})
            assert (answer.status, answer.code) == (409, "model_held")

    run(test)


def test_the_paths_of_llama_swap() -> None:
    async def test() -> None:
        models = catalogue(model("a"), model("b"), model("c"))
        async with house(models=models) as here:
            held = HoldStatus(id="h", model="b", seconds_left=1.0)
            here.supervisor.statuses = (
                ModelStatus(id="a", state="ready", idle_timeout=60.0),
                ModelStatus(id="b", state="ready", holds=(held,)),
                ModelStatus(id="c", state="stopped"),
            )
            assert (await post(here, "/running", method="GET")).json == {
                "running": [
                    {"model": "a", "state": "ready", "ttl": 60},
                    {"model": "b", "state": "ready", "ttl": 0},
                ]
            }
            assert (await post(here, "/api/models/unload")).status == 200
            assert here.supervisor.unloaded == ["a"]
            assert (await post(here, "/api/models/unload/c")).json["model"] == "c"

    run(test)


def test_a_hold_from_its_begin_to_its_end() -> None:
    async def test() -> None:
        async with house(keys=KEYS) as here:
            body = {"model": "short", "for": "2h", "job": "fine-tuning", "reason": "a run"}
            begun = (await post(here, "/models/hold", body, "o")).json
            assert (begun["model"], begun["owner"], begun["job"]) == ("m", "owner", "fine-tuning")
            assert 7190 < begun["seconds_left"] <= 7200
            assert begun["until"].endswith("+00:00")
            listed = (await post(here, "/models/holds", key="g", method="GET")).json["data"]
            assert [each["id"] for each in listed] == [begun["id"]]
            path = f"/models/holds/{begun['id']}"
            assert (await post(here, path, key="g", method="DELETE")).status == 403
            assert (await post(here, path, key="o", method="DELETE")).json["success"] is True
            assert (await post(here, path, key="o", method="DELETE")).status == 404

    run(test)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "for"),
        ({"for": "2h", "until": "18:00"}, "for"),
        ({"for": "soon"}, "for"),
        ({"until": "soon"}, "until"),
        ({"until": 5}, "until"),
    ],
)
def test_the_time_of_a_hold_is_checked(fields: dict[str, Any], param: str) -> None:
    async def test() -> None:
        async with house() as here:
            answer = await post(here, "/models/hold", {"model": "m", **fields})
            assert (answer.status, answer.json["error"]["param"]) == (400, param)

    run(test)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/embeddings"])
@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({"keep_alive": "10m"}, 600.0),
        ({"keep_alive": -1}, math.inf),
        ({"ttl": 300}, 300.0),
        ({"keep_alive": None, "ttl": 0}, 0.0),
        ({}, None),
    ],
)
def test_the_fields_go_with_the_claim_and_not_to_the_engine(
    path: str, fields: dict[str, Any], seconds: float | None
) -> None:
    seen: list[Asked] = []

    async def test() -> None:
        body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "input": "hi", **fields}
        async with house(answering(OK, asked=seen), models=catalogue(model("m"))) as here:
            answer = await post(here, path, body)
            assert answer.header("x-sparkd-rewrites") == ("keep-alive" if fields else None)
            assert [claim.keep_alive for claim in here.supervisor.claims] == [seconds]
            assert not {"keep_alive", "ttl"} & json.loads(seen[0].body).keys()

    run(test)


def test_the_fields_of_a_key_that_may_not_operate_are_ignored_and_reported() -> None:
    async def test() -> None:
        body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "ttl": 0}
        async with house(keys=KEYS, models=catalogue(model("m"))) as here:
            answer = await post(here, "/v1/chat/completions", body, "g")
            assert answer.header("x-sparkd-rewrites") == "keep-alive, ignored-ttl"
            assert here.supervisor.claims[-1].keep_alive is None

    run(test)


def test_a_time_that_is_none_is_rejected() -> None:
    async def test() -> None:
        body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "ttl": "soon"}
        async with house() as here:
            answer = await post(here, "/v1/chat/completions", body)
            assert (answer.status, answer.json["error"]["param"]) == (400, "ttl")

    run(test)
