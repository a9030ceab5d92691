"""Holds over HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sparkd.catalog import Catalogue
from sparkd.catalog.key_rules import KeyRules
from sparkd.catalog.reading.keys import Keys
from sparkd.catalog.settings import Settings
from tests.gateway.engines import Answer, request
from tests.gateway.gateways import House, catalogue, house, run

KEYS = Keys([("guest", "g"), ("owner", "o")])
ROLES = Catalogue(
    path=catalogue().path,
    settings=Settings(),
    models=catalogue().models,
    runtimes={},
    keys={"guest": KeyRules(name="guest"), "owner": KeyRules(name="owner", role="operate")},
)


async def post(here: House, path: str, body: object = None, key: str = "", method: str = "POST") -> Answer:
    data = b"" if body is None else json.dumps(body).encode()
    return await here.ask(request(data, path, method, f"x-api-key: {key}\r\n" if key else ""))


def test_an_unload_of_all_models_spares_held_ones() -> None:
    async def test() -> None:
        async with house() as here:
            here.supervisor.residencies = {"m": "loaded"}
            hold = (await post(here, "/models/hold", {"model": "m", "for": 60})).json
            assert (await post(here, "/api/models/unload")).json["models"] == []
            await post(here, f"/models/holds/{hold['id']}", method="DELETE")
            assert len((await post(here, "/api/models/unload")).json["models"]) == 1

    run(test)


def test_a_hold_from_its_begin_to_its_end() -> None:
    async def test() -> None:
        async with house(keys=KEYS, models=ROLES) as here:
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
