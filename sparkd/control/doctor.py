"""`GET /doctor`: what `sparkctl doctor` finds, found by a child process, because it inspects the whole machine."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sparkd.control.interfaces import SupervisorInterface
from sparkd.errors import InspectionFailed
from sparkd.scheduling.status import USED_MODELS

DEADLINE: Final = 60.0
"""Seconds for all checks. On a slow disk, thousands of models take that long."""

FRESH: Final = 10.0
"""Seconds for which findings are answered again. `?fresh=1` looks again at once."""


class _Found(Struct, frozen=True):
    """A finding as the command prints it."""

    check: str
    level: Literal["ok", "warning", "error"]
    message: str
    fix: str | None = None


class Finding(Struct, frozen=True, kw_only=True):
    """A finding. `topic` is what was checked; `advice` says how to solve a problem, and `commands` are those in it."""

    level: Literal["ok", "warning", "error"]
    topic: str
    text: str
    advice: str | None
    commands: tuple[str, ...]


class Diagnosis(Struct, frozen=True, kw_only=True):
    """All findings, errors first. `at` is when they were found, and `seconds` how long that took."""

    at: float
    seconds: float
    findings: list[Finding]


def doctor_routes(supervisor: SupervisorInterface, command: Sequence[str] = ()) -> list[BaseRoute]:
    """The route of the doctor. `command` prints findings; by default `python -m sparkd.cli.doctor`."""
    doctor = Doctor(supervisor, command)

    async def diagnose(request: Request) -> Response:
        diagnosis = await doctor.diagnose(fresh=request.query_params.get("fresh") in ("1", "true"))
        return Response(msgspec.json.encode(diagnosis), media_type="application/json")

    return [Route("/doctor", diagnose, methods=["GET"])]


class Doctor:
    """Runs one child at a time, and keeps its findings for FRESH seconds."""

    def __init__(self, supervisor: SupervisorInterface, command: Sequence[str]) -> None:
        self._supervisor = supervisor
        self._command = command
        self._lock = asyncio.Lock()
        self._last: Diagnosis | None = None
        self._begun = float("-inf")

    async def diagnose(self, *, fresh: bool = False) -> Diagnosis:
        """The findings. Raises InspectionFailed."""
        asked = time.monotonic()
        async with self._lock:
            # Requests that waited for the child get its findings, although they asked for new ones.
            is_current = self._begun >= asked or (not fresh and time.monotonic() - self._begun < FRESH)
            if self._last is None or not is_current:
                self._begun = time.monotonic()
                self._last = await self._inspect()
            return self._last

    async def _inspect(self) -> Diagnosis:
        begun = time.monotonic()
        output, errors = await self._run()
        try:
            found = msgspec.json.decode(output, type=list[_Found])
        except msgspec.DecodeError as error:
            lines = errors.decode(errors="replace").strip().splitlines()
            raise InspectionFailed(f"sparkctl doctor failed: {lines[-1] if lines else error}") from error
        rank = {"error": 0, "warning": 1, "ok": 2}
        findings = sorted(map(_translate, found), key=lambda finding: rank[finding.level])
        return Diagnosis(at=time.time(), seconds=time.monotonic() - begun, findings=findings)

    async def _run(self) -> tuple[bytes, bytes]:
        catalogue = str(self._supervisor.catalogue.path)
        command = self._command or (sys.executable, "-I", "-m", "sparkd.cli.doctor", catalogue)
        status = await asyncio.to_thread(msgspec.json.encode, self._supervisor.status(USED_MODELS))
        try:
            child = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                cwd=Path("/"),
            )
        except OSError as error:
            raise InspectionFailed(f"sparkctl doctor cannot be run: {error.strerror}") from error
        try:
            async with asyncio.timeout(DEADLINE):
                return await child.communicate(status)
        except TimeoutError as error:
            text = f"sparkctl doctor did not finish in {DEADLINE:.0f} seconds. Run it in a terminal."
            raise InspectionFailed(text) from error
        finally:
            if child.returncode is None:
                with suppress(ProcessLookupError):
                    child.kill()
                await child.wait()


def _translate(found: _Found) -> Finding:
    fix = found.fix
    return Finding(
        level=found.level,
        topic=found.check,
        text=found.message,
        advice=fix,
        commands=tuple(fix.split("`")[1::2]) if fix else (),
    )
