"""The list of models, health, and what browsers are told."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
import pytest

from sparkd import __version__
from sparkd.catalog import Catalogue
from sparkd.catalog.choices import Found
from sparkd.gateway.model_list import encode_card
from sparkd.scheduling.model_state import ModelState
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
    assert list(cards) == ["big", "flag", "unknown", "warm"]
    big = cards["big"]
    assert (big["object"], big["owned_by"], big["root"]) == ("model", "sparkd", "org/big-repo")
    assert isinstance(big["created"], int)
    assert big["aliases"] == ["org/big", "large"]
    assert [big[key] for key in ("max_model_len", "context_length", "context_window")] == [131072] * 3
    assert big["meta"] == {"n_ctx": 131072}
    status = {"value": "unloaded", "catalogue": "validated", "state": "unloaded"}
    assert {name: big[name] for name in LABELS} == LABELS | {
        "tags": ["code", "long-context"],
        "status": status,
    }
    status = {"value": "unloaded", "catalogue": "experimental", "state": "unloaded"}
    assert [cards["flag"][name] for name in LABELS] == [None, None, status, [], False]
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


def test_the_list_says_which_models_are_loaded_and_has_another_tag_then() -> None:
    async def test() -> None:
        async with house(models=several()) as here:
            for path in ("/v1/models", "/v1/big/models", "/v1/models/big"):
                here.supervisor.residencies = {}
                raw = f"GET {path} HTTP/1.1\r\nhost: localhost\r\n"
                first = await here.ask(f"{raw}\r\n".encode())
                tag = first.header("etag")
                same = await here.ask(f'{raw}if-none-match: "x", W/{tag}\r\n\r\n'.encode())
                assert (same.status, same.body, same.header("etag")) == (304, b"", tag)
                assert first.header("cache-control") == same.header("cache-control") == "private, no-cache"
                here.supervisor.residencies = {"big": "loading"}
                other = await here.ask(f"{raw}if-none-match: {tag}\r\n\r\n".encode())
                assert (other.status, other.header("etag") == tag) == (200, False)
                card = other.json if path == "/v1/models/big" else other.json["data"][0]
                assert card["status"]["value"] == "loading"
            assert here.supervisor.asked == []

    run(test)


def test_a_tag_that_never_was_or_any_is_understood() -> None:
    assert get("/v1/models", 'if-none-match: "never"\r\n').status == 200
    assert get("/v1/models", "if-none-match: *\r\n").status == 304
    assert get("/v1/models", "if-none-match: *\r\n", "HEAD").status == 304


def test_codex_and_anthropic_find_what_they_require() -> None:
    answer = get("/v1/models?client_version=0.153.4", "anthropic-version: 2023-06-01\r\n").json
    assert answer["models"] == []
    assert (answer["has_more"], answer["first_id"], answer["last_id"]) == (False, "big", "warm")
    assert all(
        card["type"] == "model" and card["display_name"] and card["created_at"] for card in answer["data"]
    )


@pytest.mark.parametrize("path", ["/healthz", "/health", "/ping", "/v1/health", "/v1/ping"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_health_is_ok(path: str, method: str) -> None:
    answer = get(path, method=method)
    assert (answer.status, answer.body) == (200, b"ok\n" if method == "GET" else b"")


def test_the_health_of_a_model_starts_nothing() -> None:
    answer = get("/v1/large/health")
    assert (answer.status, answer.json) == (200, {"status": "ok", "model": "big", "state": "unloaded"})
    assert get("/v1/org/big/ping").json["model"] == "big"
    assert (get("/v1/nosuch/health").code, get("/v1/off/health").code) == (
        "model_not_found",
        "model_disabled",
    )


def test_the_version_is_sparkds() -> None:
    assert get("/version").json == get("/v1/version").json == {"version": __version__}


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/"])
@pytest.mark.parametrize("accepted", ["application/json", "text/html,application/xhtml+xml,*/*;q=0.8"])
def test_the_beginning_says_what_is_served(path: str, accepted: str) -> None:
    assert get(path, method="HEAD").status == 200
    answer = get(path, f"accept: {accepted}\r\n").json
    assert "sparkd serves" in answer["message"]
    assert (
        get(answer["models"]).status == get(answer["health"]).status == get(answer["version"]).status == 200
    )


@pytest.mark.parametrize("path", ["/favicon.ico", "/robots.txt"])
def test_what_browsers_ask_for_is_not_logged(path: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert get(path).status == 404
    assert caplog.records == []


@pytest.mark.parametrize(
    "path", ["/", "/health", "/version", "/tokenize", "/v1/models", "/v1/m/chat/completions"]
)
def test_a_preflight_is_answered_everywhere(path: str) -> None:
    answer = get(path, "Origin: http://localhost:3000\r\n", "OPTIONS")
    assert (answer.status, answer.header("access-control-allow-origin")) == (204, "http://localhost:3000")


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


@pytest.mark.parametrize(
    ("state", "fields"),
    [
        (ModelState(state="loaded", residency="loaded"), {"value": "loaded", "state": "loaded"}),
        (
            ModelState(
                state="loading", residency="loading", phase="loading weights", progress=0.4, seconds_left=50
            ),
            {
                "value": "loading",
                "state": "loading",
                "phase": "loading weights",
                "progress": 0.4,
                "seconds_left": 50,
            },
        ),
        (
            ModelState(state="downloading", phase="downloading"),
            {"value": "unloaded", "state": "downloading", "phase": "downloading"},
        ),
        (
            ModelState(state="failed", reason="Out of memory."),
            {"value": "unloaded", "state": "failed", "failed": True, "reason": "Out of memory."},
        ),
    ],
)
def test_a_card_has_the_state_in_the_terms_of_llama_cpp_and_its_own(
    state: ModelState, fields: dict[str, Any]
) -> None:
    card = msgspec.json.decode(encode_card(Found(model("m"), "m"), lambda _: state).body)
    assert card["status"] == fields | {"catalogue": "experimental"}
