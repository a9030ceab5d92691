"""Captures: what is kept, of whom, how much, and that it is forgotten."""

from __future__ import annotations

import json

import pytest

from sparkd.catalog.reading.keys import Keys
from sparkd.gateway.capturing.captures import MOST, MOST_BYTES, Captures
from sparkd.gateway.capturing.shortening import LARGEST, shorten
from tests.gateway.engines import OK, Asked, answering, request
from tests.gateway.gateways import House, catalogue, house, model, run, until

KEYS = Keys([("ada", "sk-ada"), ("bob", "sk-bob")])
ADA, BOB = "authorization: Bearer sk-ada\r\n", "authorization: Bearer sk-bob\r\n"
TWO = catalogue(model("m", aliases=("short",)), model("n"))


def chat(model_id: str, text: str, extra: str = "", **fields: object) -> bytes:
    body = {"model": model_id, "messages": [{"role": "user", "content": text}], **fields}
    return request(json.dumps(body).encode(), extra=extra)


def finished(here: House) -> Captures:
    """The captures, after all records were handed on."""
    here.gateway.recorder.flush()
    return here.gateway.captures


@pytest.mark.parametrize("shortcut", [True, False])
def test_a_request_is_kept_as_received_as_sent_and_with_its_response(shortcut: bool) -> None:
    async def test() -> None:
        asked: list[Asked] = []
        async with house(answering(OK, asked=asked), models=TWO, shortcut=shortcut) as here:
            here.gateway.recorder.subscribe(here.gateway.captures.finish)
            here.gateway.captures.begin(60, model="m")
            assert (await here.ask(chat("short", "hi"))).status == 200
            (found,) = finished(here).finished
            assert found.received is not None
            assert found.sent is not None
            assert found.response is not None
            assert json.loads(found.received.text)["model"] == "short"
            assert json.loads(found.sent.text)["model"] == "m"
            assert found.sent.text.encode() == asked[0].body
            assert found.response.text.encode() in OK
            assert (found.status, found.model, found.asked) == (200, "m", "short")

    run(test)


def test_requests_of_others_are_not_kept() -> None:
    async def test() -> None:
        async with house(models=TWO, keys=KEYS) as here:
            captures = here.gateway.captures
            here.gateway.recorder.subscribe(captures.finish)
            await here.ask(chat("m", "before", ADA))
            captures.begin(60, client="ada")
            await here.ask(chat("m", "ada's", ADA))
            await here.ask(chat("m", "bob's", BOB))
            assert [each.client for each in finished(here).finished] == ["ada"]
            captures.begin(60, model="n")
            await here.ask(chat("m", "another", ADA))
            await here.ask(chat("n", "this", BOB))
            assert [each.model for each in finished(here).finished] == ["n"]
            captures.end()
            await here.ask(chat("n", "after", BOB))
            assert len(finished(here).finished) == 1
            captures.forget()
            assert finished(here).finished == []
            assert captures.size == 0

    run(test)


def test_a_request_that_sparkd_rejects_is_kept_too() -> None:
    async def test() -> None:
        async with house(models=TWO, keys=KEYS) as here:
            here.gateway.recorder.subscribe(here.gateway.captures.finish)
            here.gateway.captures.begin(60, client="ada")
            assert (await here.ask(chat("missing", "hi", ADA))).status == 404
            (found,) = finished(here).finished
            assert found.status == 404
            assert found.received is not None
            assert "missing" in found.received.text
            assert (found.sent, found.response) == (None, None)

    run(test)


def test_payloads_are_abbreviated_and_long_bodies_cut() -> None:
    image = "data:image/png;base64," + "iVBORw0KGgo" * 10_000
    body = shorten(json.dumps({"url": image, "text": "a text"}).encode())
    assert len(body.text) < 200
    assert "a text" in body.text
    assert "characters)" in body.text
    assert not body.cut
    long = shorten(b"a b " * LARGEST)
    assert (len(long.text), long.size, long.cut) == (LARGEST, 4 * LARGEST, True)


def test_the_newest_are_kept_within_bounds() -> None:
    async def test() -> None:
        async with house(models=TWO) as here:
            captures = here.gateway.captures
            here.gateway.recorder.subscribe(captures.finish)
            captures.begin(60, model="m")
            for number in range(MOST + 5):
                await here.ask(chat("m", f"number {number}"))
                here.gateway.recorder.flush()
            assert len(finished(here).finished) == MOST
            assert captures.finished[0].id == MOST + 5
            assert captures.find(5) is None
            for _ in range(40):
                await here.ask(chat("m", "a b " * (LARGEST // 4)))
                here.gateway.recorder.flush()
            assert captures.size <= MOST_BYTES

    run(test, limit=60)


def test_a_capture_ends_by_itself(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        captures = Captures()
        captures.begin(0.02, client="ada")
        await until(lambda: captures.rule is None)
        captures.forget()

    with caplog.at_level("WARNING"):
        run(test)
    assert [record.fields["EVENT"] for record in caplog.records] == ["capture-began", "capture-ended"]  # type: ignore[attr-defined]
