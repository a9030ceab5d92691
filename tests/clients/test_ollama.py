"""The libraries of Ollama, in Python and in JavaScript, against real engines behind sparkd."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.installing import CLONE, JAVASCRIPT, OLLAMA, find_node
from tests.clients.serving import SYSTEM_FIRST
from tests.clients.session import Session
from tests.clients.test_libraries import ANSWERS, build_environment
from tests.e2e.sparkd_process import SparkdProcess
from tests.e2e.test_vllm import vllm


def run_library(program: str, url: str, model: str, home: Path) -> list[str]:
    """Run one of the programs in tests/clients/libraries; return the lines that it prints."""
    if program.endswith(".mjs"):
        node = str(find_node() / "bin" / "node")
        script = str(Path(__file__).parent / "libraries" / program)
        command = [node, script, str(JAVASCRIPT / "node_modules")]
    else:
        command = [str(OLLAMA / "bin" / "python"), "-m", f"tests.clients.libraries.{program}"]
    done = subprocess.run(
        [*command, url, model, "none"],
        cwd=CLONE,
        env=build_environment(home),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("program", ["ollama_chat", "ollama_chat.mjs"])
def test_a_conversation_with_tools_and_thinking(session: Session, program: str) -> None:
    assert run_library(program, session.recorder.url, SYSTEM_FIRST, session.home) == ANSWERS
    session.assert_all_answered()


@pytest.fixture(scope="module")
def english() -> Iterator[SparkdProcess]:
    """A sparkd with a model that speaks English and one that embeds, only one of them in memory at a time."""
    with tempfile.TemporaryDirectory(prefix="sparkd-ollama-") as folder:
        sparkd = SparkdProcess(
            Path(folder),
            {
                "memory": {"total": "3 GiB", "reserve": 0, "learn": False},
                "paths": {"venvs": str(CLONE / "venvs"), "runtimes": str(CLONE / ".sparkd" / "runtimes")},
                "models": {
                    "smollm2-135m": vllm("SmolLM2-135M-Instruct"),
                    "minilm": vllm(
                        "all-MiniLM-L6-v2",
                        context_length=256,
                        options={"runner": "pooling"},
                        tags=["embeddings"],
                    ),
                },
            },
        )
        sparkd.start()
        yield sparkd
        assert sparkd.stop(seconds=120) == 0, sparkd.log()
        sparkd.assert_nothing_left()


def test_every_call_of_the_library(english: SparkdProcess, tmp_path: Path) -> None:
    assert run_library("ollama_everything", english.url, "smollm2-135m,minilm", tmp_path) == ["done"]
