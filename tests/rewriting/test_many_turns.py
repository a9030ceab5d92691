"""Conversations of thousands of turns: rewriting is on the event loop, so its time must not grow with their square.

A program of its own rewrites them, with a limit on its processor time. The limit only ends it if one takes minutes.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from sparkd.catalog.templates import Template
from sparkd.rewriting import JsonBody, RewriteContext, rewrite
from sparkd.rewriting.rewrite_context import Api
from tests.rewriting.examples import model

TURNS = 16_000
LIMIT = 120
"""Seconds of processor time. All of them together take a tenth of it; with its square, one alone takes more."""

USER = {"role": "user", "content": "hello there"}
SYSTEM = {"role": "system", "content": "hello there"}


def chat_call(id_: str) -> dict[str, Any]:
    call = {"id": id_, "type": "function", "function": {"name": "f", "arguments": "{"}}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def item_call(id_: str) -> dict[str, Any]:
    return {"type": "function_call", "call_id": id_, "name": "f", "arguments": "{"}


def block_call(id_: str) -> dict[str, Any]:
    return {"type": "tool_use", "id": id_, "name": "f", "input": {}}


def conversations() -> Iterator[tuple[Api, list[dict[str, Any]]]]:
    ids = [f"c{number}" for number in range(TURNS)]
    for api in ("chat", "messages", "responses"):
        yield api, [USER] * TURNS
        yield api, [USER, *[SYSTEM] * TURNS]
        yield api, [*[SYSTEM] * TURNS, USER]
    yield "chat", [USER, *map(chat_call, ids), USER]
    yield "chat", [USER, *[chat_call("c")] * TURNS, USER]
    yield "messages", [USER, {"role": "assistant", "content": [*map(block_call, ids)]}, USER]
    yield "messages", [USER, {"role": "assistant", "content": [block_call("c")] * TURNS}, USER]
    yield "responses", [USER, *map(item_call, ids), USER]
    yield "responses", [USER, *[item_call("c")] * TURNS, USER]
    yield "responses", [USER, *[{"type": "reasoning", "summary": [{"text": "so"}]}] * TURNS, USER]


def rewrite_all() -> None:
    """Rewrite every conversation, for a template that accepts little and for one of which nothing is known."""
    resource.setrlimit(resource.RLIMIT_CPU, (LIMIT, LIMIT))
    for api, turns in conversations():
        field = "input" if api == "responses" else "messages"
        data = json.dumps({"model": "m", field: turns, "max_tokens": 1}).encode()
        for template in (Template(system="first", alternates=True, short_call_ids=True), Template()):
            rewrite(RewriteContext(model(), api, template=template), JsonBody.parse(data))


def test_the_time_grows_with_the_number_of_turns_and_not_with_its_square() -> None:
    code = "from tests.rewriting.test_many_turns import rewrite_all; rewrite_all(); print('done')"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ran.stdout, ran.returncode) == ("done\n", 0), ran.stderr
