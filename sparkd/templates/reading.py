"""Reads chat templates in a process of its own, with limits on its time."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final

import msgspec

from sparkd.catalog.templates import Template
from sparkd.templates.locations import TemplateLocation

TIME_LIMIT: Final = 60.0
"""Seconds for all templates together. A real one takes a hundredth of a second, and none may take more than 2."""

PROGRAM: Final = (sys.executable, "-I", "-m", "sparkd.templates")
_ENVIRONMENT: Final = {"LANG": "C.UTF-8", "PATH": "/usr/bin:/bin"}

_decode = msgspec.json.Decoder(Template).decode


async def read_templates(
    locations: Sequence[TemplateLocation], time_limit: float = TIME_LIMIT, program: Sequence[str] = PROGRAM
) -> list[Template | None]:
    """Find out what each template accepts; None for one that was not read: its process ended, or time ran out.

    `program` is the command that reads them. Never fails.
    """
    deadline = asyncio.get_running_loop().time() + time_limit
    found: list[Template | None] = []
    while len(found) < len(locations):
        output = bytearray()
        try:
            async with asyncio.timeout_at(deadline):
                await _run(program, msgspec.json.encode(locations[len(found) :]), output)
        except (TimeoutError, OSError):
            found += _parse(output)
            break
        found += _parse(output)
        if len(found) < len(locations):
            found.append(None)  # the process ended while it read this one; another process reads the rest
    return (found + [None] * len(locations))[: len(locations)]


async def _run(program: Sequence[str], data: bytes, output: bytearray) -> None:
    """Run the program; add its output as it comes. Raises OSError if it cannot be started."""
    pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        *program, stdin=pipe, stdout=pipe, stderr=nothing, env=_ENVIRONMENT, cwd="/"
    )
    try:
        if process.stdin:
            process.stdin.write(data)  # the program reads it whole before it writes
            process.stdin.close()
        while process.stdout and (piece := await process.stdout.read(65536)):
            output += piece
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await asyncio.shield(process.wait())


def _parse(output: bytearray) -> Iterator[Template]:
    for line in output.splitlines():
        try:
            yield _decode(line)
        except msgspec.DecodeError:  # the last line of a program that was killed
            return
