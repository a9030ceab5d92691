"""What the Python programs have in common: they read rounds, and run all cases of a round at once."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple


class Target(NamedTuple):
    """Where a request goes. `timeout` is seconds without a byte, `chunk_timeout` seconds without a chunk."""

    url: str
    model: str
    prompt: str
    timeout: float
    chunk_timeout: float


Outcome = dict[str, Any]
Case = Callable[[Target], Awaitable[Outcome]]


def run_rounds(cases: Mapping[str, Case]) -> None:
    """Run the rounds that standard input names, until it ends."""
    asyncio.run(_run_rounds(cases))


async def _run_rounds(cases: Mapping[str, Case]) -> None:
    _print({"cases": list(cases)})
    while line := await asyncio.to_thread(sys.stdin.readline):
        wanted = json.loads(line)
        prompts = wanted.pop("prompts")
        tasks = {
            name: [asyncio.create_task(_run(case, Target(prompt=prompt, **wanted))) for prompt in prompts]
            for name, case in cases.items()
        }
        await asyncio.sleep(0)
        _print({"asked": True})
        _print({"outcomes": {name: await asyncio.gather(*started) for name, started in tasks.items()}})


async def _run(case: Case, target: Target) -> Outcome:
    """Run one case. Whatever the library raises is its outcome."""
    try:
        return await case(target)
    except Exception as error:  # noqa: BLE001  # the test decides which errors are right
        return {"error": describe(error)}


def describe(error: BaseException) -> dict[str, Any]:
    """Return the class, the status, the code and the message of an error, and the classes of its causes."""
    body = getattr(error, "body", None)
    inner = body.get("error", body) if isinstance(body, dict) else {}
    chain, cause = [type(error).__name__], error.__cause__ or error.__context__
    while cause is not None:
        chain.append(type(cause).__name__)
        cause = cause.__cause__ or cause.__context__
    return {
        "class": type(error).__name__,
        "chain": chain,
        "status": getattr(error, "status_code", None),
        "code": getattr(error, "code", None) or (inner.get("code") if isinstance(inner, dict) else None),
        "type": getattr(error, "type", None) or (inner.get("type") if isinstance(inner, dict) else None),
        "message": str(error),
    }


def _print(document: Any) -> None:
    print(json.dumps(document), flush=True)
