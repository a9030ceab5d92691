from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.recorder import Recorder
from tests.clients.session import Session, end_processes
from tests.e2e.sparkd_process import SparkdProcess
from tests.models import RUNTIMES, SCRIPTED_MODELS, VENVS

SHORT_CONTEXT = 2048


def scripted(family: str, context: int = 131072, **options: Any) -> dict[str, Any]:
    """Return a model that the cpu runtime serves with tools, as tests/scripted_llama.py describes."""
    return {
        "runtime": "cpu",
        "source": str(SCRIPTED_MODELS[family]),
        "context_length": context,
        "environment": {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        "options": {
            "enforce-eager": True,
            "dtype": "float32",
            "max-num-seqs": 4,
            "max-num-batched-tokens": 8192,
            "kv-cache-memory-bytes": "80M",
            "enable-auto-tool-choice": True,
            "tool-call-parser": "hermes",
            **options,
        },
        "memory": "1 GiB",
        "min_residency": 0.0,
    }


@pytest.fixture(scope="package")
def sparkd() -> Iterator[SparkdProcess]:
    """One sparkd for all tests of the package; its memory suffices for every model at once."""
    thinking = {"reasoning-parser": "qwen3"}
    with tempfile.TemporaryDirectory(prefix="sparkd-clients-") as folder:
        sparkd = SparkdProcess(
            Path(folder),
            {
                "memory": {"total": "8 GiB", "reserve": 0, "learn": False},
                "paths": {"venvs": str(VENVS), "runtimes": str(RUNTIMES)},
                "models": {
                    "qwen": scripted("qwen", **thinking),
                    "harmony": scripted("harmony"),
                    "mistral": scripted("mistral"),
                    "short": scripted("qwen", SHORT_CONTEXT, **thinking),
                },
            },
        )
        sparkd.start()
        yield sparkd
        assert sparkd.stop(seconds=120) == 0, sparkd.log()
        sparkd.assert_nothing_left()


@pytest.fixture
def recorder(sparkd: SparkdProcess) -> Iterator[Recorder]:
    """A proxy in front of sparkd that keeps what one test sends."""
    with Recorder(sparkd.port).running() as recorder:
        yield recorder


@pytest.fixture
def session(recorder: Recorder) -> Iterator[Session]:
    """A home folder, and a project with a note. At the end, ends the processes that the client left."""
    with tempfile.TemporaryDirectory(prefix="client-", ignore_cleanup_errors=True) as folder:
        session = Session(Path(folder), recorder)
        try:
            yield session
        finally:
            end_processes(session.home)
