"""A power cut has damaged the compile caches of an engine.

The first engine is a program that accepts SGLang's command line and keeps one compiled library in Inductor's cache. The
second one is a real vLLM, which compiles the tiny Llama with torch.
"""

from __future__ import annotations

import _json
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.sparkd_process import SparkdProcess, wait_until
from tests.e2e.test_sglang import new_sparkd
from tests.e2e.test_vllm import CLONE, vllm

LIBRARY = Path(_json.__file__)

COMPILER = f"""
import ctypes, os, pathlib, shutil
kernel = pathlib.Path(os.environ["TORCHINDUCTOR_CACHE_DIR"]) / "XU5D" / "cuda_utils.so"
if not kernel.exists():
    kernel.parent.mkdir(parents=True)
    shutil.copyfile({str(LIBRARY)!r}, kernel)
if pathlib.Path(os.environ["HOME"], "broken").exists():
    raise ImportError(f"{{kernel}}: undefined symbol: cuLaunchKernel")
ctypes.CDLL(str(kernel))
"""

MOVED = "so it starts with new ones"


@pytest.fixture
def sparkd(tmp_path: Path) -> Iterator[SparkdProcess]:
    sparkd = new_sparkd(tmp_path)
    [program] = tmp_path.glob("runtimes/*/lib/python*/site-packages/sglang/launch_server.py")
    program.write_text(COMPILER + program.read_text())
    sparkd.start()
    yield sparkd
    assert sparkd.stop() == 0
    sparkd.assert_nothing_left()


def find_kernel(sparkd: SparkdProcess) -> Path:
    [kernel] = sparkd.folder.glob("state/cache/*/torchinductor/XU5D/cuda_utils.so")
    return kernel


def break_engine(sparkd: SparkdProcess) -> Path:
    """Make each start fail as with a damaged cache, until the returned file is removed."""
    [build] = sparkd.folder.glob("runtimes/sglang-*")
    broken = sparkd.folder / "state" / "cache" / build.name / "broken"
    broken.parent.mkdir(parents=True, exist_ok=True)
    broken.touch()
    return broken


def wait_until_measured(sparkd: SparkdProcess) -> None:
    wait_until("the memory of the model is measured", lambda: sparkd.model("small").memory_used)


def stop_model(sparkd: SparkdProcess) -> None:
    """Stop the model once its memory has been measured: the history has only runs with all their figures."""
    wait_until_measured(sparkd)
    assert sparkd.sparkctl("stop", "small").returncode == 0


def test_a_model_starts_with_new_caches_in_the_same_request(sparkd: SparkdProcess) -> None:
    assert sparkd.chat("small").status_code == 200
    stop_model(sparkd)
    kernel = find_kernel(sparkd)
    os.truncate(kernel, 0)

    assert sparkd.chat("small").status_code == 200
    assert kernel.read_bytes() == LIBRARY.read_bytes()
    [old] = sparkd.folder.glob("state/cache/*/torchinductor.broken-*")
    assert [path.name for path in old.iterdir()] == ["XU5D"]
    assert f"{kernel}: file too short" in sparkd.log()
    assert sparkd.log().count(MOVED) == 1

    stop_model(sparkd)
    assert sparkd.chat("small").status_code == 200
    assert sparkd.log().count(MOVED) == 1


def test_a_power_cut_during_the_first_run_of_a_model(sparkd: SparkdProcess) -> None:
    """The history has no runs of it yet, but the damaged file is evidence enough."""
    assert sparkd.chat("small").status_code == 200
    wait_until_measured(sparkd)  # until then its start may still be on record, as one that killed sparkd
    sparkd.stop(signal.SIGKILL)
    os.truncate(find_kernel(sparkd), 4096)
    sparkd.start()
    assert sparkd.chat("small").status_code == 200
    assert sparkd.log().count(MOVED) == 1


def test_caches_that_were_not_the_cause_are_moved_only_once(sparkd: SparkdProcess) -> None:
    assert sparkd.chat("small").status_code == 200
    stop_model(sparkd)
    break_engine(sparkd)
    for _ in range(2):
        assert "undefined symbol" in sparkd.chat("small").text
        assert sparkd.sparkctl("retry", "small").returncode == 0
    assert sparkd.log().count(MOVED) == 1

    break_engine(sparkd).unlink()
    assert sparkd.chat("small").status_code == 200


def test_the_first_start_of_a_model_does_not_move_other_models_caches(sparkd: SparkdProcess) -> None:
    break_engine(sparkd)
    assert "undefined symbol" in sparkd.chat("small").text
    assert MOVED not in sparkd.log()


@pytest.fixture
def compiling() -> Iterator[SparkdProcess]:
    with tempfile.TemporaryDirectory(prefix="sparkd-caches-") as folder:
        sparkd = SparkdProcess(
            Path(folder),
            {
                "memory": {"total": "6 GiB", "reserve": 0, "learn": False},
                "paths": {"venvs": str(CLONE / "venvs"), "runtimes": str(CLONE / ".sparkd" / "runtimes")},
                "models": {"tiny": vllm("tiny-llama", options={"enforce-eager": False})},
            },
        )
        sparkd.start()
        yield sparkd
        assert sparkd.stop(seconds=120) == 0, sparkd.log()
        sparkd.assert_nothing_left()


@pytest.mark.slow
def test_a_real_vllm_starts_with_new_caches(compiling: SparkdProcess) -> None:
    sparkd = compiling
    before = sparkd.chat("tiny", temperature=0, max_tokens=8).json()["choices"]
    assert sparkd.sparkctl("stop", "tiny").returncode == 0
    libraries = list(sparkd.folder.glob("state/cache/*/vllm/torch_compile_cache/**/*.main.so"))
    assert libraries
    for library in libraries:  # vLLM's worker dies of SIGBUS in them and logs no message
        os.truncate(library, 4096)

    after = sparkd.chat("tiny", temperature=0, max_tokens=8)
    assert after.status_code == 200, sparkd.log()
    assert after.json()["choices"] == before
    assert sparkd.log().count(MOVED) == 1
