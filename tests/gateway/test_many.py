"""Many at once: each gets its own answer, whatever the others do."""

from __future__ import annotations

import asyncio
import gc
import random
import tracemalloc

from sparkd.catalog.reading.keys import Keys
from tests.gateway.engines import OK, SSE, answering, chunk, read_answer, read_request, request
from tests.gateway.gateways import House, catalogue, house, model, run, until


def test_a_hundred_requests_at_once_are_all_answered() -> None:
    async def test() -> None:
        async with house(ready=False) as here:
            asking = [asyncio.ensure_future(here.ask(request())) for _ in range(100)]
            await until(lambda: here.supervisor.waiting == 100)
            here.supervisor.ready.set()
            assert [(await answer).status for answer in asking] == [200] * 100
            assert here.supervisor.granted == 100

    run(test)


def test_a_thousand_waiting_clients_leave_others_served() -> None:
    async def test() -> None:
        async with house(ready=False) as here:
            for _ in range(1000):
                _, writer = await here.connect()
                writer.write(request())
            await until(lambda: here.supervisor.waiting == 1000)
            assert (await here.ask(b"GET /v1/models HTTP/1.1\r\n\r\n")).status == 200
            for writer in here.clients:
                writer.close()
            await until(lambda: here.supervisor.waiting == 0)

    run(test)


def test_ten_thousand_models_cost_a_request_nothing() -> None:
    async def timed(here: House) -> float:
        reader, writer = await here.connect()
        loop = asyncio.get_running_loop()
        started = loop.time()
        for _ in range(300):
            writer.write(request(b'{"model":"m7"}'))
            await read_answer(reader)
        return loop.time() - started

    async def test() -> None:
        many = catalogue(*(model(f"m{n}") for n in range(10_000)))
        async with house(answering(OK)) as small, house(answering(OK), models=many) as large:
            small.gateway.serve(catalogue(model("m7")), Keys())
            pairs = [(await timed(small), await timed(large)) for _ in range(5)]
            few, lot = (min(side) for side in zip(*pairs, strict=True))
            assert lot < few * 1.5

    run(test)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer with the request's own mark, as often as it asks for, streamed or whole, slowly or at once."""
    while True:
        asked = await read_request(reader)
        mark, times, streamed, pause = (asked.header("x-echo") or "").split()
        data = f"data: {mark}\n\n".encode()
        if streamed == "0":
            body = data * int(times)
            await asyncio.sleep(float(pause))
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()
            continue
        writer.write(SSE)
        for _ in range(int(times)):
            writer.write(chunk(data))
            await writer.drain()
            await asyncio.sleep(float(pause))
        writer.write(chunk(b""))
        if int(times) % 7 == 0:
            return  # an engine may close after any answer


def test_answers_are_never_mixed_up_while_clients_come_and_go_at_random() -> None:
    chance = random.Random(7)
    served = 0

    async def client(here: House, name: int) -> None:
        nonlocal served
        reader, writer = await here.connect()
        for turn in range(12):
            mark = f"{name}.{turn}"
            times = chance.choice([0, 1, 2, 7, 30, 3000])
            streamed = chance.choice([0, 1])
            pause = chance.choice([0, 0, 0.001]) if times < 100 else 0
            body = b'{"model":"m","x":"' + b"x" * chance.choice([0, 10, 100_000]) + b'"}'
            writer.write(request(body, extra=f"x-echo: {mark} {times} {streamed} {pause}\r\n"))
            if chance.random() < 0.3:
                await asyncio.sleep(chance.random() * 0.01)
                writer.transport.abort()
                reader, writer = await here.connect()
                continue
            answer = await read_answer(reader)
            assert answer.status == 200, answer
            assert answer.body == f"data: {mark}\n\n".encode() * times
            served += 1

    async def test() -> None:
        async with house(echo) as here:
            await asyncio.gather(*(client(here, name) for name in range(40)))
            await until(lambda: here.supervisor.held == 0)
            assert served > 200

    run(test)


def test_paths_and_queries_that_clients_make_up_are_not_kept() -> None:
    async def test() -> None:
        async with house(keys=Keys([("owner", "sk-right")])) as here:
            await here.ask(request())  # imports what the first request imports
            tracemalloc.start()
            for number in range(80):
                path = b"/v1/%d%s/chat/completions?a=%s" % (number, b"%C3%A9" * 5000, b"b" * 20_000)
                assert (await here.ask(b"GET " + path + b" HTTP/1.1\r\n\r\n")).status == 401
            gc.collect()
            kept, _ = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert kept < 2 * 2**20

    run(test)
