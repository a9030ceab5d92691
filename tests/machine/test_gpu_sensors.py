"""The GPU's sensors: of a GB10, of an H100, of none, and of a driver that hangs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparkd.machine.disk import disk_space
from sparkd.machine.gpu_sensors import GpuSensors, name_throttle_reasons
from sparkd.machine.latest_reading import LatestReading
from sparkd.machine.pressure import parse_pressure, read_pressure
from tests.machine.drivers import Driver, build_driver

READ = """
import asyncio, os, pathlib, time
from sparkd.machine.gpu_sensors import GpuSensors
async def main():
    kind = pathlib.Path(os.environ["FAKE_NVML"])
    sensors = GpuSensors()
    {steps}
asyncio.run(main())
"""

HANG = """
    print(await sensors.get() is not None)
    kind.write_text("hangs")
    sensors._fresh = 0.0
    began = time.monotonic()
    print((await sensors.get()).temperature, sensors.age >= 0.5)
    sensors._stale = 0.0
    print(await sensors.get(), await sensors.get(), sensors.peek())
"""


@pytest.fixture
def driver(tmp_path: Path) -> Driver:
    return build_driver(tmp_path, "gb10")


def read(driver: Driver, steps: str = "print(await sensors.get())") -> str:
    return driver.run_program(READ.format(steps=steps.strip()))


def test_a_gb10_reports_everything_but_the_energy(driver: Driver) -> None:
    assert read(driver) == (
        "GpuReading(name='NVIDIA GB10', utilization=0.96, temperature=71.0, power=84.25, clock=2405000000.0, "
        "energy=None, throttled=('thermal',))"
    )


def test_an_h100_reports_the_energy_too_and_idle_is_not_throttled(driver: Driver) -> None:
    driver.set_kind("h100")
    assert read(driver).endswith("energy=7200.5, throttled=())")


def test_without_a_driver_everything_is_unknown(driver: Driver) -> None:
    driver.set_kind("absent")
    assert read(driver) == "None"


def test_a_gpu_that_disappears_is_unknown(driver: Driver) -> None:
    steps = 'print(await sensors.get() is None); kind.write_text("gone"); sensors._fresh = 0.0; '
    assert read(driver, steps + "print(await sensors.get())") == "False\nNone"


def test_a_driver_that_hangs_delays_nothing_beyond_the_deadline_and_not_the_exit(driver: Driver) -> None:
    """The program ends although the thread never does: `run_program` would wait for ever."""
    assert read(driver, HANG).splitlines() == ["True", "71.0 True", "None None None"]


def test_without_an_nvml_library_there_is_no_gpu() -> None:
    assert asyncio.run(GpuSensors().get()) is None


@pytest.mark.parametrize(
    ("bits", "reasons"),
    [
        (0x0, ()),
        (0x1 | 0x2 | 0x10 | 0x100, ()),
        (0x4, ("power_cap",)),
        (0x8 | 0x40, ("hardware", "hardware_thermal")),
        (0x20 | 0x80 | 1 << 40, ("thermal", "hardware_power")),
    ],
)
def test_names_of_what_limits_the_clock(bits: int, reasons: tuple[str, ...]) -> None:
    assert name_throttle_reasons(bits) == reasons


def test_many_who_ask_at_once_share_one_reading() -> None:
    released, counted = threading.Event(), []

    def count() -> int:
        counted.append(1)
        released.wait()
        return len(counted)

    async def ask() -> None:
        latest = LatestReading(count, "test", deadline=60.0)
        asked = [asyncio.create_task(latest.get()) for _ in range(50)]
        await asyncio.sleep(0)
        assert latest.peek() is None
        assert latest.value is None
        released.set()
        assert await asyncio.gather(*asked) == [1] * 50
        assert latest.peek() == await latest.get() == 1  # it is fresh

    asyncio.run(ask())


def test_a_bug_in_a_reading_is_raised_where_it_is_awaited_and_the_next_one_works() -> None:
    results: Iterator[ZeroDivisionError | int] = iter([ZeroDivisionError(), 7])

    def fail_once() -> int:
        result = next(results)
        if isinstance(result, Exception):
            raise result
        return result

    async def ask() -> None:
        latest = LatestReading(fail_once, "test", deadline=60.0)
        with pytest.raises(ZeroDivisionError):
            await latest.get()
        assert await latest.get() == 7

    asyncio.run(ask())


def test_memory_pressure_is_a_ratio_by_window(tmp_path: Path) -> None:
    text = "some avg10=12.50 avg60=3.00 avg300=0.10 total=9\nfull avg10=1.00 avg60=0.00 avg300=0.00 total=1\n"
    pressure = parse_pressure(text)
    assert pressure.some == {10: 0.125, 60: 0.03, 300: 0.001}
    assert pressure.full == {10: 0.01, 60: 0.0, 300: 0.0}
    (tmp_path / "memory").write_text("nothing of the kind")
    assert read_pressure(tmp_path / "memory") is read_pressure(tmp_path / "absent") is None


def test_the_space_of_a_folder_that_is_not_there_yet_is_that_of_its_parent(tmp_path: Path) -> None:
    found, parent = disk_space(tmp_path / "not" / "there"), disk_space(tmp_path)
    assert found is not None
    assert parent is not None
    assert found.total == parent.total
    assert 0 < found.available <= found.total
    (tmp_path / "file").touch()
    assert disk_space(tmp_path / "file" / "below") is None
