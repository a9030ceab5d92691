"""The main module of a stand-in for vLLM: as slow and as modular, but with the bad engine's faults.

Like vLLM's, its start has imports, an API server, and an engine core in a process of its own. Files in the folder of
the runtime control it, see warm_runtime.py.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import sys
import time
from pathlib import Path
from typing import Any

FOLDER = Path(sys.prefix)
bad_engine = importlib.import_module("bad_engine")  # it is beside this package


def wait_while(name: str) -> None:
    """Wait while the file exists."""
    while (FOLDER / name).exists():
        time.sleep(0.005)


def log(line: str) -> None:
    print(f"INFO 01-01 00:00:00 [core.py:1] {line}", flush=True)


print("importing", flush=True)
time.sleep(0.3)
wait_while("hold-import")
if (FOLDER / "start-thread").exists():
    import threading

    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
if (FOLDER / "fail-import").exists():
    os._exit(3)


def run_core(ready: Any, parent: Any) -> None:
    """Be the engine core: end when the API server ends."""
    Path("/proc/self/comm").write_text("VLLM::EngineCor")
    ready.send(os.getpid())
    try:
        parent.recv()
    except EOFError:
        os._exit(0)


def main() -> None:
    """Run `vllm serve SOURCE …`."""
    log("Resolved architecture: LlamaForCausalLM")
    wait_while("hold-server")
    if (FOLDER / "need-main-file").exists():
        # A library that looks at the file of the main module works in a new program only.
        print(sys.modules["__main__"].__file__)
    if (FOLDER / "fail-server").exists():
        raise RuntimeError("this fails in any case")
    context = multiprocessing.get_context("spawn")
    ready, report = context.Pipe(duplex=False)
    parent, ours = context.Pipe(duplex=False)
    core = context.Process(target=run_core, args=(report, parent), name="EngineCore", daemon=True)
    core.start()
    parent.close()
    log("Initializing a V1 LLM engine")
    ready.recv()
    wait_while("hold-core")
    log("Starting to load model")
    bad_engine.Engine(bad_engine.arguments()).run()
    ours.close()
