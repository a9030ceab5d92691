"""A model and its surroundings, as the catalogue and the supervisor would make them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sparkd.catalog.definitions import Model
from sparkd.engines.engine import Address, LaunchContext, TcpAddress, UnixAddress

SOCKET = UnixAddress("/run/m.1/api.sock")
PORT = TcpAddress("127.0.0.1", 20001)


def model(**keys: Any) -> Model:
    timeouts = ("idle_timeout", "start_timeout", "stop_grace", "drain_timeout", "min_residency")
    usual = {
        "id": "m",
        "runtime": "cpu",
        "source": "org/name",
        **dict.fromkeys(timeouts, 1.0),
        "download": "reject",
    }
    return Model(**{**usual, **keys})


def launch_context(
    *,
    environment: dict[str, str] | None = None,
    address: Address = SOCKET,
    inherited: dict[str, str] | None = None,
    memory: int | None = None,
    total: int | None = None,
) -> LaunchContext:
    return LaunchContext(
        program=Path("/runtimes/cpu/bin"),
        environment=environment or {},
        directory=Path("/run/m.1"),
        models=Path("/models"),
        cache=Path("/cache"),
        address=address,
        inherited=inherited or {},
        memory=memory,
        total=total,
    )
