"""Every unusable value is reported in one line: file, key, value, the expected value, and a suggestion."""

from typing import get_args

import pytest

from sparkd.catalog.addresses import exposed_addresses, is_local, listen_addresses, parse_listen
from sparkd.catalog.labels import Tag
from sparkd.catalog.messages import join_with_or
from sparkd.catalog.sizes import format_size, parse_size
from tests.catalog.folder import VLLM, Folder

TAGS = sorted(get_args(Tag))
MODEL = f"[models.m]\n{VLLM}"


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("20 GiB", 20 * 2**30),
        ("20GiB", 20 * 2**30),
        ("1.5 TiB", 3 * 2**39),
        ("512 MiB", 2**29),
        ("4 KiB", 4096),
        ("20 GB", 20 * 10**9),
        ("1 kB", 1000),
        ("7 B", 7),
        ("0 GiB", 0),
    ],
)
def test_sizes_are_written_with_their_unit(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "20", "20G", "20 gib", "-1 GiB", "1e3 MiB", " 1 GiB", "1 GiB\n", "\u0661 GiB", "1,5 GiB"]
)
def test_what_is_not_surely_a_size_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(text)


@pytest.mark.parametrize("size", [0, 1, 1023, 1024, 2**30, 20 * 2**30, 3 * 2**39, 2**40])
def test_a_size_as_text_is_parsed_back(size: int) -> None:
    assert parse_size(format_size(size)) == size


@pytest.mark.parametrize(
    ("listen", "host", "port"),
    [
        ("127.0.0.1:8009", "127.0.0.1", 8009),
        ("0.0.0.0:0", "0.0.0.0", 0),
        ("[::1]:65535", "::1", 65535),
        ("localhost:80", "localhost", 80),
        ("spark-01.home:8009", "spark-01.home", 8009),
    ],
)
def test_an_address_to_listen_on_has_a_host_and_a_port(listen: str, host: str, port: int) -> None:
    assert parse_listen(listen) == (host, port)


@pytest.mark.parametrize(
    "listen",
    [
        "",
        "8009",
        ":8009",
        "0.0.0.0",
        "0.0.0.0:",
        "::1:80",
        "[::1]",
        "[::x]:1",
        "1.2.3:80",
        "256.1.1.1:80",
        "a:65536",
        "a b:1",
    ],
)
def test_anything_else_is_not_an_address(listen: str, folder: Folder) -> None:
    with pytest.raises(ValueError, match=r"is not host:port|has no valid IP address"):
        parse_listen(listen)
    assert folder.problems(f'[server]\nlisten = "{listen}"') == [
        f'models.toml: server.listen = "{listen}": expected host:port, such as "127.0.0.1:8009" or "[::1]:8009"'
    ]


@pytest.mark.parametrize(
    ("listen", "addresses"),
    [
        ("localhost:8009", [("127.0.0.1", 8009), ("::1", 8009)]),
        ("LOCALHOST:1", [("127.0.0.1", 1), ("::1", 1)]),
        (
            ["localhost:1", "127.0.0.1:1", "172.17.0.1:1"],
            [("127.0.0.1", 1), ("::1", 1), ("172.17.0.1", 1)],
        ),
    ],
)
def test_localhost_is_both_loopback_addresses_and_each_is_opened_once(
    listen: str | list[str], addresses: list[tuple[str, int]]
) -> None:
    assert listen_addresses(listen) == addresses


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "localhost:1", "/run/socket"])
def test_an_address_of_this_machine_alone_is_known(address: str) -> None:
    assert is_local(address)


def test_addresses_that_other_machines_reach_are_known() -> None:
    exposed = ("0.0.0.0:1", "[::]:1", "192.168.1.2:1", "172.17.0.1:1", "spark.lan:1")
    assert exposed_addresses((*exposed, "[::1]:1")) == exposed


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("listen = []", "listen = []: expected at least one address"),
        (
            'listen = ["localhost:1", "here"]',
            'listen = "here": expected host:port, such as "127.0.0.1:8009" or "[::1]:8009"',
        ),
        *(
            (
                f'hosts = ["a", "{host}"]',
                f'hosts = "{host}": expected a name or an address, such as "spark.lan"',
            )
            for host in ("http://a", "", "a b", "a*", "*.10.0.0.1", "user@a", "[a]")
        ),
        *(
            (
                f'origins = ["{origin}"]',
                f'origins = "{origin}": expected scheme://host:port without a path, such as "https://chat.lan"',
            )
            for origin in (
                "chat.lan",
                "https://a/",
                "https://a:x",
                "https://a:99999",
                "https://*a",
                "http://:80",
                "http://",
                "",
            )
        ),
        ("hosts = 'a'", 'hosts = "a": expected a list of strings'),
    ],
)
def test_an_address_a_name_or_an_origin_that_is_none_is_reported(
    text: str, problem: str, folder: Folder
) -> None:
    assert folder.problems(f"[server]\n{text}") == [f"models.toml: server.{problem}"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "[queue]\non_busy = 'wiat'",
            'queue.on_busy = "wiat": expected "reject" or "wait"; did you mean "wait"?',
        ),
        ("[queue]\non_busy = 1", 'queue.on_busy = 1: expected "reject" or "wait"'),
        ("[queue]\nmax_wait = nan", "queue.max_wait = nan: expected seconds, a number from 0 to 1000000000"),
        ("[queue]\nmax_wait = inf", "queue.max_wait = inf: expected seconds, a number from 0 to 1000000000"),
        ("[queue]\nmax_wait = -1", "queue.max_wait = -1: expected seconds, a number from 0 to 1000000000"),
        (
            "[queue]\nmax_wait = true",
            "queue.max_wait = true: expected seconds, a number from 0 to 1000000000",
        ),
        (
            "[queue]\nmax_wait = '5 s'",
            'queue.max_wait = "5 s": expected seconds, a number from 0 to 1000000000',
        ),
        ("[queue]\nmax_length = 0", "queue.max_length = 0: expected a whole number from 1 to 2147483647"),
        ("[queue]\nmax_length = 1.0", "queue.max_length = 1.0: expected a whole number from 1 to 2147483647"),
        (
            "[server]\nmax_body = '64M'",
            'server.max_body = "64M": expected a size such as "20 GiB", or a number of bytes; did you mean "64 MiB"?',
        ),
        (
            "[server]\nmax_body = -5",
            'server.max_body = -5: expected a size such as "20 GiB", or a number of bytes',
        ),
        (
            "[server]\nmax_body = 1.5",
            'server.max_body = 1.5: expected a size such as "20 GiB", or a number of bytes',
        ),
        ("[server]\nlisten = 8009", "server.listen = 8009: expected a string or a list of strings"),
        (
            "[server]\nlisten = 1979-05-27T07:32:00Z",
            "server.listen = 1979-05-27 07:32:00+00:00: expected a string or a list of strings",
        ),
        (
            "[paths]\nrun = '~/run'",
            'paths.run = "~/run": expected a path, absolute or relative to this file ("~" is not expanded)',
        ),
        ("[paths]\nrun = ''", 'paths.run = "": expected a path, absolute or relative to this file'),
        (
            f"{MODEL}engine = 'vlm'",
            'models.m.engine = "vlm": expected "command", "sglang" or "vllm"; did you mean "vllm"?',
        ),
        (
            f"{MODEL}lifecycle = 'Normal'",
            'models.m.lifecycle = "Normal": expected "exclusive", "normal" or "utility"; did you mean "normal"?',
        ),
        (f"{MODEL}pinned = 'yes'", 'models.m.pinned = "yes": expected true or false'),
        (f"{MODEL}aliases = 'a'", 'models.m.aliases = "a": expected a list of strings'),
        (f"{MODEL}aliases = ['a', 1]", 'models.m.aliases = ["a", 1]: expected a list of strings'),
        (
            f"{MODEL}tags = ['chat', 'coding']",
            f'models.m.tags = ["chat", "coding"]: expected a list of {join_with_or(TAGS)}; did you mean "code"?',
        ),
        (
            f"{MODEL}tags = ['chat', 1]",
            f'models.m.tags = ["chat", 1]: expected a list of {join_with_or(TAGS)}',
        ),
        (f"{MODEL}tags = 'chat'", f'models.m.tags = "chat": expected a list of {join_with_or(TAGS)}'),
        (
            f"{MODEL}status = 'valid'",
            (
                'models.m.status = "valid": expected "disabled", "experimental", "manual" or "validated"; '
                'did you mean "validated"?'
            ),
        ),
        (
            f"{MODEL}clients.cline.context = 0",
            "models.m.clients.cline.context = 0: expected a whole number from 1 to 2147483647",
        ),
        (f"{MODEL}clients.cline = 5", "models.m.clients.cline = 5: expected a table"),
        (f"{MODEL}environment = {{ A = 1 }}", "models.m.environment.A = 1: expected a string"),
        (f"{MODEL}environment = ['A']", 'models.m.environment = ["A"]: expected a table of strings'),
        (
            f'{MODEL}environment = {{ A = "x\\u0000" }}',
            'models.m.environment.A = "x\\u0000": expected a string without a NUL character',
        ),
        (
            f"{MODEL}options = {{ a = 07:32:00 }}",
            "models.m.options.a = 07:32:00: expected a string, a number, true or false, or a list of these",
        ),
        (
            f"{MODEL}options = {{ a = [[1]] }}",
            "models.m.options.a = [[1]]: expected a string, a number, true or false, or a list of these",
        ),
        (f"{MODEL}options = {{ a = inf }}", "models.m.options.a = inf: expected a finite number"),
        (f"{MODEL}options = {{ a = [1, nan] }}", "models.m.options.a = [1, nan]: expected a finite number"),
        ("server = 3", "server = 3: expected a table"),
        ("[[server]]\nlisten = 'a:1'", 'server = [{ listen = "a:1" }]: expected a table'),
        ("[models]\nm = 3", "models.m = 3: expected a table"),
        ("models = []", "models = []: expected a table of tables"),
    ],
)
def test_a_wrong_value_is_reported_with_what_was_expected(text: str, problem: str, folder: Folder) -> None:
    assert folder.problems(text) == [f"models.toml: {problem}"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[server]\nlistn = 1", 'server.listn = 1: unknown key; did you mean "listen"?'),
        ("[server]\nfoo = {}", "server.foo = {}: unknown key"),
        ("[serve]\nlisten = 'a:1'", 'serve = { listen = "a:1" }: unknown table; did you mean "server"?'),
        (
            "[model.m]\npinned = true",
            'model = { m = { pinned = true } }: unknown table; did you mean "models"?',
        ),
        ("listen = 'a:1'", 'listen = "a:1": unknown key; it belongs in [server]'),
        ("memry = 1", 'memry = 1: unknown key; did you mean "memory"?'),
        (f"{MODEL}max_wait = 3", "models.m.max_wait = 3: unknown key; it belongs in [queue]"),
        (
            f"{MODEL}contxt_length = 4",
            'models.m.contxt_length = 4: unknown key; did you mean "context_length"?',
        ),
        (
            "[queue]\nidle_timeout = 3",
            "queue.idle_timeout = 3: unknown key; it belongs in [defaults] or [models.<id>]",
        ),
        (
            f"{MODEL}enabled = false",
            'models.m.enabled = false: unknown key; to disable a model, set status = "disabled" and reason = "…"',
        ),
        (
            f"{MODEL}disabled_reason = 'x'",
            'models.m.disabled_reason = "x": unknown key; set status = "disabled" and reason = "…"',
        ),
        (f"{MODEL}clients.zed.context = 1", "models.m.clients.zed = { context = 1 }: unknown key"),
        (
            f"{MODEL}clients.cline.contxt = 1",
            'models.m.clients.cline.contxt = 1: unknown key; did you mean "context"?',
        ),
        (f"{MODEL}id = 'x'", 'models.m.id = "x": unknown key'),
        ('[server]\n"a b\\n" = 1', 'server."a b\\n" = 1: unknown key'),
    ],
)
def test_an_unknown_key_is_reported_with_the_nearest_one(text: str, problem: str, folder: Folder) -> None:
    assert folder.problems(text) == [f"models.toml: {problem}"]


def test_a_name_that_toml_split_at_its_dot_is_reported_completely(folder: Folder) -> None:
    assert folder.problems(f"[models.qwen2.5-7b]\n{VLLM}") == [
        'models.toml: models.qwen2: put a name with a dot in quotes: [models."qwen2.5-7b"]'
    ]
    assert folder.problems(f"[models.llama-3.1.2]\n{VLLM}") == [
        'models.toml: models.llama-3: put a name with a dot in quotes: [models."llama-3.1.2"]'
    ]
    assert folder.problems("[changes.a.b]\npinned = true") == [
        'models.toml: changes.a: put a name with a dot in quotes: [changes."a.b"]'
    ]


def test_a_long_value_is_cut_in_the_line_about_it(folder: Folder) -> None:
    (problem,) = folder.problems(f"[server]\nfoo = '{'x' * 5000}'")
    assert problem == f'models.toml: server.foo = "{"x" * 58}…: unknown key'


def test_deeply_nested_values_are_reported_too(folder: Folder) -> None:
    (problem,) = folder.problems(f"[server]\n{'a.' * 5000}a = 1")
    assert problem == "models.toml: server.a = { a = { a = { a = { … } } } }: unknown key"


def test_every_problem_of_every_file_is_reported_at_once(folder: Folder) -> None:
    folder.write("models.d/a.toml", "[queue]\nmax_wait = 'x'")
    folder.write("models.d/b.toml", "oops")
    folder.write("venvs/gpu/runtime.toml", "pyton = '3'")
    assert folder.problems(
        f"[server]\nlisten = 1\nport = 2\n[models.a]\n{VLLM}memory = []\nstatus = 'disabled'"
    ) == [
        "models.d/b.toml: is not TOML: Expected '=' after a key in a key/value pair (at end of document)",
        "models.toml: server.listen = 1: expected a string or a list of strings",
        "models.toml: server.port = 2: unknown key",
        'models.toml: models.a.memory = []: expected a size such as "20 GiB", or a number of bytes',
        'models.d/a.toml: queue.max_wait = "x": expected seconds, a number from 0 to 1000000000',
        'venvs/gpu/runtime.toml: pyton = "3": unknown key; did you mean "python"?',
        'models.toml: models.a.status = "disabled": a disabled model needs a reason, because rejected requests get it',
    ]
