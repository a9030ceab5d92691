"""A launcher reports why a fork of it could not serve as an engine, and what its imports came to."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from sparkd.errors import LaunchError
from sparkd.launcher.imports import DEVICES, NvmlCapability
from sparkd.launcher.messages import Report
from sparkd.processes.log import Log
from tests.launcher.runtime import Place, finish
from tests.machine.drivers import build_driver
from tests.processes.children import wait_until

C_THREAD = """
import ctypes
libc = ctypes.CDLL(None)
thread = ctypes.c_ulong()
assert libc.pthread_create(ctypes.byref(thread), None, ctypes.cast(libc.{function}, ctypes.c_void_p), None) == 0
"""
"""Starts a native thread that runs a function of the C library without an argument."""


def read_report(place: Place, *modules: str, log: Log | None = None) -> Report:
    async def scenario() -> Report:
        async with place.launcher(*modules, log=log) as launcher:
            return await launcher.wait_until_ready()

    return asyncio.run(scenario())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "import threading\nthreading.Thread(target=threading.Event().wait, name='pool', daemon=True).start()",
            "an import started the thread 'pool', which a fork would not have",
        ),
        (
            "import _thread, time\n_thread.start_new_thread(time.sleep, (600,))",
            "an import started 1 native threads, which a fork would not have",
        ),
        (
            C_THREAD.format(function="pause"),
            "an import started 1 native threads, which a fork would not have",
        ),
        ("import socket\nkept = socket.socketpair()", "an import opened socket:["),
        ("import socket\nkept = socket.socket()", "an import opened socket:["),
        ("import os\nkept = os.pipe()", "an import opened pipe:["),
        ("import os\nkept = os.eventfd(0)", "an import opened anon_inode:[eventfd]"),
        ("import select\nkept = select.epoll()", "an import opened anon_inode:[eventpoll]"),
        ("import os\nkept = os.pidfd_open(os.getpid())", "an import opened anon_inode:[pidfd]"),
        ("import asyncio\nkept = asyncio.new_event_loop()", "an import opened anon_inode:[eventpoll]"),
        (
            "import multiprocessing\nkept = multiprocessing.Lock()",
            "an import created memory (",
        ),
        (
            "import mmap\nkept = mmap.mmap(-1, 4096)",
            "an import created memory (",
        ),
    ],
)
def test_a_launcher_with_what_a_fork_cannot_have_is_not_used(place: Place, text: str, problem: str) -> None:
    place.write("first", text)
    assert read_report(place, "first").problem.startswith(problem)


@pytest.mark.parametrize(
    "text",
    [
        "import threading\nthread = threading.Thread(target=print)\nthread.start()\nthread.join()",
        "import concurrent.futures as f\nwith f.ThreadPoolExecutor(8) as pool: list(pool.map(abs, range(99)))",
        C_THREAD.format(function="getpid"),
        "kept = open(__file__)",
        "import os\nkept = os.open('/dev/null', os.O_RDWR)",
        "import subprocess\nsubprocess.run(['true'], check=True)",
        "import mmap\nwith open(__file__, 'rb') as file: kept = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)",
        "import asyncio\nasyncio.run(asyncio.sleep(0))",
        "import socket\nsocket.socketpair()",
    ],
)
def test_what_an_import_has_finished_or_only_reads_is_no_problem(place: Place, text: str) -> None:
    place.write("first", text)
    report = read_report(place, "first")
    assert (report.problem, report.failed) == ("", ())


def test_a_process_that_uses_a_gpu_is_not_forked(place: Place) -> None:
    """A file whose path begins like those of NVIDIA's devices: the kernel's driver has no part in what is checked."""
    assert DEVICES == "/dev/nvidia"
    device = Path(f"{DEVICES}-of-a-test-{os.getpid()}")
    device.write_bytes(bytes(4096))
    try:
        place.write("opening", f"kept = open({str(device)!r})")
        place.write(
            "mapping",
            f"import mmap\nwith open({str(device)!r}) as f: kept = mmap.mmap(f.fileno(), 0, prot=1)",
        )
        assert read_report(place, "opening").problem.startswith(f"an import opened {device}")
        assert (
            read_report(place, "mapping").problem == "an import initialised CUDA, which a fork could not use"
        )
    finally:
        device.unlink()


def test_nvml_that_imports_have_initialised_is_shut_down(place: Place, tmp_path: Path) -> None:
    driver = build_driver(tmp_path, "gb10")
    device = Path(f"{DEVICES}-of-a-driver-{os.getpid()}")
    device.touch()
    place.environment.update(
        {
            "LD_LIBRARY_PATH": str(tmp_path),
            "FAKE_NVML": str(driver.folder / "kind"),
            "FAKE_NVML_DEVICE": str(device),
        }
    )
    place.write(
        "counting", "import ctypes\nnvml = ctypes.CDLL('libnvidia-ml.so.1')\nassert nvml.nvmlInit() == 0"
    )
    place.write("counting_too", "import counting\nassert counting.nvml.nvmlInit() == 0")
    place.write(
        "shutting_down_later",
        "import counting, os\n"
        f"opened = [os.path.realpath('/proc/self/fd/' + name) for name in os.listdir('/proc/self/fd')]\n"
        f"assert {str(device)!r} in opened",
    )
    try:
        report = read_report(place, "counting", "counting_too", "shutting_down_later")
        assert (report.problem, report.failed) == ("", ())
    finally:
        device.unlink()


@pytest.mark.parametrize(("initialised", "problem"), [(True, "an import initialised CUDA"), (False, "")])
def test_pytorch_is_asked_whether_it_has_initialised_cuda(
    place: Place, initialised: bool, problem: str
) -> None:
    place.write("torch/__init__", "from torch import cuda\nclass version: cuda = '13.0'")
    place.write("torch/cuda", f"def is_initialized(): return {initialised}")
    report = read_report(place, "torch")
    assert report.problem.startswith(problem)
    assert bool(report.problem) == initialised


@pytest.mark.parametrize(("kind", "problem"), [("gb10", ""), ("gone", "an import initialised CUDA")])
def test_an_import_gets_the_capability_of_a_gpu_from_nvml_if_that_answers(
    place: Place, tmp_path: Path, kind: str, problem: str
) -> None:
    driver = build_driver(tmp_path, kind)
    place.environment.update({"LD_LIBRARY_PATH": str(tmp_path), "FAKE_NVML": str(driver.folder / "kind")})
    place.write("torch/__init__", "from torch import cuda\nclass version: cuda = '13.0'")
    place.write(
        "torch/cuda",
        "initialised = False\n"
        "def is_initialized(): return initialised\n"
        "def _get_nvml_device_index(device): return device\n"
        "def get_device_capability(device=None):\n"
        "    global initialised\n"
        "    initialised = True\n"
        "    return 12, 1\n",
    )
    place.write("asking", "import torch\nassert torch.cuda.get_device_capability() == (12, 1)")
    place.write("keeping", "from torch.cuda import get_device_capability as kept\nassert kept(0) == (12, 1)")
    report = read_report(place, "torch", "asking", "keeping")
    assert report.failed == ()
    assert report.problem.startswith(problem)
    assert bool(report.problem) == bool(problem)


def test_after_the_imports_pytorch_answers_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = SimpleNamespace(get_device_capability=lambda device=None: (7, device))
    monkeypatch.setitem(
        sys.modules, "torch", SimpleNamespace(cuda=cuda, version=SimpleNamespace(cuda="13.0"))
    )
    original, capability = cuda.get_device_capability, NvmlCapability()
    capability.install()
    assert cuda.get_device_capability is capability
    capability.remove()
    assert cuda.get_device_capability is original
    assert capability(5) == (7, 5)


def test_modules_depend_on_the_build_of_pytorch(place: Place) -> None:
    place.write("torch", "class version: cuda = None")
    for name in ("cuda_only", "cpu_only"):
        place.write(name, "import os\nos.environ.get('READ_BY_' + __name__)")
    report = read_report(place, "torch", "cuda_only if cuda", "cpu_only if cpu")
    assert "READ_BY_cpu_only" in report.variables
    assert "READ_BY_cuda_only" not in report.variables


def test_modules_that_cannot_be_imported_are_reported_and_the_others_imported(place: Place) -> None:
    place.write("failing", "raise ValueError('not today')")
    place.write("needing", "import absent_elsewhere")
    place.write("invalid", "this is no Python")
    place.write("leaving", "import sys\nsys.exit('goodbye')")
    place.write("last", "import os\nos.environ.get('LAST')")
    report = read_report(place, "absent", "failing", "needing", "invalid", "leaving", "last")
    assert report.failed[:3] == (
        "absent: not found",
        "failing: ValueError: not today",
        "needing: No module named 'absent_elsewhere'",
    )
    assert report.failed[3].startswith("invalid: SyntaxError: ")
    assert report.failed[4:] == ("leaving: SystemExit: goodbye",)
    assert "LAST" in report.variables
    assert not report.problem


@pytest.mark.parametrize(
    "text", ["import os\nos._exit(3)", "raise KeyboardInterrupt", "import os\nos.abort()"]
)
def test_an_import_that_ends_the_process_ends_the_launcher(place: Place, text: str) -> None:
    place.write("ending", text)
    with pytest.raises(LaunchError, match="the launcher has exited"):
        read_report(place, "ending")


def test_an_import_that_hangs_ends_with_the_launcher(place: Place) -> None:
    place.write("hanging", "import time\nprint('hanging', flush=True)\ntime.sleep(600)")

    async def scenario() -> None:
        log = Log(None)
        async with place.launcher("hanging", log=log) as launcher:
            await wait_until(lambda: log.tail(1) == ["hanging"])
            waiting = asyncio.create_task(launcher.wait_until_ready())
            await asyncio.sleep(0)
            assert launcher.report is None
            launcher.kill()
            with pytest.raises(LaunchError, match="the launcher was ended"):
                await waiting
            assert (await launcher.process.wait()).signal == signal.SIGKILL

    asyncio.run(scenario())


def test_the_output_of_the_imports_is_in_the_launchers_log_only(place: Place) -> None:
    place.write(
        "talking", "import sys\nprint('x' * 100_000)\nprint('line\\n' * 2_000)\nprint('last', end='')"
    )

    async def scenario() -> None:
        log, engine = Log(None), Log(None)
        async with place.launcher("talking", log=log) as launcher:
            assert not (await launcher.wait_until_ready()).problem
            await finish(await place.start_warm(launcher, place.command("leave", "zero"), engine))
        assert log.tail(1) == ["last"]
        assert engine.tail(9) == ["output"]

    asyncio.run(scenario())


def test_every_way_to_read_a_variable_is_recorded(place: Place) -> None:
    place.write(
        "reading",
        "import os\n"
        "os.environ.get('BY_GET'), os.getenv('BY_GETENV'), 'BY_IN' in os.environ, os.environb.get(b'BY_BYTES')\n"
        "os.environ.setdefault('BY_SETDEFAULT', '1'), os.environ.pop('BY_POP', None)\n"
        "try: os.environ['BY_INDEX']\n"
        "except KeyError: pass\n"
        "os.environ['ONLY_SET'] = '1'\n",
    )
    report = read_report(place, "reading")
    kinds = ("GET", "GETENV", "IN", "BYTES", "SETDEFAULT", "POP", "INDEX")
    assert {f"BY_{kind}" for kind in kinds} <= report.variables
    assert "ONLY_SET" not in report.variables


def test_reading_all_variables_records_those_that_are_set(place: Place) -> None:
    place.write("copying", "import os\ncopy = dict(os.environ)")
    assert place.environment.keys() <= read_report(place, "copying").variables


def test_reading_is_not_recorded_after_the_imports(place: Place) -> None:
    both: list[str] = []

    async def scenario() -> None:
        log = Log(None)
        async with place.launcher("json") as launcher:
            await launcher.wait_until_ready()
            await finish(await place.start_warm(launcher, place.command("show", "SHOWN", SHOWN="yes"), log))
        both.extend(log.tail(1))

    asyncio.run(scenario())
    assert both == ["SHOWN yes yes yes"]
