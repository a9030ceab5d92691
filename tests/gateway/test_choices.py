"""Names that stand for several models: the first that is loaded serves, otherwise the first that fits."""

from __future__ import annotations

import json

import pytest

from sparkd.catalog.settings import Server, Settings
from sparkd.scheduling.lifecycle import Residency
from tests.gateway.engines import request
from tests.gateway.gateways import catalogue, house, model, run

MODELS = catalogue(
    model("big", tags=("chat",), context_length=8192, engine="vllm"),
    model("small", tags=("chat",), context_length=4096, engine="vllm"),
    model("vectors", tags=("embeddings",), engine="vllm"),
    model("gone", status="disabled", reason="Old."),
    settings=Settings(server=Server(choices={"coding": ("gone", "big", "small")}, default_model="small")),
)


@pytest.mark.parametrize(
    ("name", "loaded", "unfit", "served_by"),
    [
        ("coding", {}, set(), "big"),
        ("coding", {"small": "loaded"}, set(), "small"),
        ("coding", {"small": "loaded", "big": "loaded"}, set(), "big"),
        ("coding", {"small": "loading"}, set(), "small"),
        ("coding", {}, {"big"}, "small"),
        ("warm", {"big": "loaded"}, set(), "big"),
        ("warm", {"vectors": "loaded"}, set(), "small"),
        ("warm", {}, set(), "small"),
        ("warm", {}, {"small"}, "big"),
    ],
)
def test_the_model_that_serves(
    name: str, loaded: dict[str, Residency], unfit: set[str], served_by: str
) -> None:
    async def test() -> None:
        async with house(models=MODELS) as here:
            here.supervisor.residencies, here.supervisor.unfit = loaded, unfit
            body = {"model": name, "messages": [{"role": "user", "content": "hi"}]}
            answer = await here.ask(request(json.dumps(body).encode()))
            assert answer.status == 200
            assert here.supervisor.asked[-1] == served_by
            assert answer.header("x-sparkd-served-by") == served_by

    run(test)


def test_the_list_has_the_names_of_choices() -> None:
    async def test() -> None:
        async with house(models=MODELS) as here:
            here.supervisor.residencies = {"small": "loaded"}
            cards = json.loads((await here.ask(request(b"", "/v1/models", "GET"))).body)["data"]
            (card,) = (card for card in cards if card["id"] == "coding")
            assert card["choices"] == ["big", "small"]
            assert card["status"]["value"] == "loaded"
            assert card["context_length"] == 4096

    run(test)


def test_a_request_that_names_its_model_has_no_such_header() -> None:
    async def test() -> None:
        async with house(models=MODELS) as here:
            body = {"model": "big", "messages": [{"role": "user", "content": "hi"}]}
            answer = await here.ask(request(json.dumps(body).encode()))
            assert answer.header("x-sparkd-served-by") is None

    run(test)
