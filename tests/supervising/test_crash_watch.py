"""Which requests pass, wait for their turn, or are rejected after an engine has failed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from msgspec import structs

from sparkd.catalog.settings import Failures, Queue, Settings
from sparkd.errors import RequestCrashesEngine, WaitTimeout
from sparkd.supervising.crash_watch import CrashWatch, end_turn
from sparkd.upstream.client import EngineRequest
from tests.gateway.gateways import model


def a_watch(**fields: Any) -> CrashWatch:
    settings = Settings(failures=Failures(**fields), queue=Queue(max_wait=0.05))
    return CrashWatch(lambda: settings)


def chat(text: str, **fields: Any) -> EngineRequest:
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": text}], **fields}).encode()
    return EngineRequest(b"POST", b"/v1/chat/completions", [(b"x-request-id", text.encode())], body)


def crash(watch: CrashWatch, *requests: EngineRequest, run: int = 1, stalled: bool = False) -> bool:
    """An engine fails while it answers these."""
    forgiven = watch.on_failure("m", run, "key", requests, "it crashed", stalled=stalled)
    watch.end_run("m", run)
    return forgiven


def run_async(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 20))


def test_everything_passes_before_an_engine_has_failed() -> None:
    async def test() -> None:
        watch = a_watch()
        assert watch.may_pass("m", chat("a"))
        assert await watch.admit("m", chat("a")) is None
        assert watch.may_pass("m", None)
        assert await watch.admit("m", None) is None

    run_async(test)


def test_a_convicted_request_is_rejected_and_the_failure_forgiven() -> None:
    async def test() -> None:
        watch = a_watch()
        assert not crash(watch, chat("poison"))
        assert crash(watch, chat("poison"))
        assert not watch.may_pass("m", chat("poison"))
        assert watch.may_pass("m", chat("hello"))
        with pytest.raises(RequestCrashesEngine, match='made the engine of model "m" fail 2 times'):
            await watch.admit("m", chat("poison"))
        (rejected,) = watch.list_rejected("m")
        assert (rejected.request_id, rejected.rejected) == ("poison", 1)
        assert watch.may_pass("other", chat("poison"))
        watch.clear("m")
        assert watch.may_pass("m", chat("poison"))
        assert watch.list_rejected("m") == ()

    run_async(test)


def test_nothing_is_rejected_if_the_owner_does_not_want_it() -> None:
    watch = a_watch(reject_for=0.0)
    assert not any(crash(watch, chat("poison")) for _ in range(5))
    assert watch.may_pass("m", chat("poison"))


def test_a_failure_without_requests_is_nothing() -> None:
    watch = a_watch()
    assert not crash(watch)
    assert watch.may_pass("m", chat("hello"))


def test_a_request_that_failed_just_before_its_engine_ended_was_in_flight() -> None:
    async def test() -> None:
        watch = a_watch()
        for run in (1, 2):
            watch.record_end("m", run, chat("poison"), 500)
            watch.record_end("m", run + 10, chat("elsewhere"), 502)
            crash(watch, run=run)
        assert not watch.may_pass("m", chat("poison"))
        assert watch.may_pass("m", chat("elsewhere"))

    run_async(test)


def test_an_upload_is_known_by_its_path_and_length() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"audio"

    def upload(length: int | None) -> EngineRequest:
        return EngineRequest(b"POST", b"/v1/audio/transcriptions", [], pieces(), length)

    async def test() -> None:
        watch = a_watch()
        crash(watch, upload(5))
        crash(watch, upload(None))
        assert crash(watch, upload(5))
        assert not watch.may_pass("m", upload(5))
        assert watch.may_pass("m", upload(6))
        assert watch.may_pass("m", upload(None))

    run_async(test)


def test_suspects_have_their_turn_one_after_the_other() -> None:
    async def test() -> None:
        watch = a_watch()
        crash(watch, chat("a"), chat("b"), chat("c"))
        assert watch.may_pass("m", chat("d"))
        assert not watch.may_pass("m", chat("a"))
        turn = await watch.admit("m", chat("a"))
        assert turn is not None
        waiting = asyncio.create_task(watch.admit("m", chat("b")))
        await asyncio.sleep(0)
        assert not waiting.done()
        watch.record_end("m", 1, chat("a"), 200)
        end_turn(turn, 200)
        second = await waiting
        assert second is not None
        assert watch.may_pass("m", chat("a"))
        assert await watch.admit("m", chat("a")) is None
        watch.record_end("m", 1, chat("b"), 502)
        end_turn(second, 502)
        third = asyncio.create_task(watch.admit("m", chat("c")))
        await asyncio.sleep(0)
        assert not third.done(), "the engine has probably failed, but has not ended yet"
        crash(watch)
        assert await third is not None
        with pytest.raises(RequestCrashesEngine):
            await watch.admit("m", chat("b"))

    run_async(test)


def test_a_turn_ends_by_itself_and_only_once() -> None:
    async def test() -> None:
        watch = a_watch()
        crash(watch, chat("a"), chat("b"))
        turn = await watch.admit("m", chat("a"))
        assert turn is not None
        turn.limit(0.01)
        second = await watch.admit("m", chat("b"))
        assert second is not None
        turn.end()
        with pytest.raises(WaitTimeout):
            await watch.admit("m", chat("a"))
        second.end()
        end_turn(None, 200)

    run_async(test)


def test_after_a_stall_a_turn_takes_until_the_next_one_would_be_found() -> None:
    async def test() -> None:
        watch = a_watch(liveness=0.002)
        crash(watch, chat("a"), chat("b"), stalled=True)
        turn = await watch.admit("m", chat("a"))
        assert turn is not None
        turn.limit()
        assert await watch.admit("m", chat("b")) is not None

    run_async(test)


def test_a_client_that_leaves_while_it_waits_for_its_turn_takes_none() -> None:
    async def test() -> None:
        watch = a_watch()
        crash(watch, chat("a"), chat("b"))
        turn = await watch.admit("m", chat("a"))
        assert turn is not None
        leaving = asyncio.create_task(watch.admit("m", chat("b")))
        await asyncio.sleep(0)
        leaving.cancel()
        turn.end()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        assert await watch.admit("m", chat("b")) is not None

    run_async(test)


def test_a_changed_start_forgets_and_another_change_does_not() -> None:
    async def test() -> None:
        watch, before = a_watch(), {"m": model("m")}
        crash(watch, chat("poison"))
        crash(watch, chat("poison"))
        watch.use_models(before, {"m": structs.replace(before["m"], description="x")}, ())
        watch.on_launch("m", "key")
        assert not watch.may_pass("m", chat("poison"))
        changes: tuple[Callable[[], None], ...] = (
            lambda: watch.on_launch("m", "another key"),
            lambda: watch.use_models(before, before, ("m",)),
            lambda: watch.use_models(before, {}, ()),
            lambda: watch.use_models(before, {"m": structs.replace(before["m"], vision=True)}, ()),
        )
        for change in changes:
            change()
            assert watch.may_pass("m", chat("poison"))
            crash(watch, chat("poison"))
            crash(watch, chat("poison"))

    run_async(test)
