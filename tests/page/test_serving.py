"""What is served below /ui/, to which clients, and with which headers: by HTTP, without a browser."""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sparkd.page.files import hash_import_map, read_files
from tests.e2e.conftest import Build
from tests.e2e.sparkd_process import SparkdProcess, engine
from tests.page.forwarder import forward

KEYS = {"owner": "operate", "watcher": "view", "app": "ask"}


@pytest.fixture(scope="module")
def sparkd() -> Iterator[SparkdProcess]:
    """One sparkd for all tests that only ask."""
    with tempfile.TemporaryDirectory(prefix="sparkd-page-") as folder:
        process = SparkdProcess(Path(folder), {"models": {"small": engine(aliases=["org/name"])}})
        process.start()
        yield process
        assert process.stop() == 0, process.log()


@pytest.fixture
def keyed(build: Build, folder: Path) -> SparkdProcess:
    """A sparkd with API keys of every role, each its own name twice, and one without a table."""
    names = [*KEYS, "plain"]
    (folder / "keys").write_text("".join(f"{name}: {name}{name}\n" for name in names))
    rules = {name: {"role": role} for name, role in KEYS.items()}
    return build({"small": engine()}, server={"listen": "127.0.0.1:0", "api_key_file": "keys"}, keys=rules)


@pytest.fixture(scope="module")
def owner(sparkd: SparkdProcess) -> Iterator[httpx.Client]:
    """A client of the control socket, as by `ssh -L`."""
    with (
        forward(sparkd.folder / "run" / "control.sock") as port,
        httpx.Client(base_url=f"http://localhost:{port}", timeout=60) as client,
    ):
        yield client


def send(port: int, text: str) -> tuple[int, bytes]:
    """Send a request as it is, with a path that no client library would send; return status and body."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(text.replace("\n", "\r\n").encode())
        received = b""
        while data := connection.recv(65536):
            received += data
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


# Files


def test_the_page_is_served_with_a_strict_policy(owner: httpx.Client) -> None:
    answer = owner.get("/ui/")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'")
    assert "unsafe" not in policy
    assert "require-trusted-types-for 'script'" in policy
    assert "frame-ancestors 'none'" in policy
    for name, value in {
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "x-frame-options": "DENY",
    }.items():
        assert answer.headers[name] == value
    assert "camera=()" in answer.headers["permissions-policy"]
    assert "access-control-allow-origin" not in answer.headers


def test_a_file_is_compressed_and_checked_again(owner: httpx.Client) -> None:
    answer = owner.get("/ui/", headers={"accept-encoding": "gzip"})
    plain = owner.get("/ui/", headers={"accept-encoding": "gzip;q=0, br"})
    assert answer.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert answer.content == plain.content
    assert answer.headers["etag"] != plain.headers["etag"]
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.headers["cache-control"] == "no-cache"
    for tag in (answer.headers["etag"], f'"other", W/{answer.headers["etag"]}', "*"):
        again = owner.get("/ui/", headers={"accept-encoding": "gzip", "if-none-match": tag})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == answer.headers["etag"]
        assert "content-security-policy" in again.headers


def test_head_has_no_body(owner: httpx.Client) -> None:
    answer = owner.head("/ui/")
    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["content-length"]) > 0


@pytest.mark.parametrize("path", ["/ui", "/"])
def test_addresses_without_the_slash_lead_to_the_page(
    sparkd: SparkdProcess, owner: httpx.Client, path: str
) -> None:
    for base in (str(owner.base_url), sparkd.url):
        answer = httpx.get(base + path, headers={"accept": "text/html"})
        assert (answer.status_code, answer.headers["location"]) == (307, "ui/")
        assert httpx.get(f"{base}{path}", headers={"accept": "text/html"}, follow_redirects=True).is_success


def test_programs_still_get_the_overview_at_the_root(sparkd: SparkdProcess) -> None:
    assert "sparkd serves" in httpx.get(sparkd.url, headers={"accept": "application/json"}).json()["message"]
    assert httpx.get(sparkd.url).text == "Ollama is running"


@pytest.mark.parametrize(
    "path",
    [
        "/ui/../page/files.py",
        "/ui/..%2f..%2fapp.py",
        "/ui/%2e%2e/files.py",
        "/ui/%2e%2e%2f%2e%2e%2fapp.py",
        "/ui/..\\files.py",
        "/ui//etc/passwd",
        "/ui/%00",
        "/ui/index.html%00.js",
        "/ui/./index.html/..",
        "/ui/static/index.html",
        "/ui/vendor",
        "/ui/vendor/",
        "/ui/%ff",
    ],
)
def test_nothing_but_the_files_of_the_page_is_served(
    sparkd: SparkdProcess, owner: httpx.Client, path: str
) -> None:
    for port in (sparkd.port, owner.base_url.port):
        assert port is not None
        status, body = send(port, f"GET {path} HTTP/1.1\nhost: localhost\nconnection: close\n\n")
        assert status in (400, 404), body
        assert b"import " not in body
        assert b"root:" not in body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_files_can_only_be_read(sparkd: SparkdProcess, owner: httpx.Client, method: str) -> None:
    for base in (str(owner.base_url), sparkd.url):
        assert httpx.request(method, f"{base}/ui/").status_code == 405


def test_only_files_with_a_known_type_are_served(tmp_path: Path) -> None:
    (tmp_path / "vendor" / "x-1").mkdir(parents=True)
    for name in ("a.js", "a.py", ".hidden.js", "vendor/x-1/LICENSE", "vendor/x-1/x.mjs", "b.css~"):
        (tmp_path / name).write_text("x = 1\n" * 100)
    (tmp_path / "link.js").symlink_to("/etc/passwd")
    found = read_files(tmp_path).by_path
    assert set(found) == {"a.js", "vendor/x-1/LICENSE", "vendor/x-1/x.mjs"}
    assert found["vendor/x-1/x.mjs"].is_forever
    assert not found["a.js"].is_forever
    assert gzip.decompress(found["a.js"].gzipped or b"") == found["a.js"].body


def test_the_import_map_is_allowed_by_its_digest() -> None:
    page = b'<head><script type="importmap">\n{"imports": {}}\n</script></head>'
    digest = base64.b64encode(hashlib.sha256(b'\n{"imports": {}}\n').digest()).decode()
    assert hash_import_map(page) == f"sha256-{digest}"
    assert hash_import_map(b"<html>") == ""


# The control socket


@pytest.mark.parametrize("path", ["/status", "/ui/api/status"])
def test_programs_use_the_control_api_as_before(owner: httpx.Client, path: str) -> None:
    assert owner.get(path).json()["version"]
    assert owner.get(path, headers={"host": "sparkd"}).is_success
    answer = owner.post(f"{path.removesuffix('status')}models/org%2Fname/retry", headers={"host": "sparkd"})
    assert answer.json()["id"] == "small"
    assert answer.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 403),  # DNS rebinding
        ({"host": "evil.example:8010"}, 403),
        ({"host": "localhost.evil.example"}, 403),
        ({"host": "192.168.1.7:8010"}, 403),
        ({"host": "a b"}, 400),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://localhost:3000"}, 403),  # another program on the owner's computer
        ({"origin": "http://127.0.0.1"}, 403),
        ({"origin": "chrome-extension://abc"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}, 403),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}, 403),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({"host": "[::1]:8010"}, 200),
        ({"host": "127.0.0.1:8010"}, 200),
        ({"host": "me.localhost"}, 200),
    ],
)
@pytest.mark.parametrize("path", ["/status", "/ui/api/status"])
def test_only_the_page_itself_may_use_the_control_api(
    owner: httpx.Client, path: str, headers: dict[str, str], status: int
) -> None:
    answer = owner.get(path, headers=headers)
    assert answer.status_code == status, answer.text
    assert "access-control-allow-origin" not in answer.headers


def test_an_action_of_a_browser_needs_a_header_of_its_own(owner: httpx.Client) -> None:
    here = {"origin": str(owner.base_url).rstrip("/"), "sec-fetch-site": "same-origin"}
    for path in ("/models/small/retry", "/ui/api/models/small/retry"):
        assert owner.post(path, headers=here).status_code == 403
        assert owner.post(path, headers={"sec-fetch-site": "same-origin"}).status_code == 403
        assert owner.post(path, headers={**here, "x-sparkd-request": "1"}).is_success
        # A form of another site cannot send the header, and has its own origin.
        assert owner.post(path, headers={"origin": "https://evil.example"}).status_code == 403
        preflight = owner.options(
            path,
            headers={"origin": "https://evil.example", "access-control-request-headers": "x-sparkd-request"},
        )
        assert preflight.status_code == 403
        assert not [name for name in preflight.headers if name.startswith("access-control")]


def test_a_link_to_the_page_may_be_followed(owner: httpx.Client) -> None:
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert owner.get("/ui/", headers=link).is_success
    assert owner.get("/ui/", headers={**link, "sec-fetch-dest": "iframe"}).status_code == 403
    assert owner.get("/ui/", headers={**link, "host": "evil.example"}).status_code == 403


def test_a_forwarded_port_has_no_name_that_another_machine_could_have(owner: httpx.Client) -> None:
    assert owner.get("/status", headers={"host": "sparkd"}).is_success  # as programs address the socket
    assert owner.get("/status", headers={"host": "sparkd:8010"}).status_code == 403


def test_several_hosts_are_rejected(owner: httpx.Client) -> None:
    assert owner.base_url.port
    head = "GET /status HTTP/1.1\nhost: localhost\nhost: evil.example\nconnection: close\n\n"
    assert send(owner.base_url.port, head)[0] == 400
    whole = "GET http://evil.example/status HTTP/1.1\nhost: localhost\nconnection: close\n\n"
    assert send(owner.base_url.port, whole)[0] == 403


# The port of the clients


def test_without_keys_the_page_can_be_read_on_this_machine(sparkd: SparkdProcess) -> None:
    assert httpx.get(f"{sparkd.url}/ui/").is_success
    assert httpx.get(f"{sparkd.url}/ui/api/status").json()["version"]
    assert httpx.get(f"{sparkd.url}/ui/api/models/org/name").json()["id"] == "small"


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"origin": "https://evil.example"},
        {"origin": "http://localhost:3000"},  # may use the models, but not see the page
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_without_keys_other_pages_cannot_read_it(sparkd: SparkdProcess, headers: dict[str, str]) -> None:
    for path in ("/ui/api/status", "/ui/api/events", "/ui/api/models/small"):
        answer = httpx.get(sparkd.url + path, headers=headers)
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers


def test_actions_are_rejected_with_the_way_to_them(sparkd: SparkdProcess) -> None:
    for method, path in (
        ("POST", "/models/small/load"),
        ("POST", "/reload"),
        ("DELETE", "/models/small/files"),
    ):
        answer = httpx.request(method, f"{sparkd.url}/ui/api{path}", headers={"x-sparkd-request": "1"})
        assert answer.status_code == 403
        assert "ssh -L 8010:/run/sparkd/control.sock" in answer.json()["error"]["message"]
    assert sparkd.model("small").state == "stopped"


def test_paths_of_the_owner_are_not_on_the_port(sparkd: SparkdProcess) -> None:
    assert httpx.get(f"{sparkd.url}/ui/api/captures").status_code == 403
    assert httpx.get(f"{sparkd.url}/status").status_code == 404


def test_a_key_needs_a_role(keyed: SparkdProcess) -> None:
    def read(key: str) -> Any:
        answer = httpx.get(
            f"{keyed.url}/ui/api/status", headers={"authorization": f"Bearer {key}"} if key else {}
        )
        return answer.status_code, answer.json().get("error", {}).get("message", "")

    assert httpx.get(f"{keyed.url}/ui/").is_success  # the page itself asks for a key
    assert read("")[0] == read("wrong")[0] == 401
    assert read("ownerowner")[0] == read("watcherwatcher")[0] == 200
    for key in ("appapp", "plainplain"):
        status, message = read(key)
        assert status == 403
        assert 'role = "view"' in message
        assert "[keys.<name>]" in message
    assert httpx.get(f"{keyed.url}/ui/api/status", headers={"x-api-key": "watcherwatcher"}).is_success
    answer = httpx.post(f"{keyed.url}/ui/api/models/small/load", headers={"x-api-key": "ownerowner"})
    assert answer.status_code == 403


def test_a_page_of_another_origin_cannot_use_a_key(keyed: SparkdProcess) -> None:
    headers = {"x-api-key": "ownerowner", "origin": "http://localhost:3000"}
    assert httpx.get(f"{keyed.url}/ui/api/status", headers=headers).status_code == 403


def test_without_keys_other_machines_cannot_read_it(build: Build) -> None:
    address = own_address()
    sparkd = build({"small": engine()}, server={"listen": f"{address}:0"})
    base = f"http://{address}:{sparkd.port}"
    assert httpx.get(f"{base}/v1/models").is_success
    answer = httpx.get(f"{base}/ui/api/status")
    assert answer.status_code == 403
    assert "server.api_key_file" in answer.json()["error"]["message"]


@pytest.mark.parametrize("name", ["x-forwarded-for", "forwarded", "via"])
def test_without_keys_a_proxy_cannot_show_it_to_others(sparkd: SparkdProcess, name: str) -> None:
    answer = httpx.get(f"{sparkd.url}/ui/api/status", headers={name: "192.168.1.7"})
    assert answer.status_code == 403
    assert "server.api_key_file" in answer.json()["error"]["message"]


def test_the_page_can_be_switched_off(build: Build, forwarded: Callable[[SparkdProcess], str]) -> None:
    sparkd = build({"small": engine()}, server={"listen": "127.0.0.1:0", "page": False})
    for path in ("/ui/", "/ui/api/status"):
        answer = httpx.get(sparkd.url + path)
        assert answer.status_code == 404
        assert "[server] page" in answer.json()["error"]["message"]
    assert "message" in httpx.get(sparkd.url, headers={"accept": "text/html,application/json"}).json()
    assert httpx.get(f"{forwarded(sparkd)}/ui/").is_success
    text = sparkd.catalogue.read_text().replace("page = false", "page = true")
    sparkd.catalogue.write_text(text)
    assert sparkd.sparkctl("reload").returncode == 0
    assert httpx.get(f"{sparkd.url}/ui/").is_success


def own_address() -> str:
    """An address of this machine that is not a loopback address. No packet is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        address: str = probe.getsockname()[0]
        return address


def test_no_file_of_the_page_loads_anything_from_elsewhere(owner: httpx.Client) -> None:
    page = owner.get("/ui/").text
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', page)
