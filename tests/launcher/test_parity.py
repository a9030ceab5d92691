"""A forked engine differs from a new program only in that its imports are done."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Sequence
from typing import Any

import pytest

from sparkd.engines.engine import Exit
from sparkd.processes.log import Log
from tests.launcher.runtime import Place, finish
from tests.processes.children import wait_until

INTENDED = {"main", "file", "flags"}
"""What may differ: the launcher's program is the main module, and Python has not put that program's folder first into
the search path (`-P`), so that no file beside it hides a module."""


def run_both(
    place: Place, *arguments: str, modules: Sequence[str] = (), **variables: str
) -> dict[str, tuple[Exit, list[str]]]:
    """Run a command as a new program and from a launcher, in the same folder; return their exits and output."""

    async def scenario() -> dict[str, tuple[Exit, list[str]]]:
        command, folder = place.command(*arguments, **variables), place.new_folder()
        cold, warm = Log(None), Log(None)
        cold_exit = await finish(await place.start_cold(command, cold, folder))
        async with place.launcher(*modules) as launcher:
            report = await launcher.wait_until_ready()
            assert not report.problem
            assert not report.failed
            warm_exit = await finish(await place.start_warm(launcher, command, warm, folder))
        return {"cold": (cold_exit, cold.tail(100)), "warm": (warm_exit, warm.tail(100))}

    return asyncio.run(scenario())


def describe_both(place: Place, *modules: str, **variables: str) -> tuple[dict[str, Any], dict[str, Any]]:
    both = run_both(place, "describe", modules=modules, **variables)
    assert both["cold"][0] == both["warm"][0] == Exit(0), both
    cold, warm = (json.loads(both[kind][1][-1]) for kind in ("cold", "warm"))
    return cold, warm


def find_differences(cold: dict[str, Any], warm: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    names = cold.keys() | warm.keys()
    return {name: (cold[name], warm[name]) for name in names if cold[name] != warm[name]}


def without_pipe_numbers(description: dict[str, Any]) -> dict[str, Any]:
    kinds = {number: path.partition(":")[0] for number, path in description["descriptors"].items()}
    return {**description, "descriptors": kinds}


def test_a_forked_engine_sees_what_a_new_program_sees(place: Place) -> None:
    cold, warm = map(without_pipe_numbers, describe_both(place, "json", "standin", MODEL="of its own"))
    differences = find_differences(cold, warm)
    assert differences.keys() == INTENDED
    assert warm["leads a session"]
    assert warm["parent"] == os.getpid()
    assert warm["descriptors"] == {"0": "/dev/null", "1": "pipe", "2": "pipe"}
    assert warm["environment"]["MODEL"] == "of its own"
    assert warm["file"] is None


def test_what_an_import_changes_in_its_process_is_changed_in_both(place: Place) -> None:
    place.write(
        "changing",
        "import os, resource, signal, sys, tempfile, threading\n"
        "os.umask(0o027)\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (500, 600))\n"
        "signal.signal(signal.SIGUSR1, signal.SIG_IGN)\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])\n"
        "os.nice(1)\n"
        "sys.path.append('/added')\n"
        "tempfile.gettempdir()\n"
        "os.environ['ADDED'] = 'by the import'\n"
        "os.environ['MODEL'] = 'replaced by the import'\n"
        "os.environ.pop('REMOVED')\n",
    )
    place.write("sitecustomize", "import os\nif 'LATE' not in os.environ: import changing\n")
    place.environment["REMOVED"] = "1"

    async def describe_cold() -> dict[str, Any]:
        log = Log(None)
        await finish(await place.start_cold(place.command("describe", MODEL="of its own"), log))
        described: dict[str, Any] = json.loads(log.tail(1)[0])
        return described

    async def describe_warm() -> dict[str, Any]:
        log = Log(None)
        async with place.launcher("changing", LATE="1") as launcher:
            await launcher.wait_until_ready()
            command = place.command("describe", MODEL="of its own")
            await finish(await place.start_warm(launcher, command, log))
        described: dict[str, Any] = json.loads(log.tail(1)[0])
        return described

    cold, warm = (
        without_pipe_numbers(asyncio.run(describe())) for describe in (describe_cold, describe_warm)
    )
    folders = {"directory", "temporary folder"}
    assert find_differences(cold, warm).keys() <= INTENDED | folders
    assert warm["environment"]["ADDED"] == "by the import"
    assert warm["environment"]["MODEL"] == "replaced by the import"
    assert "REMOVED" not in warm["environment"]


def test_an_import_that_changes_the_title_does_not_change_the_environment(place: Place) -> None:
    """setproctitle copies the variables, then writes over the memory that had arguments and environment."""
    place.write(
        "titled",
        "import ctypes, os\n"
        "fields = open('/proc/self/stat').read().rpartition(')')[2].split()\n"
        "start, end = int(fields[45]), int(fields[48])\n"  # arg_start and env_end, see proc_pid_stat(5)
        "for name, value in os.environb.items(): os.putenv(name, value)\n"
        "ctypes.memset(start, 0, end - start - 1)\n",
    )
    place.environment["TMPDIR"] = str(place.folder)
    both = run_both(place, "show", "MODEL", "TMPDIR", modules=("titled",), MODEL="1", TMPDIR="/tmp")
    assert both["warm"] == both["cold"]
    assert both["warm"][1] == ["MODEL 1 1 1", "TMPDIR /tmp /tmp /tmp"]


def test_a_file_that_an_import_opened_stays_open(place: Place) -> None:
    place.write(
        "opening",
        "import os\n"
        "FILE = open(__file__)\n"
        "SECOND = os.open(os.path.dirname(__file__), os.O_RDONLY)\n"
        "def use(): return FILE.readline().strip(), os.fstat(SECOND).st_ino > 0\n",
    )
    both = run_both(place, "use", "opening", modules=("opening",))
    assert both["cold"] == both["warm"] == (Exit(0), ["('import os', True)"])


@pytest.mark.parametrize("first", ["none", "three", "text", "return-many", "return-text"])
def test_exit_codes_are_the_same(place: Place, first: str) -> None:
    both = run_both(place, "leave", first)
    assert both["cold"] == both["warm"]


def test_every_way_to_end_has_the_same_result(place: Place) -> None:
    kinds = ("zero", "many", "minus", "return-none", "return-three", "interrupt", "abort", "at-once")

    async def scenario() -> None:
        async with place.launcher() as launcher:
            await launcher.wait_until_ready()
            for kind in kinds:
                cold, warm, command = Log(None), Log(None), place.command("leave", kind)
                exits = (
                    await finish(await place.start_cold(command, cold)),
                    await finish(await place.start_warm(launcher, command, warm)),
                )
                assert exits[0] == exits[1], kind
                assert cold.tail(1) == warm.tail(1), kind

    asyncio.run(scenario())


def test_an_error_ends_with_the_same_traceback_at_its_end(place: Place) -> None:
    both = run_both(place, "leave", "error")
    assert both["cold"][0] == both["warm"][0] == Exit(1)
    assert both["cold"][1][-2:] == both["warm"][1][-2:]
    assert both["warm"][1][-1] == "ValueError: an error of the program"


def test_threads_and_exit_functions_finish_before_the_end(place: Place) -> None:
    both = run_both(place, "finish-late")
    assert both["cold"] == both["warm"]
    assert both["warm"][1] == ["main", "thread", "registered last", "registered first"]


def test_an_exit_function_that_fails_is_reported_and_the_next_one_runs(place: Place) -> None:
    both = run_both(place, "fail-at-exit")
    assert both["cold"][0] == both["warm"][0] == Exit(0)
    assert both["cold"][1][-1] == both["warm"][1][-1] == "after"
    assert "ZeroDivisionError: division by zero" in both["warm"][1]


def test_output_of_c_code_is_written_once(place: Place) -> None:
    place.write("printing", "import ctypes\nctypes.CDLL(None).printf(b'import')\n")
    both = run_both(place, "print-in-c", modules=("printing",))
    assert both["cold"] == both["warm"] == (Exit(0), ["printed in C"])


def test_processes_of_each_kind_work_in_a_forked_engine(place: Place) -> None:
    both = run_both(place, "spawn")
    assert both["cold"][0] == both["warm"][0] == Exit(0), both
    assert (
        both["cold"][1] == both["warm"][1] == [f"{kind} [2, 4]" for kind in ("spawn", "fork", "forkserver")]
    )


def test_processes_are_spawned_again_where_the_runtime_has_a_gpu(place: Place) -> None:
    place.write("torch/__init__", "from torch import version, cuda\n")
    place.write("torch/version", "cuda = '13.0'\n")
    place.write("torch/cuda", "def is_initialized(): return False\n")
    both = run_both(place, "spawn", modules=("torch",))
    assert both["warm"][0] == Exit(0), both
    assert both["warm"][1] == [f"{kind} [2, 4]" for kind in ("spawn", "fork", "forkserver")]


def test_random_numbers_differ_between_two_engines(place: Place) -> None:
    async def scenario() -> None:
        logs = [Log(None), Log(None)]
        async with place.launcher("random", "uuid", "tempfile", "standin") as launcher:
            await launcher.wait_until_ready()
            for log in logs:
                await finish(await place.start_warm(launcher, place.command("draw"), log))
        first, second = (log.tail(1)[0].split() for log in logs)
        assert len(first) == 4
        assert not set(first) & set(second)

    asyncio.run(scenario())


def test_the_environment_is_the_same_for_python_for_c_and_for_children(place: Place) -> None:
    both = run_both(
        place, "show", "TMPDIR", "EMPTY", "ABSENT", "WITH_SIGNS", EMPTY="", WITH_SIGNS="a=b ü\n c"
    )
    assert both["cold"] == both["warm"]


def test_signals_end_a_forked_engine_like_a_new_program(place: Place) -> None:
    async def scenario() -> None:
        async with place.launcher() as launcher:
            await launcher.wait_until_ready()
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
                exits = []
                for warm in (False, True):
                    log, command = Log(None), place.command("wait")
                    start = (
                        place.start_warm(launcher, command, log) if warm else place.start_cold(command, log)
                    )
                    process = await start
                    await wait_until(lambda log=log: log.tail(1))  # type: ignore[misc]
                    os.kill(process.pid, number)
                    exits.append(await finish(process))
                assert exits[0] == exits[1], number

    asyncio.run(scenario())
