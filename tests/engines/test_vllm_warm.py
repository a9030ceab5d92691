"""Which models of vLLM start warm, and what their launcher imports."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from sparkd.engines import ENGINES
from sparkd.engines.vllm_warm import WARM_START
from tests.engines.examples import model
from tests.models import cpu_folder

VLLM = ENGINES["vllm"]


@pytest.mark.parametrize(
    ("options", "obstacle"),
    [
        ({}, None),
        ({"numa-bind": True}, "numa-bind starts processes through another program"),
        ({"numa_bind": True}, "numa-bind starts processes through another program"),
        ({"numa-bind": False}, None),
        ({"mm-tensor-ipc": "torch_shm"}, "mm-tensor-ipc torch_shm fails in forked processes"),
        ({"mm-tensor-ipc": "direct_rpc"}, None),
    ],
)
def test_options_that_need_new_processes_start_cold(options: dict[str, Any], obstacle: str | None) -> None:
    assert VLLM.find_warm_obstacle(model(options=options), {}) == obstacle


def test_an_engine_core_in_the_api_server_starts_cold_whoever_sets_it() -> None:
    reason = VLLM.find_warm_obstacle(model(), {"VLLM_ENABLE_V1_MULTIPROCESSING": "0"})
    assert reason == "its engine core is part of the API server, which cannot wait for memory"
    assert VLLM.find_warm_obstacle(model(), {"VLLM_ENABLE_V1_MULTIPROCESSING": "1"}) is None


@pytest.mark.parametrize("kind", ["sglang", "command"])
def test_other_engines_start_cold(kind: str) -> None:
    assert ENGINES[kind].warm_start is None
    assert ENGINES[kind].find_warm_obstacle(model(), {})


def test_every_module_that_a_launcher_imports_without_a_gpu_exists() -> None:
    """Those of the standard library aside, a missing one would be imported by each engine again."""
    (packages,) = cpu_folder().glob("lib/python*/site-packages")
    names = [line.partition(" if ")[0] for line in WARM_START.modules if not line.endswith(" if cuda")]
    paths = {name: packages / name.replace(".", "/") for name in names if name not in sys.stdlib_module_names}
    missing = [
        name
        for name, path in paths.items()
        if not path.is_dir() and not list(path.parent.glob(f"{path.name}.*"))
    ]
    assert missing == []
