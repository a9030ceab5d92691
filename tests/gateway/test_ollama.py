"""Ollama's API takes the ordinary way: access, naming, rewriting, the lease, and the engine's stream, translated."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest

from sparkd.catalog import Catalogue
from sparkd.catalog.reading.keys import Keys
from sparkd.catalog.rewriting import Rewriting
from sparkd.errors import ModelBusy, QueueFull, SparkdError
from sparkd.hub.messages import Progress
from sparkd.scheduling.status import ModelStatus
from tests.gateway.engines import SSE, Answer, Asked, answering, chunk, read_answer, request
from tests.gateway.gateways import House, catalogue, house, model, run, until
from tests.gateway.test_breaking import once
from tests.ollama.demands import (
    CHAT_END,
    CHAT_PART,
    EMBED,
    GENERATE_END,
    GENERATE_PART,
    RUNNING,
    SHOW,
    TAG,
    find_unmet,
)

HI = [{"role": "user", "content": "hi"}]
GENERATING = ["chat", "generate"]


def ollama(path: str, body: object = None, method: str = "POST", extra: str = "") -> bytes:
    """A raw request; the body may be bytes."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
    return request(data, f"/api/{path}", method, extra)


def event(content: str, finish: str | None = None) -> bytes:
    """An event of a chat and of a completion."""
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": finish}
    return b"data: " + json.dumps({"model": "m", "choices": [choice]}).encode() + b"\n\n"


USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n'
STREAM = SSE + b"".join(
    map(chunk, (event(""), event("He"), event("llo", "stop"), USAGE, b"data: [DONE]\n\n", b""))
)
DOCUMENT = json.dumps(
    {
        "choices": [{"message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2},
    }
).encode()


def plain(body: bytes, status: int = 200) -> bytes:
    return (
        b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % (status, len(body))
        + body
    )


def ask(raw: bytes, *answers: bytes, **fields: Any) -> tuple[Answer, list[Asked]]:
    """One answer, and what the engine was asked."""
    seen: list[Asked] = []
    got: list[Answer] = []

    async def test() -> None:
        async with house(answering(*(answers or (STREAM,)), asked=seen), **fields) as here:
            got.append(await here.ask(raw))

    run(test)
    return got[0], seen


def lines(answer: Answer) -> list[dict[str, Any]]:
    assert answer.header("content-type") == "application/x-ndjson"
    assert answer.body.endswith(b"\n")
    return [json.loads(line) for line in answer.body.splitlines()]


def test_a_chat_becomes_a_chat_completion_and_its_stream_lines() -> None:
    body = {"model": "short:latest", "messages": HI, "options": {"temperature": 0.5, "num_ctx": 8192}}
    answer, seen = ask(ollama("chat", body, extra="accept-encoding: gzip\r\naccept: application/json\r\n"))
    assert seen[0].line.startswith("POST /v1/chat/completions ")
    sent = json.loads(seen[0].body)
    assert (sent["model"], sent["temperature"], sent["stream"]) == ("m", 0.5, True)
    assert sent["stream_options"] == {"include_usage": True}
    assert (seen[0].header("accept-encoding"), seen[0].header("accept")) == (None, None)
    parts = lines(answer)
    assert "".join(part["message"]["content"] for part in parts) == "Hello"
    assert {part["model"] for part in parts} == {"short:latest"}
    for part in parts[:-1]:
        assert list(find_unmet(part, CHAT_PART)) == []
    assert list(find_unmet(parts[-1], CHAT_END)) == []
    assert (parts[-1]["prompt_eval_count"], parts[-1]["eval_count"]) == (3, 2)
    assert "ignored-num_ctx" in (answer.header("x-sparkd-rewrites") or "")
    assert answer.header("x-accel-buffering") == "no"


def test_without_a_stream_it_is_one_document() -> None:
    answer, seen = ask(ollama("chat", {"model": "m", "messages": HI, "stream": False}), plain(DOCUMENT))
    assert "stream" not in json.loads(seen[0].body)
    assert answer.header("content-type") == "application/json"
    assert list(find_unmet(answer.json, CHAT_END)) == []
    assert answer.json["message"]["content"] == "Hello"


def test_generate() -> None:
    answer, seen = ask(ollama("generate", {"model": "m", "prompt": "hi", "system": "Be brief."}))
    assert [turn["role"] for turn in json.loads(seen[0].body)["messages"]] == ["system", "user"]
    parts = lines(answer)
    assert list(find_unmet(parts[0], GENERATE_PART)) == list(find_unmet(parts[-1], GENERATE_END)) == []
    _, seen = ask(ollama("generate", {"model": "m", "prompt": "hi", "raw": True}))
    assert seen[0].line.startswith("POST /v1/completions ")


def test_embeddings() -> None:
    vectors = plain(b'{"data":[{"embedding":[0.5]},{"embedding":[1.0]}],"usage":{"prompt_tokens":4}}')
    models = catalogue(model("m", tasks=("embed",)))
    answer, seen = ask(ollama("embed", {"model": "m", "input": ["a", "b"]}), vectors, models=models)
    assert seen[0].line.startswith("POST /v1/embeddings ")
    assert list(find_unmet(answer.json, EMBED)) == []
    assert answer.json["embeddings"] == [[0.5], [1.0]]
    answer, _ = ask(ollama("embeddings", {"model": "m", "prompt": "a"}), vectors, models=models)
    assert answer.json == {"embedding": [0.5]}


def test_the_rules_of_the_model_apply() -> None:
    models = catalogue(model("m", rewriting=Rewriting(set={"top_k": 1}), context_length=4096))
    answer, seen = ask(ollama("chat", {"model": "m", "messages": HI}), models=models)
    assert json.loads(seen[0].body)["top_k"] == 1
    assert "set" in (answer.header("x-sparkd-rewrites") or "").split(", ")


def refusal(raw: bytes, **fields: Any) -> tuple[int, str]:
    """Status and message of an error, whose body must have Ollama's shape."""
    answer, seen = ask(raw, plain(b'{"error":{"message":"the engine says no","code":400}}', 400), **fields)
    assert answer.header("content-type") == "application/json"
    assert list(answer.json) == ["error"]
    assert isinstance(answer.json["error"], str)
    assert len(seen) <= 1
    return answer.status, answer.json["error"]


IMAGE = {
    "role": "user",
    "content": "?",
    "images": [base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"0" * 64).decode()],
}


@pytest.mark.parametrize(
    ("raw", "status", "text"),
    [
        (ollama("chat", {"model": "m", "messages": HI}), 400, "the engine says no"),
        (ollama("chat", {"model": "nonesuch", "messages": HI}), 404, "nonesuch"),
        (ollama("chat", {"messages": HI}), 400, "Set `model`"),
        (ollama("chat", b"{"), 400, "not JSON"),
        (ollama("chat", b"[]"), 400, "not a JSON object"),
        (ollama("chat", b""), 400, "no body"),
        (ollama("chat", {"model": "m", "messages": "hi"}), 400, "`messages`"),
        (ollama("chat", {"model": "m", "messages": [IMAGE]}), 400, "image"),
        (ollama("chat", {"model": "m", "messages": HI}, "GET"), 405, "GET"),
        (ollama("tags", None, "DELETE"), 405, "DELETE"),
        (ollama("nonesuch", {}), 404, "/api/nonesuch"),
        (ollama("show", {"model": "nonesuch"}), 404, "nonesuch"),
        (ollama("pull", {"model": "nonesuch"}), 404, "nonesuch"),
        (ollama("create", {"model": "x"}), 403, "sparkctl add"),
        (ollama("copy", {"source": "x"}), 403, "aliases"),
        (ollama("push", {"model": "x"}), 403, "sparkd uploads nothing"),
        (ollama("delete", {"model": "x"}, "DELETE"), 403, "sparkctl rm"),
        (ollama("blobs/sha256:abc", b"x"), 403, "sparkctl add"),
        (
            ollama("chat", {"model": "m", "messages": HI}, extra="sec-fetch-site: cross-site\r\n"),
            403,
            "web pages",
        ),
    ],
)
def test_every_error_is_a_text_under_error(raw: bytes, status: int, text: str) -> None:
    got, message = refusal(raw)
    assert (got, text in message) == (status, True), message


def test_a_key_is_needed_where_keys_are_set() -> None:
    keys = Keys([("owner", "sk-right")])
    body = {"model": "m", "messages": HI}
    assert refusal(ollama("chat", body), keys=keys)[0] == 401
    assert refusal(ollama("tags", None, "GET"), keys=keys)[0] == 401
    answer, _ = ask(ollama("chat", body, extra="authorization: Bearer sk-right\r\n"), keys=keys)
    assert answer.status == 200


@pytest.mark.parametrize(
    "error", [QueueFull("full", retry_after=3.0), ModelBusy("busy", retry_after=3.0, holders=())], ids=str
)
def test_a_refusal_keeps_its_status_and_its_retry_after(error: Any) -> None:
    async def test() -> None:
        async with house() as here:
            here.supervisor.refusal = error
            answer = await here.ask(ollama("chat", {"model": "m", "messages": HI}))
            assert (answer.status, answer.header("retry-after")) == (429, "3")
            assert answer.json == {"error": error.message}

    run(test)


@pytest.mark.parametrize("kind", GENERATING)
def test_an_engine_that_breaks_off_ends_the_stream_with_an_error_line(kind: str) -> None:
    async def test() -> None:
        async with house(once(SSE + chunk(event("a")) + chunk(b'data: {"cho'))) as here:
            answer = await here.ask(ollama(kind, {"model": "m", "messages": HI, "prompt": "a"}))
            parts = lines(answer)
            assert list(parts[-1]) == ["error"]
            assert 'The engine of "m" disconnected' in parts[-1]["error"]
            assert here.supervisor.outcomes == [502]

    run(test)


def test_an_error_in_the_stream_is_its_last_line() -> None:
    error = b'data: {"error": {"message": "out of luck", "code": 500}}\n\n'
    failing = SSE + b"".join(map(chunk, (event("a"), error, b"data: [DONE]\n\n", b"")))

    async def test() -> None:
        async with house(answering(failing)) as here:
            parts = lines(await here.ask(ollama("chat", {"model": "m", "messages": HI})))
            assert [next(iter(part)) for part in parts] == ["model", "error"]
            assert "out of luck" in parts[-1]["error"]
            assert here.supervisor.outcomes == [500]

    run(test)


def test_the_load_duration_is_the_time_that_sparkd_has_waited() -> None:
    async def test() -> None:
        async with house(answering(STREAM), ready=False) as here:
            asking = asyncio.create_task(here.ask(ollama("chat", {"model": "m", "messages": HI})))
            await until(lambda: here.supervisor.waiting == 1)
            await asyncio.sleep(0.05)
            here.supervisor.ready.set()
            last = lines(await asking)[-1]
            assert 50_000_000 <= last["load_duration"] <= last["total_duration"]

    run(test)


def test_a_client_that_leaves_ends_its_request() -> None:
    async def test() -> None:
        async with house(answering(SSE + chunk(event("a")))) as here:
            _, writer = await here.connect()
            writer.write(ollama("chat", {"model": "m", "messages": HI}))
            await until(lambda: here.supervisor.held == 1 and here.engine.open == 1)
            writer.close()
            await here.engine.closed()
            await until(lambda: here.supervisor.held == 0)

    run(test)


def status(**fields: Any) -> ModelStatus:
    given: dict[str, Any] = {"state": "ready", "footprint": 7}
    return ModelStatus(id="m", **(given | fields))


@pytest.mark.parametrize(
    ("path", "empty"), [("chat", {"messages": []}), ("generate", {}), ("embed", {"input": []})]
)
def test_a_request_without_a_prompt_loads_the_model(path: str, empty: dict[str, Any]) -> None:
    async def test() -> None:
        async with house() as here:
            answer = await here.ask(ollama(path, {"model": "m", "stream": False, **empty}))
            assert here.supervisor.granted == 1
            assert answer.json.get("done_reason") == (None if path == "embed" else "load")

    run(test)


@pytest.mark.parametrize(
    ("fields", "stopped"),
    [
        ({}, ["m"]),
        ({"in_flight": 1}, []),
        ({"waiting": 1}, []),
        ({"pinned": True}, []),
        ({"state": "starting"}, []),
    ],
)
def test_keep_alive_0_without_a_prompt_unloads_a_model_that_nothing_else_uses(
    fields: dict[str, Any], stopped: list[str]
) -> None:
    async def test() -> None:
        async with house(answering(STREAM)) as here:
            here.supervisor.statuses = (status(**fields),)
            answer = await here.ask(ollama("generate", {"model": "m", "prompt": "", "keep_alive": "0s"}))
            assert lines(answer)[-1]["done_reason"] == "unload"
            assert here.supervisor.stopped == stopped

    run(test)


def test_keep_alive_0_with_a_prompt_is_the_schedulers_to_carry_out() -> None:
    async def test() -> None:
        async with house(answering(STREAM)) as here:
            answer = await here.ask(ollama("generate", {"model": "m", "prompt": "hi", "keep_alive": "0s"}))
            assert lines(answer)[-1]["done_reason"] == "stop"
            assert here.supervisor.claims[-1].keep_alive == 0.0

    run(test)


def several() -> Catalogue:
    return catalogue(
        model("big", context_length=131072, source="org/Big-30B-A3B-FP8", vision=True, family="bigs"),
        model("off", status="disabled", reason="it crashes"),
        model("vectors", tasks=("embed",)),
    )


async def get(here: House, path: str, method: str = "GET") -> Answer:
    return await here.ask(f"{method} {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())


def test_the_lists_have_every_field_and_start_nothing() -> None:
    async def test() -> None:
        async with house(models=several(), ready=False) as here:
            tags = (await get(here, "/api/tags")).json["models"]
            assert (
                [tag["model"] for tag in tags] == [tag["name"] for tag in tags] == ["big", "vectors", "warm"]
            )
            for tag in tags:
                assert list(find_unmet(tag, TAG)) == []
            assert (await get(here, "/api/ps")).json == {"models": []}
            here.supervisor.statuses = (
                ModelStatus(id="big", state="ready", footprint=7, idle_seconds_left=60.0),
                ModelStatus(id="vectors", state="starting"),
            )
            (running,) = (await get(here, "/api/ps")).json["models"]
            assert list(find_unmet(running, RUNNING)) == []
            assert (running["name"], running["size_vram"], running["context_length"]) == ("big", 7, 131072)
            shown = await here.ask(ollama("show", {"name": "big:latest"}))
            assert list(find_unmet(shown.json, SHOW)) == []
            assert shown.json["capabilities"] == ["completion", "vision"]
            assert (await get(here, "/api/version")).json["version"].startswith("0.")
            assert here.supervisor.asked == []

    run(test)


@pytest.mark.parametrize("accepted", ["", "accept: */*\r\n", "accept: text/plain\r\n"])
def test_the_root_says_what_clients_of_ollama_look_for(accepted: str) -> None:
    raw = f"GET / HTTP/1.1\r\nhost: localhost\r\n{accepted}\r\n".encode()
    answer, _ = ask(raw)
    assert (answer.status, answer.body) == (200, b"Ollama is running")
    assert ask(raw.replace(b"GET", b"HEAD"))[0].status == 200


def test_a_pull_reports_the_progress_of_sparkds_own() -> None:
    async def test() -> None:
        models = catalogue(model("m", source="org/absent"))
        async with house(models=models) as here:
            finish = asyncio.Event()

            async def download() -> None:
                await finish.wait()

            here.supervisor.download = download
            here.supervisor.progress = Progress(step="downloading", done=10, total=40)
            reader, writer = await here.connect()
            writer.write(ollama("pull", {"model": "m"}))
            head = await reader.readuntil(b"\r\n\r\n")
            assert b"application/x-ndjson" in head
            await reader.readline()
            first = json.loads(await reader.readline())
            assert (first["total"], first["completed"]) == (40, 10)
            assert first["digest"].startswith("sha256:")
            assert first["status"] == f"pulling {first['digest'][7:19]}"
            finish.set()
            assert b'{"status":"success"}\n' in await reader.readuntil(b"0\r\n\r\n")
            assert here.supervisor.pulled == ["m"]
            writer.write(ollama("pull", {"name": "m", "stream": False}))
            assert (await read_answer(reader)).json == {"status": "success"}

    run(test)


def test_a_pull_that_fails_ends_with_an_error() -> None:
    async def test() -> None:
        async with house(models=catalogue(model("m", source="org/absent"))) as here:

            async def download() -> None:
                raise SparkdError("the hub is away")

            here.supervisor.download = download
            assert lines(await here.ask(ollama("pull", {"model": "m"}))) == [{"error": "the hub is away"}]
            answer = await here.ask(ollama("pull", {"model": "m", "stream": False}))
            assert (answer.status, answer.json) == (500, {"error": "the hub is away"})

    run(test)


def test_a_pull_of_what_is_on_disk_is_a_success_at_once() -> None:
    async def test() -> None:
        async with house() as here:
            assert lines(await here.ask(ollama("pull", {"model": "m"}))) == [{"status": "success"}]
            assert here.supervisor.pulled == []

    run(test)
