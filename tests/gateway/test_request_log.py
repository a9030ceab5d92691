"""What the journal has of single requests, and under which id."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from sparkd.errors import QueueFull
from sparkd.gateway.request_log import BURST
from tests.gateway.engines import OK, SSE, Asked, answering, chunk, read_answer, request
from tests.gateway.gateways import House, house, run
from tests.gateway.test_breaking import once

MINE = "x-request-id: mine-1\r\n"

Fields = dict[str, Any]


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Callable[[], list[tuple[int, str, Fields]]]:
    """Level, text and fields of each line so far."""
    caplog.set_level(logging.INFO, "sparkd.gateway")

    def lines() -> list[tuple[int, str, Fields]]:
        found = [(r.levelno, r.getMessage(), dict(getattr(r, "fields", {}))) for r in caplog.records]
        caplog.clear()
        return found

    return lines


Told = Callable[[], list[tuple[int, str, Fields]]]


def scene(script: Any, ask: Callable[[House], Awaitable[Any]]) -> None:
    async def test() -> None:
        async with house(script) as here:
            await ask(here)

    run(test)


def test_an_answer_that_goes_well_is_no_line(told: Told) -> None:
    scene(answering(OK), lambda here: here.ask(request()))
    assert told() == []


def test_a_refusal_is_found_by_its_request_and_its_model(told: Told) -> None:
    async def ask(here: House) -> None:
        here.supervisor.refusal = QueueFull("Too many\nwait.", retry_after=1.0)
        await here.ask(request(b'{"model":"org/alias"}', extra=MINE))

    scene(answering(OK), ask)
    ((level, text, fields),) = told()
    assert level == logging.INFO
    assert text == "POST /v1/chat/completions for m (request mine-1): refused: Too many wait."
    assert fields.pop("DURATION_MS") >= 0
    assert fields == {
        "EVENT": "refused", "MODEL": "m", "REQUEST_ID": "mine-1", "STATUS": 429, "CODE": "queue_full",
    }  # fmt: skip


def test_a_request_for_no_model_is_told_without_one_and_without_its_query(told: Told) -> None:
    scene(
        answering(OK), lambda here: here.ask(request(b'{"model":"nosuch"}', "/v1/chat/completions?key=sk-1"))
    )
    ((_, text, fields),) = told()
    assert "MODEL" not in fields
    assert (fields["STATUS"], fields["EVENT"]) == (404, "refused")
    assert "sk-1" not in text


def test_an_engine_that_breaks_off_is_a_failure_before_its_answer_and_a_cut_in_it(told: Told) -> None:
    scene(once(b""), lambda here: here.ask(request(extra=MINE)))
    ((level, _, fields),) = told()
    assert (level, fields["EVENT"], fields["STATUS"]) == (logging.WARNING, "failed", 502)
    scene(
        once(SSE + chunk(b'data: {"a":1}\n\n')),
        lambda here: here.ask(request(extra=MINE)),
    )
    ((level, _, fields),) = told()
    assert (level, fields["EVENT"], fields["REQUEST_ID"]) == (logging.WARNING, "interrupted", "mine-1")


def test_an_engines_own_failure_is_passed_on_and_told(told: Told) -> None:
    broken = b"HTTP/1.1 500 Oh\r\ncontent-length: 2\r\n\r\nno"
    scene(answering(broken), lambda here: here.ask(request()))
    ((_, text, fields),) = told()
    assert (fields["EVENT"], fields["STATUS"]) == ("failed", 500)
    assert text.endswith(": failed: the engine answered 500")


def test_a_client_that_repeats_its_mistake_for_ever_gets_so_many_lines_and_no_more(told: Told) -> None:
    async def ask(here: House) -> None:
        reader, writer = await here.connect()
        for _ in range(int(BURST) + 100):
            writer.write(request(b"{}"))
            assert (await read_answer(reader)).status == 400

    scene(answering(OK), ask)
    assert BURST <= len(told()) <= BURST + 50


def test_what_is_quoted_of_a_client_is_short(told: Told) -> None:
    name = "x" * 5000
    scene(answering(OK), lambda here: here.ask(request(b'{"model":"%s"}' % name.encode())))
    ((_, text, _),) = told()
    assert len(text) < 500


@pytest.mark.parametrize("given", ["two words", "x" * 129, "na\u00efve", ""])
def test_an_id_that_is_not_fit_for_a_journal_is_replaced_everywhere(given: str) -> None:
    seen: list[Asked] = []

    async def test() -> None:
        async with house(answering(OK, asked=seen)) as here:
            got = await here.ask(request(extra=f"x-request-id: {given}\r\n"))
        made = got.header("x-request-id")
        assert made
        assert made != given
        assert [value for name, value in seen[0].headers if name == "x-request-id"] == [made]

    run(test)
