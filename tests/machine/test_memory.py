"""Memory of this machine, of a GB10, of machines whose GPU has its own memory, and with failing drivers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from sparkd.errors import ProbeError
from sparkd.machine.host_memory import HostMemoryMeter
from sparkd.machine.meminfo import parse_meminfo, read_meminfo
from sparkd.machine.memory import MemoryProbe, is_unified
from sparkd.machine.nvml import Gpu
from tests.machine.drivers import Driver, build_driver

GIB = 1024**3
SPARK = """MemTotal:       127600748 kB
MemFree:         3412340 kB
MemAvailable:   98102844 kB
SwapFree:       16777212 kB
HugePages_Total:       0
HugePages_Free:        0
Hugepagesize:       2048 kB
"""

READ_ONCE = """
from sparkd.machine.memory import MemoryProbe
memory = MemoryProbe().read()
print(memory.kind, memory.total, memory.available, sorted(memory.processes.items()))
"""

READ_REPEATEDLY = """
import os, pathlib
from sparkd.machine import nvml
from sparkd.machine.memory import MemoryProbe
nvml.RETRY_INTERVAL = 0.0
probe = MemoryProbe()
for kind in ({kinds}):
    pathlib.Path(os.environ["FAKE_NVML"]).write_text(kind)
    memory = probe.read()
    print(memory.kind, "unknown" if memory.available is None else "known", memory.scarcest > 0)
"""


@pytest.fixture
def driver(tmp_path: Path) -> Driver:
    return build_driver(tmp_path, "gb10")


def test_available_is_mem_available_and_swap_does_not_count() -> None:
    meminfo = parse_meminfo(SPARK)
    assert (meminfo.total, meminfo.available, meminfo.free) == (
        127600748 * 1024,
        98102844 * 1024,
        3412340 * 1024,
    )


def test_with_hugepages_reserved_only_those_count() -> None:
    text = SPARK.replace("HugePages_Total:       0", "HugePages_Total:    2000")
    assert parse_meminfo(text.replace("HugePages_Free:        0", "HugePages_Free:    512")).available == GIB


@pytest.mark.parametrize(
    "text", ["", "MemTotal: many kB\n", "MemTotal:\n", SPARK.replace("MemAvailable", "Mem")]
)
def test_a_file_that_the_kernel_did_not_write_is_an_error(text: str) -> None:
    with pytest.raises(ProbeError):
        parse_meminfo(text)


def test_this_machine_has_the_memory_that_psutil_sees() -> None:
    meminfo, other = read_meminfo(), psutil.virtual_memory()
    assert meminfo.total == other.total
    assert abs(meminfo.available - other.available) < GIB


def test_without_a_driver_only_the_hosts_memory_counts() -> None:
    memory = MemoryProbe().read_host()
    assert (memory.kind, memory.total, memory.available) == ("host", memory.host_total, memory.host_available)


def test_a_gb10_that_reports_no_total_uses_the_hosts_memory_and_reports_memory_by_process(
    driver: Driver,
) -> None:
    driver.set_processes({4711: 30 * GIB, 4712: GIB})
    kind, total, available, processes = driver.run_program(READ_ONCE).split(maxsplit=3)
    assert (kind, int(total)) == ("unified", read_meminfo().total)
    assert abs(int(available) - read_meminfo().available) < GIB
    assert processes == str([(4711, 30 * GIB), (4712, GIB)])


def test_a_driver_that_reports_the_hosts_total_means_unified_memory(driver: Driver) -> None:
    driver.set_kind("gb10-total")
    assert driver.run_program(READ_ONCE).startswith(f"unified {read_meminfo().total} ")


def test_an_h100_has_memory_of_its_own(driver: Driver) -> None:
    driver.set_kind("h100")
    assert driver.run_program(READ_ONCE) == f"separate {80 * GIB} {72 * GIB} []"


def test_a_gpu_with_a_little_more_memory_than_its_host_is_not_unified(driver: Driver) -> None:
    driver.set_kind("h200")
    assert driver.run_program(READ_ONCE).startswith("separate ")


@pytest.mark.parametrize(
    ("name", "total"), [("NVIDIA GB10", 128), ("NVIDIA Whatever", 122), ("NVIDIA X", None)]
)
def test_which_gpus_have_unified_memory(name: str, total: int | None) -> None:
    assert is_unified(Gpu(name, total, None), 121)


def test_a_driver_that_disappears_and_returns_breaks_nothing(driver: Driver) -> None:
    output = driver.run_program(READ_REPEATEDLY.format(kinds='"h100", "gone", "absent", "h100"'))
    assert output.splitlines() == [
        "separate known True",
        "separate unknown True",
        "separate unknown True",
        "separate known True",
    ]


def test_a_gb10_whose_driver_is_reloaded_stays_a_gb10(driver: Driver) -> None:
    output = driver.run_program(READ_REPEATEDLY.format(kinds='"gb10", "gone", "gb10"'))
    assert output.splitlines() == ["unified known True"] * 3


def test_a_driver_that_is_not_loaded_leaves_a_machine_without_a_gpu(driver: Driver) -> None:
    driver.set_kind("absent")
    assert driver.run_program(READ_ONCE).startswith("host ")


def test_a_processs_memory_is_what_it_allocates_without_the_files_it_maps() -> None:
    program = "import sys; held = b'x' * (64 << 20); print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=-1, stdout=-1) as process:
        assert process.stdout
        assert process.stdin
        process.stdout.readline()
        used = HostMemoryMeter().measure([process.pid])
        process.stdin.close()
    assert 64 << 20 < used < 80 << 20
    assert HostMemoryMeter().measure([process.pid]) == 0


def test_memory_that_two_processes_share_counts_once() -> None:
    program = (
        "import mmap, os, sys\n"
        "held = mmap.mmap(-1, 64 << 20)\n"
        "held[:] = b'x' * len(held)\n"
        "child = os.fork()\n"
        "held[:1 << 26] if child else held.read()\n"
        "print(child, flush=True) if child else None\n"
        "sys.stdin.read() if child else os.read(0, 1)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=-1, stdout=-1) as process:
        assert process.stdout
        assert process.stdin
        child = int(process.stdout.readline())
        used = HostMemoryMeter().measure([process.pid, child])
        process.stdin.close()
    assert 64 << 20 < used < 190 << 20
    assert os.getpid() != child


def test_pages_that_forks_have_not_written_to_count_once() -> None:
    program = (
        "import os, sys\n"
        "held = bytearray(os.urandom(1 << 20) * 64)\n"
        "children = []\n"
        "for _ in range(3):\n"
        "    child = os.fork()\n"
        "    if not child:\n"
        "        os.read(0, 1); os._exit(0)\n"
        "    children.append(child)\n"
        "print(*children, flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=-1, stdout=-1) as process:
        assert process.stdout
        assert process.stdin
        children = list(map(int, process.stdout.readline().split()))
        meter = HostMemoryMeter()
        alone = meter.measure([process.pid])
        together = meter.measure([process.pid, *children])
        again = meter.measure([process.pid, *children])
        process.stdin.close()
    assert 16 << 20 <= alone < 48 << 20
    assert 64 << 20 <= together < 96 << 20
    assert abs(again - together) < 1 << 20
