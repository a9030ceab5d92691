"""Requests and models: launched, shared, drained, stopped."""

from __future__ import annotations

import json
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import Build
from tests.e2e.house import House, engine, wait_until


def content(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    text: str = answer.json()["choices"][0]["message"]["content"]
    return text.rstrip()


def test_a_first_request_starts_its_model_and_is_answered(build: Build) -> None:
    house = build({"a": engine("--start-delay", "0.3")})
    assert house.model("a").state == "stopped"
    assert content(house.chat("a", "one two")) == "one two"
    ready = house.model("a")
    assert ready.state == "ready"
    assert ready.load_time is not None
    assert ready.load_time < 5
    assert "a: starting (run 1)" in house.log()
    assert "a: ready after" in house.log()


def test_an_engine_on_a_tcp_port_serves_as_well(build: Build) -> None:
    house = build({"a": engine(tcp=True), "b": engine(tcp=True)})
    assert content(house.chat("a")) == content(house.chat("b")) == "one two three"


def test_a_first_streamed_request_is_answered_chunk_by_chunk(build: Build) -> None:
    house = build({"a": engine("--pace", "0.05")})
    with house.streaming("a", "one two three four five") as lines:
        arrived = [(time.monotonic(), line) for line in lines]
    assert arrived[-1][1] == "data: [DONE]"
    pieces = [json.loads(line.removeprefix("data: ")) for _, line in arrived[:-1]]
    deltas = [choice["delta"].get("content") or "" for piece in pieces for choice in piece["choices"]]
    assert "".join(deltas).rstrip() == "one two three four five"
    assert arrived[-1][0] - arrived[0][0] > 0.15, "it came as it was written, not in one piece at the end"


def test_ready_is_noticed_within_50_ms(build: Build, folder: Path) -> None:
    house = build({"a": engine("--start-delay", "0.5", "--journal", f"{folder}/events")})
    house.chat("a")
    ready = next(event["t"] for event in house.journal() if event["event"] == "ready")
    begun = next(
        event["t"] for event in house.journal() if event["event"] == "begin" and "chat" in str(event)
    )
    assert begun - ready < 0.25, "twice the promise and a slow machine's noise"


def test_a_second_model_waits_for_the_first_ones_answer_and_then_takes_its_place(build: Build) -> None:
    house = build(
        {
            "a": engine("--pace", "0.1", memory="6 GiB", min_residency=0.0),
            "b": engine(memory="6 GiB"),
        }
    )
    with ThreadPoolExecutor() as pool, house.streaming("a", "one two three four five six") as lines:
        next(lines)
        other = pool.submit(house.chat, "b")
        house.until("a", "draining")
        assert house.model("b").waiting == 1
        rest = list(lines)
        assert rest[-1] == "data: [DONE]", "the first answer was whole"
        assert content(other.result()) == "one two three"
    assert house.model("a").state == "stopped"
    assert "a: stopping: making room for b" in house.log()


def test_models_that_fit_together_stay_together(build: Build) -> None:
    house = build({"a": engine(), "b": engine()})
    house.chat("a")
    house.chat("b")
    assert house.model("a").state == house.model("b").state == "ready"
    assert house.status().memory.reserved == 2 * 2**30


def test_an_idle_model_is_stopped_and_nothing_of_it_is_left(build: Build) -> None:
    house = build({"a": engine("--fork-grandchildren", "2", "--fork-runaways", "2", idle_timeout=0.5)})
    house.chat("a")
    assert len(house.processes()) >= 4
    house.until("a", "stopped")
    house.assert_nothing_left()
    assert content(house.chat("a")) == "one two three"


def test_a_request_in_flight_protects_from_the_idle_stop(build: Build) -> None:
    house = build({"a": engine("--pace", "0.3", idle_timeout=0.3)})
    assert content(house.chat("a", "one two three four five")) == "one two three four five"


def two_hundred(house: House) -> list[str]:
    """Two hundred requests to three models at once; what each was answered."""
    with ThreadPoolExecutor(200) as pool:
        answers = pool.map(lambda n: house.chat("abc"[n % 3], f"request {n}"), range(200))
        return [content(answer) for answer in answers]


def test_two_hundred_first_requests_to_three_models_start_each_once(build: Build, folder: Path) -> None:
    faults = ("--journal", f"{folder}/events", "--start-delay", "0.3")
    house = build({name: engine(*faults, memory="3 GiB") for name in ("a", "b", "c")})
    assert two_hundred(house) == [f"request {n}" for n in range(200)]
    started = [event["model"] for event in house.journal() if event["event"] == "started"]
    assert sorted(started) == ["a", "b", "c"]


def test_two_hundred_requests_to_three_models_that_do_not_fit_together_are_all_answered(build: Build) -> None:
    house = build(
        {name: engine("--start-delay", "0.2", memory="6 GiB", min_residency=0.2) for name in ("a", "b", "c")}
    )
    assert two_hundred(house) == [f"request {n}" for n in range(200)]


def test_without_a_queue_a_rival_gets_the_predecessors_answer(build: Build) -> None:
    house = build(
        {"a": engine("--pace", "0.2", memory="6 GiB"), "b": engine(memory="6 GiB")},
        queue={"on_busy": "reject"},
    )
    with house.streaming("a", "one two three") as lines:
        next(lines)
        refused = house.chat("b")
        assert list(lines)[-1] == "data: [DONE]"
    assert refused.status_code == 429
    body = refused.json()
    assert (body["ok"], body["error"], body["busy"], body["code"]) == (False, "busy", True, "model_busy")
    current = body["currentModel"]
    assert (current["name"], current["state"]) == ("a", "ready")
    assert abs(current["startedAt"] / 1000 + current["uptimeSec"] - time.time()) < 3
    assert current["startedAtISO"].endswith("Z")
    assert refused.headers["x-busy-model"] == "a"
    assert refused.headers["x-model-will-auto-stop"] == "false", "its residency is not over"
    assert 1 <= int(refused.headers["retry-after"]) <= 31
    assert body["retryAfterSec"] == int(refused.headers["retry-after"])


def test_a_client_that_leaves_the_queue_is_forgotten(build: Build) -> None:
    house = build({"a": engine("--start-delay", "1.5")})
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{house.url}/v1/chat/completions", json={"model": "a", "messages": []}, timeout=0.5)
    wait_until("the queue is empty", lambda: house.status().queue.waiting == 0, 1.0)
    house.until("a", "ready")
    assert house.model("a").in_flight == 0


def test_a_client_that_leaves_mid_stream_is_cancelled_upstream_within_a_second(
    build: Build, folder: Path
) -> None:
    house = build({"a": engine("--pace", "0.05", "--tokens", "400", "--journal", f"{folder}/events")})
    with house.streaming("a") as lines:
        next(lines)
    left = time.time()
    cancelled = wait_until(
        "the engine noticed", lambda: [e for e in house.journal() if e["event"] == "cancelled"], 2.0
    )
    assert cancelled[0]["t"] - left < 1.0
    wait_until("the lease is back", lambda: house.model("a").in_flight == 0, 1.0)


def test_a_client_that_leaves_during_a_long_prefill_is_cancelled_upstream(build: Build, folder: Path) -> None:
    house = build({"a": engine("--think", "30", "--journal", f"{folder}/events")})
    house.ctl("load", "a")
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{house.url}/v1/chat/completions", json={"model": "a", "messages": []}, timeout=0.5)
    wait_until("the engine noticed", lambda: [e for e in house.journal() if e["event"] == "cancelled"], 1.5)


def test_a_stop_of_sparkd_lets_streams_finish_and_ends_every_engine(build: Build) -> None:
    house = build({"a": engine("--pace", "0.1", "--fork-runaways", "1")})
    with house.streaming("a", "one two three four five six") as lines:
        next(lines)
        house.process.send_signal(signal.SIGTERM)
        assert list(lines)[-1] == "data: [DONE]"
    assert house.process.wait(20) == 0
    house.assert_nothing_left()


def test_a_second_sigterm_ends_everything_at_once(build: Build) -> None:
    house = build({"a": engine("--pace", "1", "--deaf", "--tokens", "100")})
    with house.streaming("a") as lines:
        next(lines)
        house.process.send_signal(signal.SIGTERM)
        wait_until("the first one is noted", lambda: "finishing what has begun" in house.log())
        begun = time.monotonic()
        assert house.stop(seconds=5) == 0
        assert time.monotonic() - begun < 3
        assert "engine_failed" in list(lines)[-2], "the client is told"
    house.assert_nothing_left()


def test_what_a_shut_down_daemon_was_asked_waits_for_nobody(build: Build) -> None:
    house = build({"a": engine("--start-delay", "20")})
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(house.chat, "a")
        house.until("a", "starting")
        assert house.stop() == 0
    assert asked.result().status_code == 503
    assert asked.result().json()["error"]["code"] == "shutting_down"


def test_the_owner_loads_looks_and_stops(build: Build) -> None:
    house: House = build({"a": engine("--say", "hello from the engine")})
    assert house.ctl("load", "a").returncode == 0
    table = house.ctl("status").stdout
    assert "a" in table
    assert "ready" in table
    assert "hello from the engine" in house.ctl("logs", "a").stdout
    assert house.ctl("stop", "a").returncode == 0
    assert house.model("a").state == "stopped"


def test_a_key_is_asked_for_before_anything_is_started(build: Build, folder: Path) -> None:
    (folder / "keys").write_text("# who may ask\nlaptop: s3cret\n")
    house = build({"a": engine()}, server={"listen": "127.0.0.1:0", "api_key_file": "keys"})
    assert house.chat("a").status_code == 401
    assert house.model("a").state == "stopped"
    with house.openai(api_key="s3cret") as client:
        answer = client.chat.completions.create(model="a", messages=[{"role": "user", "content": "hello"}])
    assert (answer.choices[0].message.content or "").rstrip() == "hello"
    assert "s3cret" not in house.log() + house.ctl("status", "--json").stdout
    assert all("s3cret" not in " ".join(process.environ().values()) for process in house.processes())


def test_a_drain_that_takes_too_long_is_cut_and_told(build: Build) -> None:
    house = build(
        {
            "a": engine(
                "--pace", "0.2", "--tokens", "500", memory="6 GiB", min_residency=0.0, drain_timeout=1.0
            ),
            "b": engine(memory="6 GiB"),
        }
    )
    with ThreadPoolExecutor() as pool, house.streaming("a") as lines:
        next(lines)
        rival = pool.submit(house.chat, "b")
        received = list(lines)
        assert received[-1] == "data: [DONE]"
        assert "engine_failed" in received[-2]
        assert content(rival.result()) == "one two three"
