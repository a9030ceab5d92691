"""A real vLLM that was forked from a launcher answers as one that was started as a new program.

Uses the `cpu` runtime and the demo's models, which scripts/test prepares.
"""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

from tests.e2e.sparkd_process import SparkdProcess
from tests.e2e.test_vllm import CLONE, vllm
from tests.e2e.warm_runtime import wait_for_launcher_process

QUESTION: list[ChatCompletionMessageParam] = [{"role": "user", "content": "What is the weather in Paris?"}]
TOOLS: list[ChatCompletionToolParam] = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        },
    }
]
EXACT = {"temperature": 0, "seed": 1, "max_tokens": 24}


def define_models(**fields: Any) -> dict[str, Any]:
    """Return the three models of the tests, each once warm and once cold."""
    chat = {"options": {"enable-auto-tool-choice": True, "tool-call-parser": "hermes"}}
    embeddings = {"context_length": 256, "options": {"runner": "pooling"}}
    kinds = {
        "smol": vllm("SmolLM2-135M-Instruct", **chat, **fields),
        "tiny": vllm("tiny-llama", **fields),
        "minilm": vllm("all-MiniLM-L6-v2", **embeddings, **fields),
    }
    return {**kinds, **{f"{name}-cold": {**model, "warm": False} for name, model in kinds.items()}}


@pytest.fixture
def sparkd() -> Iterator[SparkdProcess]:
    with tempfile.TemporaryDirectory(prefix="sparkd-vllm-") as folder:
        sparkd = SparkdProcess(
            Path(folder),
            {
                "memory": {"total": "20 GiB", "reserve": 0, "learn": False},
                "paths": {"venvs": str(CLONE / "venvs"), "runtimes": str(CLONE / ".sparkd" / "runtimes")},
                "models": define_models(),
            },
        )
        sparkd.start()
        try:
            yield sparkd
            assert sparkd.stop(seconds=120) == 0, sparkd.log()
            sparkd.assert_nothing_left()
        finally:
            if sparkd.process.poll() is None:
                sparkd.stop(signal.SIGKILL)


def ask_everything(sparkd: SparkdProcess, suffix: str) -> dict[str, Any]:
    """Return the answers of the three models, which start for them one after the other."""
    client = sparkd.openai()
    answers: dict[str, Any] = {}
    for name in ("smol", "tiny"):
        chat = client.chat.completions.create(model=name + suffix, messages=QUESTION, **EXACT)  # type: ignore[call-overload]
        answers[name] = chat.choices[0].message.content
    tools = client.chat.completions.create(  # type: ignore[call-overload]
        model="smol" + suffix, messages=QUESTION, tools=TOOLS, tool_choice="required", **EXACT
    )
    message = tools.choices[0].message
    calls = [(call.function.name, call.function.arguments) for call in message.tool_calls or ()]
    answers["tools"] = (message.content, calls)
    vectors = client.embeddings.create(model="minilm" + suffix, input=["one", "two three"])
    answers["embeddings"] = [[round(number, 5) for number in each.embedding] for each in vectors.data]
    return answers


@pytest.mark.slow
def test_answers_of_warm_and_cold_engines_are_the_same(sparkd: SparkdProcess) -> None:
    warm = ask_everything(sparkd, "")
    assert {sparkd.model(name).start for name in ("smol", "tiny", "minilm")} == {"warm"}, sparkd.log()
    assert warm == ask_everything(sparkd, "-cold")
    times = {name: sparkd.model(name).load_time or 0.0 for name in define_models()}
    for name in ("tiny", "minilm"):  # the first one started when the launcher was not ready yet
        assert times[name] * 2 < times[f"{name}-cold"], times


@pytest.mark.slow
def test_a_launcher_killed_while_it_imports_costs_no_request_to_vllm(sparkd: SparkdProcess) -> None:
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(sparkd.chat, "tiny", max_tokens=4)
        os.kill(wait_for_launcher_process(sparkd), signal.SIGKILL)
        assert answer.result(300).status_code == 200
    assert sparkd.model("tiny").start == "cold"
