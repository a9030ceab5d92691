"""The list of models, health, and what browsers are told."""

from __future__ import annotations

import pytest

from sparkd.catalog import Catalogue
from tests.gateway.engines import OK, Answer, answering, request
from tests.gateway.gateways import catalogue, house, model, run

LABELS: dict[str, object] = {
    "family": "bigs",
    "parameters": "30B, 3B active",
    "status": "validated",
    "tags": ("code", "long-context"),
    "vision": True,
}


def several() -> Catalogue:
    return catalogue(
        model("big", aliases=("org/big", "large"), context_length=131072, source="org/big-repo", **LABELS),
        model("off", status="disabled", reason="it crashes"),
        model("flag", options={"max-model-len": 2048}),
        model("unknown"),
    )


def get(path: str, extra: str = "", method: str = "GET") -> Answer:
    """An answer that must not start anything."""
    answers: list[Answer] = []

    async def test() -> None:
        async with house(models=several()) as here:
            answers.append(
                await here.ask(f"{method} {path} HTTP/1.1\r\nhost: localhost\r\n{extra}\r\n".encode())
            )
            assert here.supervisor.asked == []

    run(test)
    return answers[0]


def test_enabled_models_are_listed_with_their_context_in_every_dialect() -> None:
    answer = get("/v1/models").json
    assert answer["object"] == "list"
    cards = {card["id"]: card for card in answer["data"]}
    assert list(cards) == ["big", "flag", "unknown"]
    big = cards["big"]
    assert (big["object"], big["owned_by"], big["root"]) == ("model", "sparkd", "org/big-repo")
    assert isinstance(big["created"], int)
    assert big["aliases"] == ["org/big", "large"]
    assert [big[key] for key in ("max_model_len", "context_length", "context_window")] == [131072] * 3
    assert big["meta"] == {"n_ctx": 131072}
    assert {name: big[name] for name in LABELS} == LABELS | {"tags": ["code", "long-context"]}
    assert [cards["flag"][name] for name in LABELS] == [None, None, "experimental", [], False]
    assert cards["flag"]["max_model_len"] == 2048
    assert "max_model_len" not in cards["unknown"]


@pytest.mark.parametrize(
    "path", ["/v1/models/big", "/v1/models/org%2Fbig", "/v1/models/org/big", "/v1/models/large"]
)
def test_one_model_is_found_by_id_or_alias(path: str) -> None:
    answer = get(path)
    assert (answer.status, answer.json["id"], answer.json["context_window"]) == (200, "big", 131072)


def test_a_model_that_is_unknown_or_disabled_is_not_listed() -> None:
    assert get("/v1/models/nosuch").code == "model_not_found"
    assert get("/v1/models/off").code == "model_disabled"


def test_a_client_whose_base_url_has_the_model_in_it_gets_a_list_of_that_one() -> None:
    assert [card["id"] for card in get("/v1/large/models").json["data"]] == ["big"]


def test_head_gives_the_length_of_the_list() -> None:
    answer = get("/v1/models", method="HEAD")
    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.header("content-length") or 0) > 100


def test_health_is_ok() -> None:
    answer = get("/healthz")
    assert (answer.status, answer.body) == (200, b"ok\n")


def test_a_page_of_this_machine_is_told_that_it_may() -> None:
    asked = "Access-Control-Request-Headers: authorization,x-stainless-os\r\n"
    answer = get("/v1/chat/completions", f"Origin: http://localhost:3000\r\n{asked}", "OPTIONS")
    assert answer.status == 204
    assert answer.header("access-control-allow-origin") == "http://localhost:3000"
    assert answer.header("access-control-allow-headers") == "authorization,x-stainless-os"
    assert "POST" in (answer.header("access-control-allow-methods") or "")


@pytest.mark.parametrize("origin", ["https://evil.example", "http://localhost.evil.example", "null"])
def test_a_page_from_elsewhere_is_not(origin: str) -> None:
    for method in ("OPTIONS", "GET"):
        assert (
            get("/v1/models", f"Origin: {origin}\r\n", method).header("access-control-allow-origin") is None
        )


@pytest.mark.parametrize("origin", ["http://127.0.0.1", "http://[::1]:8080", "vscode-webview://abc"])
def test_every_answer_has_the_origin_once_and_the_engines_own_word_for_it_is_dropped(origin: str) -> None:
    theirs = OK.replace(b"\r\n\r\n", b"\r\naccess-control-allow-origin: *\r\n\r\n")

    async def test() -> None:
        async with house(answering(theirs)) as here:
            for raw in (
                request(extra=f"origin: {origin}\r\n"),
                request(b'{"model":"nosuch"}', extra=f"origin: {origin}\r\n"),
            ):
                answer = await here.ask(raw)
                assert answer.header("access-control-allow-origin") == origin
                assert "Retry-After" in (answer.header("access-control-expose-headers") or "")

    run(test)


def test_health_takes_no_other_method() -> None:
    async def test() -> None:
        async with house() as here:
            answer = await here.ask(b"DELETE /healthz HTTP/1.1\r\n\r\n")
            assert (answer.status, answer.json["error"]["message"]) == (
                405,
                "/healthz does not accept DELETE.",
            )

    run(test)
