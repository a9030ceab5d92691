"""What each key may read and do on the port of clients: every path of the control API, with secrets everywhere."""

from __future__ import annotations

import sys
from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import Build, runtime
from tests.e2e.sparkd_process import BAD_ENGINE, SparkdProcess
from tests.e2e.warm_runtime import WarmRuntime

__all__ = ["runtime"]

SECRET = "hf_s3cr3t"
KEYS = {"watcher": "watcher-key-1", "owner": "owner-key-22", "bob": "bob-key-333"}

PATHS = (
    *(
        "status",
        "events",
        "doctor",
        "log?lines=10000&level=debug",
        "requests/active",
        "captures",
        "captures/1",
    ),
    *("requests", "requests.csv", "usage", "usage.csv", "history", "history/summary", "measurements"),
    *("catalogue", "catalogue/starts", "catalogue/starts?override=small", "catalogue/edits/1"),
    *("catalogue/models.toml", "catalogue/models.d/own.toml", "models", "files", "holds", "clients"),
    *("clients/opencode?model=small&key=bob", "clients/python?model=small&key=bob"),
    *(
        f"models/{model}{part}"
        for model in ("small", "large")
        for part in ("", "/options", "/plan", "/loads", "/files", "/logs", "/runs")
    ),
)
"""Below `/ui/api/`."""

OWN = f"""
[changes.small]
environment = {{ HTTPS_PROXY = "http://user:{SECRET}@proxy", HF_TOKEN = "{SECRET}", OTHER = "{SECRET}" }}
[changes.large.options]
otlp-traces-endpoint = "http://user:{SECRET}@host"
# password: {SECRET}
"""


@pytest.fixture
def sparkd(build: Build, folder: Path, runtime: WarmRuntime) -> SparkdProcess:
    """A sparkd with keys, and with secrets wherever a catalogue may have them."""
    (folder / "keys").write_text("".join(f"{name}: {key}\n" for name, key in KEYS.items()))
    (folder / "models.d").mkdir()
    (folder / "models.d" / "own.toml").write_text(OWN)
    flags = ("--socket", "{socket}", "--model", "{model}", "--api-key", SECRET, f"--hf-token={SECRET}")
    command = [sys.executable, str(BAD_ENGINE), *flags]  # it does not know the last two, and fails
    return build(
        {
            "small": {"engine": "command", "command": command, "memory": "1 GiB"},
            "large": runtime.model(memory="1 GiB"),
        },
        server={"listen": "127.0.0.1:0", "api_key_file": "keys"},
        keys={"watcher": {"role": "view"}, "owner": {"role": "operate"}},
        paths=runtime.paths,
    )


def read(sparkd: SparkdProcess, path: str, key: str = "") -> tuple[int, str]:
    """The status and the text; of the event stream, its beginning."""
    headers = {"authorization": f"Bearer {key}"} if key else {}
    url = f"{sparkd.url}/ui/api/{path}"
    with httpx.stream("GET", url, headers=headers, timeout=60) as answer:
        text = ""
        for part in answer.iter_text():
            text += part
            if path == "events" and "in_flight" in text:
                break
        return answer.status_code, text


def test_every_path_needs_a_key_that_may_see_it_and_shows_no_secret(sparkd: SparkdProcess) -> None:
    for model in ("small", "large"):
        headers = {"authorization": f"Bearer {KEYS['bob']}"}
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
        httpx.post(f"{sparkd.url}/v1/chat/completions", json=body, headers=headers, timeout=60)
    secrets = (SECRET, *KEYS.values())
    shown = []
    for path in PATHS:
        assert read(sparkd, path)[0] == 401, path
        assert read(sparkd, path, KEYS["bob"])[0] == 403, path
        for name in ("watcher", "owner"):
            status, text = read(sparkd, path, KEYS[name])
            assert status < 500, path
            assert not [secret for secret in secrets if secret in text], (path, name)
            shown.append(status)
    assert shown.count(200) > 50


def test_no_key_may_act_below_the_page(sparkd: SparkdProcess) -> None:
    for path in (each.partition("?")[0] for each in PATHS):
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            answer = httpx.request(
                method,
                f"{sparkd.url}/ui/api/{path}",
                headers={"authorization": f"Bearer {KEYS['owner']}", "x-sparkd-request": "1"},
                content=b"{}",
            )
            assert answer.status_code == 403, (method, path)
