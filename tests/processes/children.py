"""Helpers for tests with real child processes: the bad engine, Python programs, and waiting for a condition."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sparkd.engines.engine import Command

BAD_ENGINE = (sys.executable, "-S", "-E", str(Path(__file__).parents[1] / "bad_engine.py"))
ENVIRONMENT = {"PATH": os.environ["PATH"]}


def bad_engine(*flags: str) -> Command:
    return Command((*BAD_ENGINE, "--socket", "api.sock", "--journal", "journal", *flags), ENVIRONMENT)


def python(program: str) -> Command:
    return Command((sys.executable, "-S", "-E", "-c", program), ENVIRONMENT)


async def wait_until(condition: Callable[[], object], within: float = 60.0) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"not true within {within} seconds"
        await asyncio.sleep(0.005)


def read_events(directory: Path) -> list[dict[str, Any]]:
    path = directory / "journal"
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines() if line.endswith("}")]


def pids_of(directory: Path, *kinds: str) -> list[int]:
    return [event["pid"] for event in read_events(directory) if event["event"] in kinds]


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except OSError:
        return False
    return state not in "ZX"
