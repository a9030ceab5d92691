"""Who gets what: hosts, origins and content types, with keys and without."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest

from sparkd.catalog.reading.keys import Keys
from sparkd.catalog.settings import Server, Settings
from sparkd.gateway.admission.access import Access
from tests.gateway.engines import OK, Asked, answering
from tests.gateway.gateways import House, catalogue, house, model, run

KEYS = Keys([("ada", "sk-one")])
BODY = b'{"model":"m"}'
NAME = socket.gethostname().partition(".")[0]
PATHS = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/messages",
    "/v1/embeddings",
    "/tokenize",
)

Opened = Callable[[], AbstractAsyncContextManager[House]]


def post(
    *headers: str, kind: str = "application/json", path: str = "/v1/chat/completions", version: str = "1.1"
) -> bytes:
    """A request with exactly these headers, besides those of its body."""
    lines = [f"POST {path} HTTP/{version}", *headers, f"content-length: {len(BODY)}"]
    lines += [f"content-type: {kind}"] if kind else []
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + BODY


def opened(*, keys: Keys | None = None, hosts: tuple[str, ...] = (), origins: tuple[str, ...] = ()) -> Opened:
    settings = Settings(server=Server(hosts=hosts, origins=origins))
    return lambda: house(models=catalogue(model("m"), settings=settings), keys=keys)


def outcome(raw: bytes, house_of: Opened) -> tuple[int, str | None]:
    """Status and code of the answer. A request that was rejected has asked for no model."""
    found: list[tuple[int, str | None]] = []

    async def test() -> None:
        async with house_of() as here:
            answer = await here.ask(raw)
            assert here.supervisor.asked == (["m"] if answer.status == 200 else [])
            found.append((answer.status, answer.code if answer.status >= 400 else None))

    run(test)
    return found[0]


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:8009",
        "LOCALHOST:8009",
        "localhost.",
        "sparkd.localhost:1",
        "127.0.0.1:8009",
        "127.9.9.9",
        "[::1]:8009",
        "[::1]",
        "[0:0:0:0:0:0:0:1]:8009",
        "[::ffff:127.0.0.1]",
        "[::1%25lo]:8009",
        "0.0.0.0:8009",
        "[::]:8009",
        NAME,
        f"{NAME.upper()}.local:8009",
        "xn--bcher-kva.localhost",
        "",
    ],
)
def test_a_name_that_means_this_machine_is_served(host: str) -> None:
    assert outcome(post(f"host: {host}"), opened()) == (200, None)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8009",
        "EVIL.example.",
        "localhost.evil.example",
        "evil-localhost",
        "127.0.0.1.evil.example",
        "127.0.0.1.nip.io",
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "10.0.0.1:8009",
        "169.254.169.254",
        "[2001:db8::1]:8009",
        "[fe80::1%eth0]:8009",
        "xn--bcher-kva.example",
        f"{NAME}.evil.example",
        "host.docker.internal:8009",
    ],
)
def test_any_other_name_is_rejected_before_a_start(host: str) -> None:
    assert outcome(post(f"host: {host}"), opened()) == (403, "access_denied")


@pytest.mark.parametrize(
    "host",
    [
        "user@localhost",
        "localhost:8009@evil.example",
        "localhost/evil",
        "local host",
        "localhost:port",
        "localhost:8009:8009",
        "localhost,evil.example",
        "[::1",
        "::1",
        "[localhost]",
        "bücher.localhost",
        "localhost..",
        "a" * 400,
    ],
)
def test_a_host_that_is_not_valid_is_a_bad_request(host: str) -> None:
    assert outcome(post(f"host: {host}"), opened()) == (400, "invalid_request")


@pytest.mark.parametrize("keys", [None, KEYS])
@pytest.mark.parametrize("name", ["host", "origin"])
def test_several_hosts_or_origins_are_a_bad_request(keys: Keys | None, name: str) -> None:
    twice = (f"{name}: http://localhost" if name == "origin" else "host: localhost",) * 2
    assert outcome(post(*twice, "x-api-key: sk-one"), opened(keys=keys)) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("target", "host", "status"),
    [
        ("http://localhost:8009/v1/completions", "evil.example", 200),
        ("http://evil.example/v1/completions", "localhost", 403),
        ("http://evil.example/v1/completions", "", 403),
        ("http://user@localhost/v1/completions", "localhost", 400),
    ],
)
def test_the_host_of_a_target_that_is_a_whole_url_counts(target: str, host: str, status: int) -> None:
    assert outcome(post(f"host: {host}", path=target), opened())[0] == status


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_program_that_sends_no_host_is_served_because_browsers_always_send_one(version: str) -> None:
    assert outcome(post(version=version), opened()) == (200, None)


@pytest.mark.parametrize(
    ("hosts", "host", "status"),
    [
        (("spark.lan",), "spark.lan:8009", 200),
        (("spark.lan:9",), "Spark.LAN.", 200),
        (("spark.lan",), "a.spark.lan", 403),
        (("*.lan",), "a.b.lan", 200),
        (("*.lan",), "lan", 403),
        (("*.lan",), "evillan", 403),
        (("*",), "evil.example", 200),
        (("10.0.0.1", "fd00::1"), "10.0.0.1:8009", 200),
        (("10.0.0.1", "fd00::1"), "[FD00:0::1]:8009", 200),
        (("bücher.example",), "xn--bcher-kva.example", 200),
        (("host.docker.internal",), "host.docker.internal:8009", 200),
    ],
)
def test_the_owner_lists_further_hosts(hosts: tuple[str, ...], host: str, status: int) -> None:
    assert outcome(post(f"host: {host}"), opened(hosts=hosts))[0] == status


ALLOWED = (
    "http://localhost",
    "http://localhost:3000",
    "https://LOCALHOST:3000",
    "http://127.0.0.1:8080",
    "http://[::1]:3000",
    "http://0.0.0.0:3000",
    "http://tauri.localhost",
    f"http://{NAME}.local:3000",
    "tauri://localhost",
    "capacitor://localhost",
    "ionic://localhost",
    "app://obsidian.md",
    "vscode-webview://0a1b2c3d4e",
    "vscode-file://vscode-app",
    "file://",
)
FOREIGN = (
    "http://evil.example",
    "https://evil.example:8009",
    "http://localhost.evil.example",
    "http://localhost@evil.example",
    "http://evil.example#localhost",
    "http://10.0.0.1:8009",
    "null",
    "",
    "localhost",
    "chrome-extension://abcdefgh",
    "moz-extension://0a1b",
    "https://localhost evil.example",
    "https://" + "a" * 400,
)


@pytest.mark.parametrize("origin", ALLOWED)
@pytest.mark.parametrize("keys", [None, KEYS])
def test_a_page_of_this_machine_or_of_a_desktop_program_may_ask_and_read(
    origin: str, keys: Keys | None
) -> None:
    async def test() -> None:
        async with opened(keys=keys)() as here:
            raw = post("host: localhost", f"origin: {origin}", "x-api-key: sk-one")
            for shortcut in (True, False):
                here.server.config.shortcut = here.gateway.forward_now if shortcut else None
                answer = await here.ask(raw)
                assert answer.status == 200
                assert answer.header("access-control-allow-origin") == origin
            asked = await here.ask(
                b"OPTIONS /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\norigin: %s\r\n"
                b"access-control-request-headers: authorization\r\naccess-control-request-private-network: true\r\n\r\n"
                % origin.encode()
            )
            assert asked.status == 204
            assert asked.header("access-control-allow-origin") == origin
            assert asked.header("access-control-allow-headers") == "authorization"
            assert asked.header("access-control-allow-private-network") == "true"

    run(test)


@pytest.mark.parametrize("origin", FOREIGN)
def test_a_foreign_page_is_rejected_with_every_content_type_and_in_a_preflight(origin: str) -> None:
    async def test() -> None:
        async with opened()() as here:
            for kind in ("application/json", "text/plain", ""):
                answer = await here.ask(post("host: localhost", f"origin: {origin}", kind=kind))
                assert (answer.status, answer.code) == (403, "access_denied")
                assert answer.header("access-control-allow-origin") is None
                assert answer.header("vary") == "Origin"
            asked = await here.ask(
                f"OPTIONS /v1/completions HTTP/1.1\r\nhost: localhost\r\norigin: {origin}\r\n\r\n".encode()
            )
            assert asked.status == 403
            assert asked.header("access-control-allow-origin") is None
            assert here.supervisor.asked == []

    run(test)


@pytest.mark.parametrize("origin", FOREIGN)
def test_with_a_key_a_foreign_page_is_served_but_may_not_read(origin: str) -> None:
    async def test() -> None:
        async with opened(keys=KEYS)() as here:
            answer = await here.ask(post("host: evil.example", f"origin: {origin}", "x-api-key: sk-one"))
            assert answer.status == 200
            assert answer.header("access-control-allow-origin") is None
            assert (await here.ask(post(f"origin: {origin}"))).status == 401

    run(test)


@pytest.mark.parametrize("keys", [None, KEYS])
@pytest.mark.parametrize(
    ("origins", "origin", "allowed"),
    [
        (("https://chat.lan",), "https://chat.lan", True),
        (("https://chat.lan:443",), "https://chat.lan", True),
        (("https://chat.lan",), "http://chat.lan", False),
        (("https://chat.lan",), "https://chat.lan:444", False),
        (("http://*.lan:*",), "http://a.b.lan:3000", True),
        (("http://*.lan:*",), "http://a.lan", True),
        (("http://*.lan:*",), "http://a.lan.evil.example", False),
        (("chrome-extension://*",), "chrome-extension://abcdefgh", True),
        (("null",), "null", True),
        (("*",), "https://evil.example", True),
        (("*",), "null", True),
    ],
)
def test_the_owner_lists_further_origins(
    origins: tuple[str, ...], origin: str, allowed: bool, keys: Keys | None
) -> None:
    async def test() -> None:
        async with opened(keys=keys, origins=origins)() as here:
            answer = await here.ask(post("host: localhost", f"origin: {origin}", "x-api-key: sk-one"))
            assert answer.status == (200 if allowed or keys else 403)
            assert answer.header("access-control-allow-origin") == (origin if allowed else None)

    run(test)


@pytest.mark.parametrize(
    ("headers", "kind", "status"),
    [
        ((), "text/plain", 200),  # curl with a content type
        ((), "application/x-www-form-urlencoded", 200),  # curl -d
        ((), "", 200),
        (("sec-fetch-site: none",), "application/json", 200),
        (("sec-fetch-site: same-origin",), "application/json", 200),
        (("sec-fetch-site: cross-site",), "application/json", 403),
        (("sec-fetch-site: cross-site", "origin: vscode-webview://1"), "application/json", 200),
        (("origin: http://localhost:3000",), "text/plain", 403),
        (("origin: http://localhost:3000",), "Text/Plain; charset=utf-8", 403),
        (("origin: http://localhost:3000",), "application/x-www-form-urlencoded", 403),
        (("origin: http://localhost:3000",), "", 403),
        (("origin: http://localhost:3000",), "application/json; charset=utf-8", 200),
    ],
)
def test_a_page_must_send_what_its_browser_asks_for_first(
    headers: tuple[str, ...], kind: str, status: int
) -> None:
    assert outcome(post("host: localhost", *headers, kind=kind), opened())[0] == status


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "headers", [("host: evil.example",), ("host: localhost", "origin: http://evil.example")]
)
def test_every_api_is_closed_and_answers_in_its_own_form(path: str, headers: tuple[str, ...]) -> None:
    async def test() -> None:
        async with opened()() as here:
            answer = await here.ask(post(*headers, path=path))
            assert (answer.status, here.supervisor.asked) == (403, [])
            assert (b'"type":"error"' in answer.body) is (path == "/v1/messages")
            assert b"server.api_key_file" in answer.body
            assert b"server.hosts" in answer.body or b"server.origins" in answer.body

    run(test)


@pytest.mark.parametrize(
    ("line", "extra", "status"),
    [
        ("GET /v1/models", "", 403),
        ("GET /v1/models/m", "", 403),
        ("GET /nothing", "", 403),
        ("POST /v1/sleep", "", 403),
        ("GET /v1/realtime", "connection: upgrade\r\nupgrade: websocket\r\n", 403),
        ("OPTIONS /v1/models", "", 403),
        ("GET /healthz", "", 200),
    ],
)
def test_only_the_health_check_is_open_to_any_name(line: str, extra: str, status: int) -> None:
    async def test() -> None:
        async with opened()() as here:
            raw = f"{line} HTTP/1.1\r\nhost: evil.example\r\n{extra}\r\n".encode()
            assert (await here.ask(raw)).status == status

    run(test)


def test_an_address_of_the_connection_is_served_because_it_cannot_be_rebound() -> None:
    access = Access(Server(), Keys(), "spark.evil.example")
    for host, local, allowed in (
        (b"192.168.1.5:8009", "192.168.1.5", True),
        (b"192.168.1.5:8009", "::ffff:192.168.1.5", True),
        (b"192.168.1.6:8009", "192.168.1.5", False),
        (b"[fe80::1]:8009", "fe80::1%eth0", True),
        (b"spark:8009", "192.168.1.5", True),
        (b"spark.local", "192.168.1.5", True),
        (b"spark.evil.example", "192.168.1.5", False),
    ):
        assert (access._parse_and_check_host(host, (local, 8009)) is None) is allowed, host
    assert access._parse_and_check_page(b"http://192.168.1.5:3000", ("192.168.1.5", 8009))
    assert not access._parse_and_check_page(b"http://192.168.1.6:3000", ("192.168.1.5", 8009))


def test_what_clients_make_up_is_not_kept() -> None:
    async def test() -> None:
        async with opened()() as here:
            for number in range(600):
                await here.ask(post(f"host: h{number}.example", f"origin: http://o{number}.example"))
            assert here.gateway.access._check_host.cache_info().currsize == 256
            assert here.gateway.access._is_allowed_page.cache_info().currsize == 256

    run(test)


def test_engines_see_neither_origin_nor_key() -> None:
    seen: list[Asked] = []

    async def test() -> None:
        async with house(answering(OK, asked=seen), keys=KEYS) as here:
            raw = post("host: localhost", "origin: http://localhost", "api-key: sk-one", "x-api-key: no")
            assert (await here.ask(raw)).status == 200

    run(test)
    assert [seen[0].header(name) for name in ("origin", "api-key", "x-api-key")] == [None, None, None]


@pytest.mark.parametrize("origin", ["", "localhost", "http://localhost:3000, http://other", "http://a b"])
def test_an_origin_that_is_none_is_not_suggested_for_the_settings(origin: str) -> None:
    async def test() -> None:
        async with house() as here:
            answer = await here.ask(post("host: localhost", f"origin: {origin}"))
            assert (answer.status, answer.code) == (403, "access_denied")
            assert "is not valid" in answer.json["error"]["message"]
            assert "server.origins" not in answer.json["error"]["message"]

    run(test)
