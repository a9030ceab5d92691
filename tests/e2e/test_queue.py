"""Who goes first over HTTP: priorities, clients that give up and return, and loads that nobody waits for."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import Build
from tests.e2e.sparkd_process import SparkdProcess, engine, wait_until


def test_a_voice_assistant_does_not_wait_behind_a_hundred_translations(build: Build) -> None:
    """The translations never end by themselves: with equal priorities, the voice would wait for minutes."""
    sparkd = build(
        {
            "translate": engine("--pace", "0.5", memory="6 GiB", priority="low"),
            "voice": engine(memory="6 GiB", priority="high"),
        }
    )
    is_answered = threading.Event()
    body = {"model": "translate", "messages": [{"role": "user", "content": "one two three"}]}

    def translate() -> list[int]:
        statuses = []
        while not is_answered.is_set():
            answer = client.post(f"{sparkd.url}/v1/chat/completions", json=body)
            statuses.append(answer.status_code)
        return statuses

    limits = httpx.Limits(max_connections=None)
    with httpx.Client(timeout=300, limits=limits) as client, ThreadPoolExecutor(100) as pool:
        translations = [pool.submit(translate) for _ in range(100)]
        try:
            wait_until("all are translated at once", lambda: sparkd.model("translate").in_flight >= 90)
            assert sparkd.chat("voice", "it is noon").status_code == 200
        finally:
            is_answered.set()
        assert 'Stopping model "translate": making room for voice' in sparkd.log()
        statuses = [status for each in translations for status in each.result()]
    assert set(statuses) == {200}, "every translation is answered too"


def test_a_load_continues_when_its_only_client_gives_up(build: Build, folder: Path) -> None:
    gate = folder / "gate"
    sparkd = build({"a": engine("--start-gate", str(gate))})
    with sparkd.waiting_client("a"):
        sparkd.until("a", "starting")
    wait_until("the client has left", lambda: sparkd.model("a").waiting == 0)
    assert sparkd.model("a").state == "starting"
    gate.touch()
    sparkd.until("a", "ready")
    assert sparkd.chat("a").status_code == 200
    assert sparkd.log().count("Starting model") == 1


def test_a_client_that_gives_up_and_returns_has_its_turn_first(build: Build, folder: Path) -> None:
    gate = folder / "gate"
    sparkd = build(
        {
            "a": engine("--chunk-gate", str(gate), memory="6 GiB"),
            "b": engine(memory="6 GiB"),
            "c": engine(memory="6 GiB"),
        }
    )
    with ThreadPoolExecutor() as pool, sparkd.streaming("a") as lines:
        next(lines)
        with pytest.raises(httpx.ReadTimeout):
            ask(sparkd, "b", "impatient/1.0", timeout=0.3)
        wait_until("it has left", lambda: sparkd.model("b").waiting == 0)
        patient = pool.submit(ask, sparkd, "c", "patient/1.0")
        wait_until("another one waits", lambda: sparkd.model("c").waiting == 1)
        returned = pool.submit(ask, sparkd, "b", "impatient/1.0")
        wait_until("it waits again", lambda: sparkd.model("b").waiting == 1)
        gate.touch()
        assert list(lines)[-1] == "data: [DONE]"
        assert returned.result().status_code == patient.result().status_code == 200
    log = sparkd.log()
    assert log.index('Starting model "b"') < log.index('Starting model "c"')


def ask(sparkd: SparkdProcess, model: str, program: str, timeout: float = 300) -> httpx.Response:
    """Send a chat request as that program."""
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
    url = f"{sparkd.url}/v1/chat/completions"
    return httpx.post(url, json=body, headers={"user-agent": program}, timeout=timeout)
