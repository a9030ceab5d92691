"""Forms, which name their model in a field, wherever in the form that is."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from tests.gateway.engines import (
    OK,
    Asked,
    answering,
    chunk,
    read_answer,
    read_body,
    read_request,
)
from tests.gateway.gateways import house, run

WAV = bytes(range(256)) * 2000


def form(*, model_last: bool = False, name: str = "org/alias", boundary: str = "x-Y_z") -> bytes:
    """A form with a file and a model, as curl or the OpenAI client would send it."""
    file = (
        b'Content-Disposition: form-data; name="file"; filename="model.wav"\r\nContent-Type: audio/wav\r\n\r\n'
        + WAV
    )
    field = f'content-disposition: form-data; name="model"\r\n\r\n{name}'.encode()
    parts = [file, field] if model_last else [field, file]
    mark = f"--{boundary}\r\n".encode()
    return mark + (b"\r\n" + mark).join(parts) + f"\r\n--{boundary}--\r\n".encode()


def form_head(length: int, boundary: str = "x-Y_z", path: str = "/v1/audio/transcriptions") -> bytes:
    """The head of a request with such a form."""
    kind = f"Content-Type: Multipart/Form-Data; boundary={boundary}"
    return f"POST {path} HTTP/1.1\r\n{kind}\r\ncontent-length: {length}\r\n\r\n".encode()


@pytest.mark.parametrize("boundary", ["x-Y_z", '"x y"'])
@pytest.mark.parametrize("model_last", [False, True])
def test_a_form_names_its_model_in_a_field_which_becomes_the_id(model_last: bool, boundary: str) -> None:
    seen: list[Asked] = []

    async def test() -> None:
        async with house(answering(OK, asked=seen)) as here:
            body = form(model_last=model_last, boundary=boundary.strip('"'))
            assert (await here.ask(form_head(len(body), boundary) + body)).status == 200
            assert seen[0].body == body.replace(b"org/alias", b"m")
            assert here.supervisor.asked == ["m"]

    run(test)


def test_the_path_names_the_model_whatever_the_form_says() -> None:
    seen: list[Asked] = []

    async def test() -> None:
        async with house(answering(OK, asked=seen)) as here:
            for name in ("org/alias", "unknown"):
                body = form(name=name)
                head = form_head(len(body), path="/v1/m/audio/transcriptions")
                assert (await here.ask(head + body)).status == 200
                assert seen[-1].body == form(name="m")
            body = form(name="x").replace(b'"model"', b'"other"')
            assert (
                await here.ask(form_head(len(body), path="/v1/m/audio/transcriptions") + body)
            ).status == 200
            assert seen[-1].body == body

    run(test)


def test_a_form_may_come_in_chunks_cut_anywhere() -> None:
    seen: list[Asked] = []
    body = form(model_last=True)

    async def test() -> None:
        async with house(answering(OK, asked=seen)) as here:
            reader, writer = await here.connect()
            head = form_head(0).replace(b"content-length: 0", b"transfer-encoding: chunked")
            writer.write(head)
            at = 0
            for size in (1, 2, 3, 50, 200_000, 311_900, *([1] * 300), 10_000):
                if piece := body[at : at + size]:
                    writer.write(chunk(piece))
                    await asyncio.sleep(0)
                at += size
            writer.write(chunk(b""))
            assert (await read_answer(reader)).status == 200
            assert seen[0].body == body.replace(b"org/alias", b"m")

    run(test)


def test_the_file_of_a_form_reaches_the_engine_while_it_is_still_coming() -> None:
    begun = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await read_request(reader, body=False)
        await reader.readuntil(b"model.wav")
        begun.set()
        await read_body(
            reader, Asked("", [("content-length", str(int(asked.header("content-length") or 0) - 198))])
        )
        writer.write(OK)

    async def test() -> None:
        async with house(script) as here:
            _, writer = await here.connect()
            body = form(name="m")
            writer.write(form_head(len(body)) + body[:1000])
            async with asyncio.timeout(1):
                await begun.wait()
            assert here.supervisor.held == 1

    run(test)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (form(name="nosuch"), 404),
        (form(name=""), 400),
        (form().replace(b'name="model"', b'name="other"'), 400),
        (b"--x-Y_z--\r\n", 400),
        (b"no form at all", 400),
        (form(name="m" * 5000), 400),
        (b"--x-Y_z\r\n" + b"x: y\r\n" * 5000, 400),
    ],
)
def test_a_form_without_a_usable_model_starts_nothing(body: bytes, status: int) -> None:
    async def test() -> None:
        async with house() as here:
            answer = await here.ask(form_head(len(body)) + body)
            assert (answer.status, answer.json["error"]["param"] in ("model", None)) == (status, True)
            assert here.supervisor.asked == []

    run(test)


def test_the_openai_clients_way_of_sending_a_form_is_understood() -> None:
    seen: list[Asked] = []

    async def test() -> None:
        async with house(answering(OK, asked=seen)) as here, httpx.AsyncClient(base_url=here.url) as client:
            answer = await client.post(
                "/v1/audio/transcriptions",
                data={"model": "short"},
                files={"file": ("a.wav", WAV, "audio/wav")},
            )
            assert answer.status_code == 200
        assert WAV in seen[0].body
        assert b'name="model"\r\n\r\nm\r\n' in seen[0].body

    run(test)
