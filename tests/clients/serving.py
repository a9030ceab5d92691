"""A sparkd with the models that the clients ask."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests.e2e.sparkd_process import SparkdProcess
from tests.models import RUNTIMES, SCRIPTED_MODELS, VENVS

# Clients treat models differently whose names contain "qwen", "gpt" or "mistral", so these do not.
SYSTEM_FIRST = "system-first"
"""Its template rejects what that of Qwen 3.5 rejects. It thinks."""

CHANNELS = "channels"
"""Its template rejects what that of gpt-oss rejects. Its entry leaves out images."""

ALTERNATING = "alternating"
"""Its template rejects what those of Mistral reject."""

SHORT = "short"
"""The context has 256 tokens, which is less than the system prompt of any terminal client."""


def scripted(family: str, options: Mapping[str, Any] = MappingProxyType({}), **fields: Any) -> dict[str, Any]:
    return {
        "runtime": "cpu",
        "source": str(SCRIPTED_MODELS[family]),
        "context_length": 131072,
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
        **fields,
    }


@contextmanager
def run_sparkd() -> Iterator[SparkdProcess]:
    """Run a sparkd whose memory suffices for all its models at once. At the end, check that it leaves nothing."""
    thinking = {"reasoning-parser": "qwen3"}
    with tempfile.TemporaryDirectory(prefix="sparkd-clients-") as folder:
        sparkd = SparkdProcess(
            Path(folder),
            {
                "memory": {"total": "8 GiB", "reserve": 0, "learn": False},
                "paths": {"venvs": str(VENVS), "runtimes": str(RUNTIMES)},
                "models": {
                    SYSTEM_FIRST: scripted("qwen", thinking),
                    CHANNELS: scripted("harmony", rewriting={"drop_images": True}),
                    ALTERNATING: scripted("mistral"),
                    SHORT: scripted("qwen", thinking, context_length=256),
                },
            },
        )
        sparkd.start()
        yield sparkd
        assert sparkd.stop(seconds=120) == 0, sparkd.log()
        sparkd.assert_nothing_left()
