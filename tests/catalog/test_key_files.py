"""API keys: who gets in, and what the file may say."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparkd.catalog import Catalogue
from sparkd.catalog.reading.keys import Keys, read_keys
from sparkd.catalog.settings import Server, Settings
from sparkd.errors import CatalogueError, Unauthorized
from tests.gateway.engines import OK, Asked, answering, read_answer, request
from tests.gateway.gateways import house, run

KEYS = Keys([("ada", "sk-one"), ("line 2", "sk-zwei-ü")])


def in_folder(folder: Path, text: str | None) -> Catalogue:
    """A catalogue whose key file says this."""
    if text is not None:
        (folder / "keys").write_text(text)
    settings = Settings(server=Server(api_key_file="keys"))
    return Catalogue(path=folder / "models.toml", settings=settings, models={}, runtimes={})


@pytest.mark.parametrize(
    ("extra", "status"),
    [
        ("authorization: Bearer sk-one\r\n", 200),
        ("authorization: bearer  sk-one \r\n", 200),
        ("x-api-key: sk-one\r\n", 200),
        ("authorization: Bearer nonsense\r\nx-api-key: sk-one\r\n", 200),
        ("", 401),
        ("authorization: Bearer \r\n", 401),
        ("authorization: Bearer sk-on\r\n", 401),
        ("authorization: Bearer sk-one1\r\n", 401),
        ("authorization: Basic sk-one\r\n", 401),
        ("authorization: sk-one\r\n", 401),
        ("x-api-key: ada\r\n", 401),
    ],
)
def test_a_known_key_opens_the_door_and_nothing_else_does(extra: str, status: int) -> None:
    async def test() -> None:
        async with house(keys=KEYS) as here:
            answer = await here.ask(request(extra=extra))
            assert answer.status == status
            assert here.supervisor.asked == (["m"] if status == 200 else [])
            if status == 401:
                assert answer.code == "invalid_api_key"
                assert answer.header("www-authenticate") == "Bearer"

    run(test)


def test_the_key_is_checked_before_the_body_is_read() -> None:
    async def test() -> None:
        async with house(keys=KEYS) as here:
            reader, writer = await here.connect()
            writer.write(
                b"POST /v1/completions HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 9000000\r\n\r\n"
            )
            assert (await read_answer(reader)).status == 401

    run(test)


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET /healthz HTTP/1.1\r\n\r\n", 200),
        (b"GET /health HTTP/1.1\r\n\r\n", 200),
        (b"GET /ping HTTP/1.1\r\n\r\n", 200),
        (b"HEAD / HTTP/1.1\r\n\r\n", 200),
        (b"GET /v1 HTTP/1.1\r\n\r\n", 401),
        (b"GET /version HTTP/1.1\r\n\r\n", 401),
        (b"GET /v1/m/health HTTP/1.1\r\n\r\n", 401),
        (b"OPTIONS /v1/chat/completions HTTP/1.1\r\n\r\n", 204),
        (b"GET /v1/models HTTP/1.1\r\n\r\n", 401),
        (b"GET /v1/models/m HTTP/1.1\r\n\r\n", 401),
        (b"GET /nothing HTTP/1.1\r\n\r\n", 401),
        (b"POST /v1/sleep HTTP/1.1\r\n\r\n", 401),
    ],
)
def test_health_and_preflight_are_open_and_all_else_is_not(raw: bytes, status: int) -> None:
    async def test() -> None:
        async with house(keys=KEYS) as here:
            assert (await here.ask(raw)).status == status

    run(test)


@pytest.mark.parametrize("keys", [KEYS, Keys()])
def test_engines_see_a_key_only_where_sparkd_has_none(keys: Keys) -> None:
    seen: list[Asked] = []

    async def test() -> None:
        async with house(answering(OK, asked=seen), keys=keys) as here:
            await here.ask(request(extra="authorization: Bearer sk-one\r\nx-api-key: sk-one\r\n"))
        expected = None if keys.required else "sk-one"
        assert seen[0].header("x-api-key") == expected
        assert (seen[0].header("authorization") is None) is keys.required

    run(test)


def test_a_file_has_a_key_a_line_with_or_without_a_name(tmp_path: Path) -> None:
    text = "# who may ask\n\nada: sk-one\nsk-two\n  bob:   sk:three\n"
    keys = read_keys(in_folder(tmp_path, text))
    names = [keys.check({b"x-api-key": key}) for key in (b"sk-one", b"sk-two", b"sk:three")]
    assert names == ["ada", "line 4", "bob"]
    with pytest.raises(Unauthorized):
        keys.check({b"x-api-key": b"# who may ask"})


def test_a_key_may_have_colons_in_it(tmp_path: Path) -> None:
    assert read_keys(in_folder(tmp_path, "a:b:c\n")).check({b"x-api-key": b"a:b:c"}) == "line 1"


@pytest.mark.parametrize("text", [None, "", "# nothing\n\n", "ada:\n", "ada: \nsk-two\n"])
def test_a_file_that_is_missing_or_has_no_key_does_not_open_the_door(
    tmp_path: Path, text: str | None
) -> None:
    with pytest.raises(CatalogueError, match="api_key_file"):
        read_keys(in_folder(tmp_path, text))


def test_without_a_file_everybody_may_ask(tmp_path: Path) -> None:
    catalogue = Catalogue(path=tmp_path / "models.toml", settings=Settings(), models={}, runtimes={})
    assert read_keys(catalogue).check({}) is None
