"""A real sparkd on several addresses, without keys: names, pages, and warnings."""

from __future__ import annotations

import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Build
from tests.e2e.sparkd_process import SparkdProcess, engine, wait_until
from tests.e2e.test_reload import text, write

HAND_OVER = "exec env LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=clients:clients {sparkd} 3<&{one} 4<&{other}"


def check_both(port: int) -> None:
    for host in ("127.0.0.1", "[::1]"):
        assert httpx.get(f"http://{host}:{port}/v1/models").status_code == 200


def test_localhost_is_both_addresses_also_after_a_reexec(build: Build) -> None:
    sparkd = build({"a": engine()}, server={"listen": "localhost:0"})
    expected = (f"127.0.0.1:{sparkd.port}", f"[::1]:{sparkd.port}")
    assert sparkd.status().listen == expected
    check_both(sparkd.port)
    text(sparkd, "a")
    for _ in range(2):
        assert sparkd.sparkctl("reexec").returncode == 0, sparkd.log()
        assert sparkd.status().listen == expected
        check_both(sparkd.port)
    assert sparkd.status().exposed == ()
    assert "without an API key" not in sparkd.log()


def test_the_port_of_ollama_is_open_if_it_is_set_also_after_a_reexec(build: Build) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = {"listen": "127.0.0.1:0", "ollama_listen": f"127.0.0.1:{port}"}
    sparkd = build({"a": engine()}, server=server)
    assert sparkd.status().listen == (f"127.0.0.1:{sparkd.port}", f"127.0.0.1:{port}")
    for _ in range(2):
        for url in (sparkd.url, f"http://127.0.0.1:{port}"):
            assert httpx.get(url).text == "Ollama is running"
            assert [each["model"] for each in httpx.get(f"{url}/api/tags").json()["models"]] == ["a"]
        assert sparkd.sparkctl("reexec").returncode == 0, sparkd.log()
    write(sparkd, {"a": engine()}, server={**server, "ollama_listen": "localhost:0"})
    assert "server.ollama_listen: cannot change while sparkd runs" in sparkd.sparkctl("reload").stderr


def test_several_sockets_that_a_service_manager_has_opened_are_served(folder: Path) -> None:
    sparkd = SparkdProcess(folder, {"models": {"a": engine()}, "server": {"listen": "127.0.0.1:1"}})
    with socket.create_server(("127.0.0.1", 0)) as one:
        port = one.getsockname()[1]
        with socket.create_server(("::1", port), family=socket.AF_INET6) as other:
            command = shlex.join([sys.executable, "-m", "sparkd", "--catalogue", str(sparkd.catalogue)])
            start = HAND_OVER.format(sparkd=command, one=one.fileno(), other=other.fileno())
            process = subprocess.Popen(
                ["bash", "-c", start], pass_fds=(one.fileno(), other.fileno()), stderr=subprocess.DEVNULL
            )
            try:
                wait_until("it serves", (folder / "run" / "control.sock").exists)
                check_both(port)
                assert sparkd.sparkctl("reexec").returncode == 0
                check_both(port)
            finally:
                process.send_signal(signal.SIGTERM)
                assert process.wait(60) == 0


@pytest.mark.parametrize("header", [{"host": "evil.example:8009"}, {"origin": "http://evil.example"}])
def test_a_web_page_of_another_site_starts_nothing_until_it_is_listed(
    build: Build, header: dict[str, str]
) -> None:
    sparkd = build({"a": engine()})
    body = {"model": "a", "messages": [{"role": "user", "content": "one two three"}]}
    url = f"{sparkd.url}/v1/chat/completions"
    answer = httpx.post(url, json=body, headers=header)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "access_denied")
    assert sparkd.model("a").state == "stopped"
    listed: dict[str, Any] = {"hosts": ["evil.example"], "origins": ["http://evil.example"]}
    write(sparkd, {"a": engine()}, server={**listed, "listen": "127.0.0.1:0"})
    assert sparkd.sparkctl("reload").returncode == 0
    assert httpx.post(url, json=body, headers=header, timeout=60).status_code == 200


def test_a_port_that_is_open_without_keys_is_reported_at_the_start_and_after_a_reload(
    build: Build, folder: Path
) -> None:
    (folder / "keys").write_text("owner: sk-one\n")
    with pytest.raises(AssertionError, match="is in use"):  # 0.0.0.0 includes 127.0.0.1
        build({"a": engine()}, server={"listen": ["localhost:0", "0.0.0.0:0"]})
    server = {"listen": "0.0.0.0:0", "api_key_file": "keys"}
    sparkd = build({"a": engine()}, server=server)
    assert "without an API key" not in sparkd.log()
    write(sparkd, {"a": engine()}, server={"listen": "0.0.0.0:0"})
    assert sparkd.sparkctl("reload").returncode == 0
    warning = f"Other machines can use sparkd at 0.0.0.0:{sparkd.port} without an API key."
    assert sparkd.log().count(warning) == 1
    assert f"warning: {warning}" in sparkd.sparkctl("status").stdout.replace("\n", " ")
    assert sparkd.sparkctl("reexec").returncode == 0
    assert sparkd.log().count(warning) == 2
