"""The GPU's sensors: use, temperature, power, clock, and what limits the clock. Read from NVML, in a thread.

A GB10 reports use, temperature, power and clock; what a GPU does not report is None. One `GpuSensors` is shared by
everything that shows them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal, TypeVar, get_args

from msgspec import Struct

from sparkd.machine.latest_reading import LatestReading
from sparkd.machine.nvml import Nvml

N = TypeVar("N")

ThrottleReason = Literal["power_cap", "thermal", "hardware", "hardware_thermal", "hardware_power"]
"""Why the clock is lower than it could be: the power limit; the temperature, by software; by hardware for any reason,
for its temperature, or for its power supply."""

THROTTLE_REASONS: Final[tuple[ThrottleReason, ...]] = get_args(ThrottleReason)

_MASKS: Final[tuple[tuple[int, ThrottleReason], ...]] = (
    (0x04, "power_cap"),  # nvmlClocksEventReasonSwPowerCap
    (0x08, "hardware"),  # nvmlClocksThrottleReasonHwSlowdown
    (0x20, "thermal"),  # nvmlClocksEventReasonSwThermalSlowdown
    (0x40, "hardware_thermal"),  # nvmlClocksThrottleReasonHwThermalSlowdown
    (0x80, "hardware_power"),  # nvmlClocksThrottleReasonHwPowerBrakeSlowdown
)


class GpuReading(Struct, frozen=True, kw_only=True):
    """The first GPU at one moment. Each is None if the GPU does not report it.

    `utilization` is the share of time in which it worked (0 to 1), `temperature` °C, `power` watts, `clock` the hertz
    of its processors, `energy` the joules that it has used since the driver was loaded. `throttled` has the reasons for
    which its clock is limited now.
    """

    name: str
    utilization: float | None = None
    temperature: float | None = None
    power: float | None = None
    clock: float | None = None
    energy: float | None = None
    throttled: tuple[ThrottleReason, ...] | None = None


class GpuSensors(LatestReading[GpuReading | None]):
    """The sensors of the first GPU. A reading is None if no GPU answers."""

    def __init__(self, nvml: Nvml | None = None) -> None:
        library = nvml or Nvml(logs=False)  # the watch of the memory reports it already
        super().__init__(lambda: library.query(read_sensors), "gpu-sensors")


def read_sensors(pynvml: Any, device: Any) -> GpuReading:
    """Read every sensor. Takes some milliseconds, or as long as the driver hangs. Raises NVMLError."""

    def ask(question: Callable[[], N]) -> N | None:
        """The answer, None if the GPU or its driver does not know it."""
        try:
            return question()
        except (
            pynvml.NVMLError_NotSupported,
            pynvml.NVMLError_FunctionNotFound,
            pynvml.NVMLError_NoPermission,
            pynvml.NVMLError_InvalidArgument,
            pynvml.NVMLError_NoData,
        ):
            return None

    power = ask(lambda: int(pynvml.nvmlDeviceGetPowerUsage(device)))
    energy = ask(lambda: int(pynvml.nvmlDeviceGetTotalEnergyConsumption(device)))
    clock = ask(lambda: int(pynvml.nvmlDeviceGetClockInfo(device, pynvml.NVML_CLOCK_SM)))
    use = ask(lambda: int(pynvml.nvmlDeviceGetUtilizationRates(device).gpu))
    # Each has two names in NVML: drivers have the newer one, the older one, or both.
    reasons = ask(lambda: int(pynvml.nvmlDeviceGetCurrentClocksEventReasons(device)))
    if reasons is None:
        reasons = ask(lambda: int(pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(device)))
    temperature = ask(lambda: int(pynvml.nvmlDeviceGetTemperature(device, pynvml.NVML_TEMPERATURE_GPU)))
    if temperature is None:
        temperature = ask(lambda: int(pynvml.nvmlDeviceGetTemperatureV(device, pynvml.NVML_TEMPERATURE_GPU)))
    return GpuReading(
        name=str(pynvml.nvmlDeviceGetName(device)),
        utilization=None if use is None else use / 100,
        temperature=None if temperature is None else float(temperature),
        power=None if power is None else power / 1000,
        clock=None if clock is None else clock * 1e6,
        energy=None if energy is None else energy / 1000,
        throttled=None if reasons is None else name_throttle_reasons(reasons),
    )


def name_throttle_reasons(bits: int) -> tuple[ThrottleReason, ...]:
    """The reasons in NVML's bit field that make a GPU slower than it could be. An idle GPU has none."""
    return tuple(reason for mask, reason in _MASKS if bits & mask)
