"""A request that makes the engine core of a real vLLM fail, as a bug in a kernel or in a logits processor does."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.sparkd_process import SparkdProcess, wait_until
from tests.e2e.test_vllm import CLONE, LONG, capital, vllm

PROCESSOR = """
from vllm.v1.sample.logits_processor import LogitsProcessor


class Fragile(LogitsProcessor):
    def __init__(self, vllm_config, device, is_pin_memory):
        pass

    def apply(self, logits):
        return logits

    def is_argmax_invariant(self):
        return True

    def update_state(self, batch_update):
        for _, params, _, _ in batch_update.added if batch_update else ():
            if (params.extra_args or {}).get("poison"):
                raise RuntimeError("index out of range")
"""


@pytest.fixture
def sparkd() -> Iterator[SparkdProcess]:
    with tempfile.TemporaryDirectory(prefix="sparkd-crash-") as folder:
        (Path(folder) / "fragile.py").write_text(PROCESSOR)
        model = vllm("SmolLM2-135M-Instruct", options={"logits-processors": ["fragile:Fragile"]}, warm=False)
        model["environment"] |= {"PYTHONPATH": folder}
        sparkd = SparkdProcess(
            Path(folder),
            {
                "memory": {"total": "6 GiB", "reserve": 0, "learn": False},
                "failures": {"backoff": 0.5, "max_failures": 2},
                "paths": {"venvs": str(CLONE / "venvs"), "runtimes": str(CLONE / ".sparkd" / "runtimes")},
                "models": {"a": model},
            },
        )
        sparkd.start()
        yield sparkd
        assert sparkd.stop(seconds=120) == 0, sparkd.log()
        sparkd.assert_nothing_left()


def read_story(sparkd: SparkdProcess) -> list[str]:
    """Stream a long response to its end."""
    with sparkd.streaming("a", str(LONG), max_tokens=900, ignore_eos=True) as lines:
        return list(lines)


@pytest.mark.slow  # three starts of vLLM
def test_the_request_is_rejected_and_the_model_serves_others(sparkd: SparkdProcess) -> None:
    poison: dict[str, Any] = {"vllm_xargs": {"poison": 1}, "max_tokens": 5}
    with sparkd.openai() as client, ThreadPoolExecutor(1) as others:
        capital(client, "a")
        story = others.submit(read_story, sparkd)
        wait_until("the story is in flight", lambda: sparkd.model("a").in_flight)
        assert sparkd.chat("a", **poison).status_code in (500, 502)
        assert story.result()[-1] == "data: [DONE]"
        assert json.loads(story.result()[-2].removeprefix("data: "))["error"]["message"]
        wait_until("the engine has ended and may start", lambda: sparkd.model("a").state == "stopped")
        assert sparkd.chat("a", **poison).status_code in (500, 502)
        wait_until("the engine has ended", lambda: sparkd.model("a").state != "ready")
        assert sparkd.chat("a", **poison).json()["error"]["code"] == "request_crashes_engine"
        assert "Paris" in capital(client, "a")
    assert len(sparkd.model("a").rejected_requests) == 1
