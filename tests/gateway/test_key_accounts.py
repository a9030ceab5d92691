"""Roles and limits of API keys."""

from __future__ import annotations

import asyncio
import json
from types import MappingProxyType

import pytest

from sparkd.catalog import Catalogue
from sparkd.catalog.client import UNKNOWN_CLIENT
from sparkd.catalog.key_policy import KeyPolicy
from sparkd.catalog.settings import Settings
from sparkd.errors import KeyLimitReached, ModelStopped
from sparkd.gateway.key_accounts import KeyAccount, KeyAccounts
from sparkd.gateway.keys import Keys
from tests.gateway.engines import OK, answering, request
from tests.gateway.gateways import House, catalogue, house, model, run, until

KEYS = Keys([(name, f"sk-{name}") for name in ("owner", "ada", "bob", "line 4")])


def models(**policies: KeyPolicy) -> Catalogue:
    known = catalogue(model("m", aliases=("short",), source="org/m"), model("m2"), model("n"))
    return Catalogue(
        path=known.path,
        settings=Settings(),
        models=known.models,
        runtimes={},
        keys=MappingProxyType(policies),
    )


def by(name: str, path: str = "/v1/chat/completions", body: object = None, method: str = "POST") -> bytes:
    asked = {"model": "m", "messages": [{"role": "user", "content": "hi"}]} if body is None else body
    data = json.dumps(asked).encode() if method == "POST" else b""
    return request(data, path, method=method, extra=f"authorization: Bearer sk-{name}\r\n")


def test_a_burst_is_as_large_as_the_rate_and_then_requests_come_one_by_one() -> None:
    now = [100.0]
    account = KeyAccount("ada", lambda: now[0])
    account.use_policy(KeyPolicy(rate=6), None)
    for _ in range(6):
        account.acquire()
    with pytest.raises(KeyLimitReached) as refused:
        account.acquire()
    assert refused.value.retry_after == pytest.approx(10.0)
    now[0] += 9.0
    with pytest.raises(KeyLimitReached) as refused:
        account.acquire()
    assert refused.value.retry_after == pytest.approx(1.0)
    now[0] += 1.01
    account.acquire()
    assert account.in_flight == 7
    assert dict(account.headers())[b"x-ratelimit-remaining-requests"] == b"0"
    now[0] += 3600.0
    assert dict(account.headers())[b"x-ratelimit-remaining-requests"] == b"6"


def test_a_reload_forgets_nothing_that_is_in_use() -> None:
    accounts = KeyAccounts()
    accounts.use_catalogue(models(ada=KeyPolicy(max_in_flight=2)))
    account = accounts.find("ada")
    assert account is not None
    account.acquire()
    accounts.use_catalogue(models())
    assert accounts.find("ada") is None
    accounts.use_catalogue(models(ada=KeyPolicy(max_in_flight=1, models=("m*",))))
    assert accounts.find("ada") is account
    assert account.models == frozenset({"m", "m2"})
    with pytest.raises(KeyLimitReached):
        account.acquire()
    account.release()
    account.acquire()


@pytest.mark.parametrize("shortcut", [True, False])
def test_of_a_hundred_requests_at_once_exactly_as_many_wait_as_may(*, shortcut: bool) -> None:
    async def test() -> None:
        async with house(
            models=models(ada=KeyPolicy(max_in_flight=7)), keys=KEYS, ready=False, shortcut=shortcut
        ) as here:
            asking = [asyncio.create_task(here.ask(by("ada"))) for _ in range(100)]
            others = [asyncio.create_task(here.ask(by("bob"))) for _ in range(20)]
            await until(lambda: sum(task.done() for task in asking) == 93 and here.supervisor.waiting == 27)
            here.supervisor.ready.set()
            answers = await asyncio.gather(*asking)
            refused = [answer for answer in answers if answer.status == 429]
            assert len(refused) == 93
            assert {(answer.code, answer.header("retry-after")) for answer in refused} == {
                ("rate_limit_exceeded", "5")
            }
            assert {answer.status for answer in await asyncio.gather(*others)} == {200}
            for _ in range(10):
                assert (await here.ask(by("ada"))).status == 200

    run(test)


def test_a_rate_is_exact_over_many_connections() -> None:
    async def test() -> None:
        async with house(models=models(ada=KeyPolicy(rate=10)), keys=KEYS) as here:
            answers = await asyncio.gather(*(here.ask(by("ada")) for _ in range(40)))
            served = [answer for answer in answers if answer.status == 200]
            assert len(served) == 10
            assert {answer.header("x-ratelimit-limit-requests") for answer in served} == {"10"}
            left = [int(answer.header("x-ratelimit-remaining-requests") or -1) for answer in served]
            assert sorted(left) == list(range(10))
            refused = next(answer for answer in answers if answer.status == 429)
            assert 1 <= int(refused.header("retry-after") or 0) <= 6

    run(test)


async def leave_the_queue(here: House) -> None:
    _, writer = await here.connect()
    writer.write(by("ada"))
    await until(lambda: here.supervisor.waiting == 1)
    writer.close()
    await until(lambda: here.supervisor.waiting == 0)


async def be_refused(here: House) -> None:
    here.supervisor.refusal = ModelStopped("stopped")
    here.supervisor.ready.set()
    assert (await here.ask(by("ada"))).status == 503
    here.supervisor.refusal = None


async def load_for_ollama(here: House) -> None:
    here.supervisor.ready.set()
    assert (await here.ask(by("ada", "/api/generate", {"model": "m"}))).status == 200


@pytest.mark.parametrize("end", [leave_the_queue, be_refused, load_for_ollama])
def test_a_request_frees_its_place_however_it_ends(end: object) -> None:
    async def test() -> None:
        async with house(models=models(ada=KeyPolicy(max_in_flight=1)), keys=KEYS, ready=False) as here:
            await end(here)  # type: ignore[operator]
            here.supervisor.ready.set()
            assert (await here.ask(by("ada"))).status == 200

    run(test)


def test_an_engine_that_breaks_off_frees_the_place() -> None:
    broken = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"

    async def test() -> None:
        script = answering(broken, OK)
        async with house(script, models=models(ada=KeyPolicy(max_in_flight=1)), keys=KEYS) as here:
            _, writer = await here.connect()
            writer.write(by("ada"))
            await until(lambda: here.supervisor.granted == 1)
            writer.close()
            await until(lambda: here.supervisor.held == 0)
            assert (await here.ask(by("ada"))).status == 200

    run(test)


LIMITED = KeyPolicy(models=("short", "n*"))


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (by("ada"), 200),
        (by("ada", body={"model": "n"}), 200),
        (by("ada", body={"model": "m2"}), 403),
        (by("ada", "/v1/m2/chat/completions", {}), 403),
        (by("ada", "/v1/chat/completions?model=m2", {}), 403),
        (by("ada", "/api/chat", {"model": "m2", "messages": []}), 403),
        (by("ada", "/api/show", {"model": "m2"}), 403),
        (by("ada", "/v1/messages/count_tokens", {"model": "m2", "messages": []}), 403),
        (by("ada", "/v1/models/m2", method="GET"), 403),
        (by("ada", "/v1/m2/models", method="GET"), 403),
        (by("ada", "/v1/m2/health", method="GET"), 403),
        (by("ada", "/v1/models/short", method="GET"), 200),
        (by("bob", body={"model": "m2"}), 200),
    ],
)
def test_a_key_uses_only_its_models(raw: bytes, status: int) -> None:
    async def test() -> None:
        async with house(models=models(ada=LIMITED), keys=KEYS) as here:
            answer = await here.ask(raw)
            assert answer.status == status
            if status == 403:
                assert not here.supervisor.asked
                assert b'may use \\"m\\", \\"n\\"' in answer.body or b'may use "m", "n"' in answer.body

    run(test)


def test_a_form_for_another_model_is_refused() -> None:
    form = b'--x\r\ncontent-disposition: form-data; name="model"\r\n\r\nm2\r\n--x--\r\n'
    head = (
        "POST /v1/audio/transcriptions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer sk-ada\r\n"
        f"content-type: multipart/form-data; boundary=x\r\ncontent-length: {len(form)}\r\n\r\n"
    )
    raw = head.encode() + form

    async def test() -> None:
        async with house(models=models(ada=LIMITED), keys=KEYS) as here:
            assert (await here.ask(raw)).status == 403

    run(test)


def test_lists_have_only_the_models_of_the_key() -> None:
    async def test() -> None:
        async with house(models=models(ada=LIMITED), keys=KEYS) as here:
            for name, expected in (("ada", ["m", "n"]), ("bob", ["m", "m2", "n"])):
                listed = (await here.ask(by(name, "/v1/models", method="GET"))).json["data"]
                assert [entry["id"] for entry in listed] == expected
                tags = (await here.ask(by(name, "/api/tags", method="GET"))).json["models"]
                assert len(tags) == len(expected)

    run(test)


@pytest.mark.parametrize(("name", "may"), [("owner", True), ("ada", False), ("line 4", False)])
def test_only_operators_pull_and_unload(name: str, *, may: bool) -> None:
    async def test() -> None:
        async with house(models=models(owner=KeyPolicy(role="operate"), ada=KeyPolicy()), keys=KEYS) as here:
            for path, body in (
                ("/api/pull", {"model": "m", "stream": False}),
                ("/api/generate", {"model": "m", "keep_alive": 0}),
            ):
                answer = await here.ask(by(name, path, body))
                assert answer.status == (200 if may else 403)
                if not may:
                    assert '"operate"' in answer.json["error"]
            assert bool(here.supervisor.pulled) is may

    run(test)


def test_without_keys_every_client_may_operate() -> None:
    async def test() -> None:
        async with house(models=models(owner=KeyPolicy(role="operate"))) as here:
            answer = await here.ask(request(b'{"model":"m","stream":false}', "/api/pull"))
            assert (answer.status, here.supervisor.pulled) == (200, ["m"])

    run(test)


def test_a_policy_says_how_requests_are_treated() -> None:
    account = KeyAccount("ada")
    assert account.client is UNKNOWN_CLIENT
    account.use_policy(KeyPolicy(priority="low", heartbeat="off", background=True), None)
    client = account.client
    assert (client.priority, client.heartbeat, client.background) == ("low", "off", True)
