"""The engine kind `sglang` in a real sparkd.

SGLang itself needs a GPU. The program started here accepts SGLang's command line and prints its lines, according to
SGLang's source.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from sparkd.catalog.runtime import Runtime
from sparkd.runtimes import build
from tests.e2e.sparkd_process import BAD_ENGINE, SparkdProcess

LAUNCH_SERVER = f"""
import os, runpy, sys
assert "--model-path" in sys.argv and "--context-length" in sys.argv
os.makedirs(os.environ["TRITON_CACHE_DIR"], exist_ok=True)
for line in ("Load weight begin. avail mem=9.00 GB", "Load weight end. elapsed=0.1 s", "Memory pool end."):
    print("[2026-11-22 06:00:00]", line, flush=True)
if "--nope" in sys.argv:
    sys.exit("launch_server.py: error: unrecognized arguments: --nope")
sys.argv += ["--start-delay", "0.1"]
runpy.run_path({str(BAD_ENGINE)!r}, run_name="__main__")
"""

MODEL = {
    "engine": "sglang",
    "runtime": "sglang",
    "source": "./weights",
    "context_length": 2048,
    "memory": "1 GiB",
}


def new_sparkd(
    folder: Path, settings: Mapping[str, object] = MappingProxyType({}), **more: object
) -> SparkdProcess:
    """Return a sparkd whose runtime contains a package with SGLang's name."""
    definition = folder / "venvs" / "sglang"
    definition.mkdir(parents=True)
    (definition / "runtime.toml").touch()
    (definition / "requirements.lock").touch()
    built = build(Runtime(name="sglang", folder=definition), folder / "runtimes", print)
    [packages] = built.glob("lib/python*/site-packages")
    (packages / "sglang").mkdir()
    (packages / "sglang" / "__init__.py").touch()
    (packages / "sglang" / "launch_server.py").write_text(LAUNCH_SERVER)
    (folder / "weights").mkdir()
    (folder / "weights" / "config.json").write_text("{}")
    weights = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    (folder / "weights" / "model.safetensors").write_bytes(
        struct.pack("<Q", len(weights)) + weights + bytes(4)
    )
    return SparkdProcess(folder, {"models": {"small": {**MODEL, **more}}, **settings})


def test_a_model_of_sglang_is_started_for_a_request_and_stopped(tmp_path: Path) -> None:
    sparkd = new_sparkd(tmp_path)
    sparkd.start()
    try:
        assert sparkd.chat("small").status_code == 200
        last = sparkd.sparkctl("status", "small", "--json")
        assert '"ready"' in last.stdout
        assert sparkd.sparkctl("stop", "small").returncode == 0
    finally:
        sparkd.stop()
    [cache] = (tmp_path / "state" / "cache").iterdir()
    assert cache.name == next((tmp_path / "runtimes").glob("sglang-*")).name


def test_what_sglang_does_not_accept_is_reported(tmp_path: Path) -> None:
    sparkd = new_sparkd(tmp_path, options={"nope": True})
    sparkd.start()
    try:
        answer = sparkd.chat("small")
        assert answer.status_code == 503
        assert "the engine does not know --nope" in answer.text
    finally:
        sparkd.stop()
