"""The gateway's API on the control socket: without a key, with the owner's rights, for sparkd's own page only."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from starlette.applications import Starlette

from sparkd.catalog.key_rules import KeyRules
from sparkd.catalog.reading.keys import Keys
from sparkd.control.errors import EXCEPTION_HANDLERS
from sparkd.control.owner_gateway import OwnerGateway
from sparkd.gateway.connections.server import HttpServer
from sparkd.page.files import FileStore
from sparkd.page.owner import OwnerPage
from sparkd.page.port import PortPage
from tests.gateway.engines import OK, Answer, Asked, answering, read_answer, request
from tests.gateway.gateways import House, catalogue, house, model, run, until

KEYS = Keys([("ada", "sk-ada")])
HI = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}]}).encode()


class Owner:
    """The control socket beside a gateway."""

    def __init__(self, path: Path, gateway: OwnerGateway, server: HttpServer) -> None:
        self.path = path
        self.gateway = gateway
        self.server = server

    async def ask(self, raw: bytes) -> Answer:
        reader, writer = await asyncio.open_unix_connection(str(self.path))
        writer.write(raw)
        try:
            return await read_answer(reader)
        finally:
            writer.close()


@contextlib.asynccontextmanager
async def owner_of(here: House) -> AsyncIterator[Owner]:
    gateway = OwnerGateway(here.gateway)
    control = Starlette(routes=gateway.routes(), exception_handlers=EXCEPTION_HANDLERS)
    server = HttpServer(OwnerPage(control, FileStore()))
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        path = Path(folder) / "control.sock"
        listener.bind(str(path))
        listener.listen()
        listener.setblocking(False)
        await server.start([listener])
        try:
            yield Owner(path, gateway, server)
        finally:
            await server.close()


def post(path: str, extra: str = "", body: bytes = HI) -> bytes:
    return request(body, path, "POST", extra)


def test_the_owner_needs_no_key_and_the_engine_sees_the_plain_path() -> None:
    async def test() -> None:
        asked: list[Asked] = []
        async with house(answering(OK, asked=asked), keys=KEYS) as here, owner_of(here) as owner:
            assert (await here.ask(post("/v1/chat/completions"))).status == 401
            answer = await owner.ask(post("/v1/chat/completions"))
            assert answer.status == 200
            assert answer.header("x-request-id")
            assert asked[0].line.split()[1] == "/v1/chat/completions"
            listed = await owner.ask(request(b"", "/v1/models", "GET"))
            assert [each["id"] for each in listed.json["data"]] == ["m"]

    run(test)


def test_the_owner_may_use_every_model_and_operate() -> None:
    async def test() -> None:
        limited = catalogue(
            model("m"), model("n"), keys=[KeyRules(name="owner", models=("n",), rate=1, role="ask")]
        )
        async with house(models=limited, keys=KEYS) as here, owner_of(here) as owner:
            for _ in range(3):
                assert (await owner.ask(post("/v1/chat/completions"))).status == 200
            loaded = await owner.ask(post("/v1/models/load", body=b'{"model": "m"}'))
            assert loaded.json["success"] is True

    run(test)


def test_other_pages_are_rejected_before_anything_starts() -> None:
    async def test() -> None:
        async with house() as here, owner_of(here) as owner:
            for extra in ("origin: http://evil.example\r\n", "sec-fetch-site: cross-site\r\n"):
                answer = await owner.ask(post("/v1/chat/completions", extra))
                assert (answer.status, answer.code) == (403, "access_denied")
            rebound = post("/v1/chat/completions").replace(b"host: localhost", b"host: evil.example")
            assert (await owner.ask(rebound)).status == 403
            assert here.supervisor.granted == 0

    run(test)


@pytest.mark.parametrize("dest", ["document", "iframe", "script", "image"])
def test_a_response_cannot_be_opened_as_a_page(dest: str) -> None:
    async def test() -> None:
        async with house() as here, owner_of(here) as owner:
            extra = f"sec-fetch-site: same-origin\r\nsec-fetch-dest: {dest}\r\n"
            assert (await owner.ask(request(b"", "/v1/m/metrics", "GET", extra))).status == 403
            assert here.supervisor.granted == 0

    run(test)


def test_who_reads_the_page_by_the_port_does_not_get_the_owners_rights() -> None:
    async def test() -> None:
        async with house(
            keys=KEYS, models=catalogue(model("m"), keys=[KeyRules(name="ada", role="view")])
        ) as here:
            control = Starlette(
                routes=OwnerGateway(here.gateway).routes(), exception_handlers=EXCEPTION_HANDLERS
            )
            here.gateway.add_routes([PortPage(here.gateway, control, FileStore())])
            ada = "authorization: Bearer sk-ada\r\n"
            for path in ("/ui/api/v1/models", "/ui/api/v1/m/metrics", "/ui/api//v1/models"):
                answer = await here.ask(request(b"", path, "GET", ada))
                assert answer.status in (403, 404), path
            assert here.supervisor.granted == 0

    run(test)


def test_errors_have_the_gateways_form_and_a_waiting_stream_gets_heartbeats() -> None:
    async def test() -> None:
        async with house(ready=False) as here, owner_of(here) as owner:
            missing = await owner.ask(post("/v1/chat/completions", body=b'{"model": "x", "messages": [{}]}'))
            assert (missing.status, missing.code) == (404, "model_not_found")
            asking = asyncio.create_task(owner.ask(post("/v1/chat/completions")))
            await until(lambda: here.supervisor.waiting == 1)
            here.supervisor.ready.set()
            assert (await asking).status == 200

    run(test)


def test_a_server_that_stops_waits_for_the_owners_requests_and_then_cuts_them() -> None:
    async def test() -> None:
        async with house(ready=False) as here, owner_of(here) as owner:
            server = HttpServer(here.gateway, elsewhere=owner.gateway)
            await asyncio.wait_for(server.drained(), 1)
            asking = asyncio.create_task(owner.ask(post("/v1/chat/completions")))
            await until(lambda: here.supervisor.waiting == 1)
            draining = asyncio.create_task(server.drained())
            await asyncio.sleep(0.05)
            assert not draining.done()
            await server.close()
            await until(lambda: here.supervisor.waiting == 0)
            await asyncio.wait_for(draining, 5)
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError, ValueError)):
                await asking

    run(test)
