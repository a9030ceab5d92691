"""The client libraries, each at the version of a lock file, against a real vLLM that calls their tools."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.cli.running import sparkctl
from tests.clients.installing import CLONE, LIBRARIES
from tests.clients.serving import ALTERNATING, CHANNELS, SYSTEM_FIRST
from tests.clients.session import Session
from tests.e2e.sparkd_process import wait_until

ANSWERS = ["The note says: lighthouse.", "I remember: the note said lighthouse."]


def build_environment(home: Path) -> dict[str, str]:
    off = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False", "DO_NOT_TRACK": "1"}
    return {"PATH": os.defpath, "HOME": str(home), "NO_PROXY": "127.0.0.1", **off}


def converse(
    program: str, session: Session, model: str, url: str | None = None, key: str = "none"
) -> list[str]:
    """Run one of the programs in tests/clients/libraries; return the answers that it prints."""
    python = str(LIBRARIES / "bin" / "python")
    done = subprocess.run(
        [python, "-m", f"tests.clients.libraries.{program}", url or session.recorder.url, model, key],
        cwd=CLONE,
        env=build_environment(session.home),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{done.stderr}\n{[str(one) for one in session.generations]}"
    return done.stdout.splitlines()


def test_openai_chat(session: Session) -> None:
    assert converse("openai_chat", session, SYSTEM_FIRST) == ANSWERS
    session.assert_all_answered()


def test_openai_responses(session: Session) -> None:
    assert converse("openai_responses", session, SYSTEM_FIRST) == ANSWERS
    session.assert_all_answered()


def test_anthropic_messages(session: Session) -> None:
    assert converse("anthropic_messages", session, SYSTEM_FIRST) == ANSWERS
    session.assert_all_answered()


def test_anthropic_count(session: Session) -> None:
    assert converse("anthropic_count", session, SYSTEM_FIRST) == ["True"]


def test_langchain(session: Session) -> None:
    assert converse("langchain_models", session, SYSTEM_FIRST) == ANSWERS * 3
    session.assert_all_answered()


@pytest.mark.slow
def test_litellm(session: Session) -> None:
    assert converse("litellm_completion", session, SYSTEM_FIRST) == ANSWERS
    session.assert_all_answered()


@pytest.mark.slow
@pytest.mark.parametrize("model", [CHANNELS, ALTERNATING])
@pytest.mark.parametrize("program", ["openai_chat", "openai_responses", "litellm_completion"])
def test_other_templates(session: Session, program: str, model: str) -> None:
    assert converse(program, session, model) == ANSWERS
    session.assert_all_answered()


@contextmanager
def litellm_proxy(session: Session, key: str) -> Iterator[str]:
    """Run LiteLLM's proxy in front of sparkd; yield its address."""
    config = session.home / "litellm.yaml"
    options = [f"--catalogue={session.catalogue}", f"--url={session.recorder.url}", f"--file={config}"]
    written = sparkctl("client", "litellm", "--write", *options)
    assert written.code == 0, written.err
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    command = [str(LIBRARIES / "bin" / "litellm"), "--config", str(config), "--host", "127.0.0.1"]
    log = session.home / "litellm.log"
    with log.open("wb") as output:
        proxy = subprocess.Popen(
            [*command, "--port", str(port)],
            cwd=session.home,
            env={**build_environment(session.home), "LITELLM_MASTER_KEY": key},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    url = f"http://127.0.0.1:{port}"

    def is_ready() -> bool:
        assert proxy.poll() is None, log.read_text()
        try:
            return httpx.get(f"{url}/health/liveliness").status_code == 200
        except httpx.TransportError:
            return False

    try:
        wait_until("LiteLLM's proxy is ready", is_ready, 120)
        yield url
    finally:
        proxy.send_signal(signal.SIGTERM)
        proxy.wait(60)


@pytest.mark.slow
def test_litellms_proxy(session: Session) -> None:
    """It turns Anthropic's messages and OpenAI's responses into requests of its own."""
    key = f"sk-{secrets.token_hex(32)}"
    with litellm_proxy(session, key) as url:
        assert converse("openai_chat", session, SYSTEM_FIRST, url, key) == ANSWERS
        assert converse("anthropic_messages", session, SYSTEM_FIRST, url, key) == ANSWERS
    session.assert_all_answered()
