"""SGLang's argv, environment, milestones and failures: plain data in, plain data out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sparkd.catalog.quantities import GIB
from sparkd.engines import ENGINES
from sparkd.engines.engine import Exit, Milestone
from sparkd.errors import LaunchError
from tests.engines.examples import PORT, SOCKET, launch_context, model

sglang = ENGINES["sglang"]


def argv(memory: int | None = None, total: int | None = None, **keys: Any) -> tuple[str, ...]:
    context = launch_context(address=PORT, memory=memory, total=total)
    return sglang.build_command(model(engine="sglang", **keys), context).argv


def test_a_model_is_served_under_its_id_on_a_port_of_loopback() -> None:
    assert argv(context_length=4096, options={"trust-remote-code": True}) == (
        *("/runtimes/cpu/bin/python", "-m", "sglang.launch_server"),
        *("--model-path", "org/name", "--served-model-name", "m", "--host", "127.0.0.1", "--port", "20001"),
        *("--context-length", "4096", "--trust-remote-code"),
    )
    assert not sglang.listens_on_socket(model())


def test_it_gets_its_memory_share_as_a_flag_unless_its_options_set_it() -> None:
    assert argv(memory=20 * GIB, total=100 * GIB)[-2:] == ("--mem-fraction-static", "0.16")
    assert argv(memory=20 * GIB, total=100 * GIB, options={"mem_fraction_static": 0.3})[-2:] == (
        "--mem_fraction_static",
        "0.3",
    )
    assert sglang.implied_footprint(model(options={"mem-fraction-static": 0.5}), 100) == 50
    assert sglang.implied_footprint(model(), 100) is None


@pytest.mark.parametrize(
    "name",
    ["host", "port", "model_path", "model", "served-model-name", "context_length", "api-key", "config"],
)
def test_options_that_are_not_the_catalogues_to_set_are_refused(name: str) -> None:
    [problem] = sglang.find_problems(model(options={name: "x", "max-running-requests": 1}))
    assert problem.startswith(f"option {name} cannot be set: ")


def test_all_problems_are_reported_together() -> None:
    assert len(sglang.find_problems(model(runtime=None, source=None, options={"port": 1}))) == 3
    with pytest.raises(LaunchError, match="it cannot listen on a socket"):
        sglang.build_command(model(), launch_context(address=SOCKET))


def test_caches_are_the_builds_own_and_weights_are_everybodys() -> None:
    found = sglang.build_command(model(), launch_context(address=PORT)).environment
    for name in ("HOME", "XDG_CACHE_HOME", "TRITON_CACHE_DIR", "FLASHINFER_WORKSPACE_BASE"):
        assert Path(found[name]).is_relative_to("/cache/cpu"), name
    assert found["HF_HOME"] == "/models/huggingface"
    assert (found["MAX_JOBS"], found["FLASHINFER_NVCC_THREADS"]) == ("2", "1")
    assert found["HF_HUB_OFFLINE"] == "1"


@pytest.mark.parametrize(
    ("line", "phase", "progress"),
    [
        ("[2026-11-22 06:00:00] Load weight begin. avail mem=110.20 GB", "loading weights", None),
        ("Loading safetensors checkpoint shards:  50% Completed | 1/2 [00:00<00:00]", "loading weights", 0.5),
        ("Multi-thread loading shards:  25% Completed | 1/4", "loading weights", 0.25),
        ("[2026-11-22 06:00:05] Load weight end. elapsed=4.9 s, type=Qwen3_5", "weights loaded", None),
        ("[…] KV Cache is allocated. #tokens: 20480, K size: 0.12 GB", "KV cache allocated", None),
        ("Capturing batches (bs=8 avail_mem=20.10 GB):  40%|####", "capturing CUDA graphs", 0.4),
        ("INFO:     Uvicorn running on http://127.0.0.1:20001 (Press CTRL+C to quit)", "warming up", None),
        ("[…] The server is fired up and ready to roll!", "up", None),
    ],
)
def test_lines_of_a_start_tell_how_far_it_is(line: str, phase: str, progress: float | None) -> None:
    assert sglang.parse_milestone(line) == Milestone(phase, progress)
    assert sglang.parse_milestone("[…] Prefill batch, #new-seq: 1") is None


@pytest.mark.parametrize(
    ("line", "kind", "said"),
    [
        (
            "ValueError: User-specified context_length (99999) is greater than the derived context_length (32768).",
            "context_too_long",
            "the context_length of 99999 is more than the model was made for (32768). Set context_length to 32768",
        ),
        (
            "RuntimeError: Not enough memory. Please try to increase --mem-fraction-static. Current value: …",
            "out_of_memory",
            "the weights leave no memory for the KV cache.",
        ),
        (
            "torch.OutOfMemoryError: CUDA out of memory. Tried",
            "out_of_memory",
            "the engine ran out of memory.",
        ),
        (
            "launch_server.py: error: unrecognized arguments: --nope",
            "bad_option",
            "the engine does not know --nope",
        ),
        (
            "huggingface_hub.errors.GatedRepoError: 401",
            "missing_model",
            "cannot be downloaded without permission",
        ),
        ("Received sigquit from a child process. It usually", "engine_died", "a process of SGLang exited."),
    ],
)
def test_a_failure_has_its_cause(line: str, kind: str, said: str) -> None:
    cause = sglang.explain_exit(
        Exit(1), [line, "Received sigquit from a child process. It usually means the child failed."]
    )
    assert cause.kind == kind
    assert said in str(cause)


@pytest.mark.parametrize(
    ("title", "process"),
    [
        ("sglang::scheduler", "SGLang's scheduler"),
        ("sglang::scheduler_DP0_TP1", "SGLang's scheduler"),
        ("sglang::detokenizer", "SGLang's detokenizer"),
        ("sglang::data_parallel_controller", "SGLang's data parallel controller"),
        ("sglang::tokenizer_worker:7", None),
        ("python", None),
    ],
)
def test_the_processes_behind_its_server_are_vital(title: str, process: str | None) -> None:
    assert sglang.name_vital_process(title[:15]) == process
