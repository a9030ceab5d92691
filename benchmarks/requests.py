"""What a request costs sparkd from its last byte to its lease, before and after a change.

python -m benchmarks.requests [ROUNDS]

SPARKD_BEFORE names the folder of another checkout, with the virtual environment in it. Both take turns. The figures are
CPU time, and the least of all rounds, so other programs on the machine disturb them little.
"""

from __future__ import annotations

import base64
import json
import os
import random
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

WORKER = Path(__file__).parent / "request_worker.py"
SECONDS = 0.15
"""CPU time that each case gets in a round."""

WORDS = "The keeper climbed the stairs every evening and cleaned the lamp, long after the ships had gone. "
PICTURE = b"\x89PNG\r\n\x1a\n"


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    bodies = make_bodies()
    pythons = {"now": sys.executable}
    if folder := os.environ.get("SPARKD_BEFORE"):
        pythons = {"before": str(Path(folder).resolve() / ".venv" / "bin" / "python"), **pythons}
    with ExitStack() as stack:
        cases = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sparkd-bench-")))
        for (api, name), body in bodies.items():
            (cases / f"{api},{name}.json").write_bytes(body)
        costs: dict[tuple[str, str], dict[str, float]] = {case: {} for case in bodies}
        workers = {name: stack.enter_context(start(python, cases)) for name, python in pythons.items()}
        for turn in range(rounds):
            for case in bodies:
                for name in sorted(workers, reverse=turn % 2 == 1):
                    cost = ask(workers[name], f"{case[0]}, {case[1]} {SECONDS}")
                    costs[case][name] = min(cost, costs[case].get(name, cost))
    print_table(bodies, costs)


def start(python: str, cases: Path) -> subprocess.Popen[str]:
    """Start a worker, which ends with its input."""
    worker = subprocess.Popen(
        [python, WORKER, cases], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=cases
    )
    assert worker.stdout is not None
    if worker.stdout.readline() != "ready\n":
        raise RuntimeError(f"{python} cannot run {WORKER}")
    return worker


def ask(worker: subprocess.Popen[str], case: str) -> float:
    """The cost of one case, in microseconds."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(f"{case}\n")
    worker.stdin.flush()
    return float(worker.stdout.readline())


def print_table(bodies: dict[tuple[str, str], bytes], costs: dict[tuple[str, str], dict[str, float]]) -> None:
    names = list(next(iter(costs.values())))
    print("| request | bytes | " + " | ".join(f"{name}, µs" for name in names) + " |")
    print("|---|---:|" + "---:|" * len(names))
    for case, body in bodies.items():
        cells = " | ".join(f"{costs[case][name]:,.1f}" for name in names)
        print(f"| {case[1]}, {case[0]} | {len(body):,} | {cells} |")


# Bodies


def make_bodies() -> dict[tuple[str, str], bytes]:
    """The bodies of requests, by API and name."""
    bodies = {
        ("chat", "short chat"): short_chat(),
        ("chat", "agent"): agent_chat(),
        ("messages", "agent"): agent_messages(),
        ("responses", "agent"): agent_responses(),
        ("chat", "picture of 8 MB"): picture(8_000_000),
    }
    return {case: json.dumps(body, ensure_ascii=False).encode() for case, body in bodies.items()}


def short_chat() -> dict[str, Any]:
    """A chat of four messages."""
    roles = ("system", "user", "assistant", "user")
    messages = [{"role": role, "content": WORDS * 3} for role in roles]
    return {"model": "m", "messages": messages, "stream": True, "temperature": 0.7}


def text(size: int) -> str:
    """About `size` characters as agents send them: code, with line breaks and quotes."""
    chosen = random.Random(size)
    line = '    if value["name"] != "%d":\n        raise ValueError(f"{value} — unknown")\n'
    return "".join(line % chosen.randrange(1000) for _ in range(size // len(line) + 1))


def tool(number: int) -> dict[str, Any]:
    """A tool's name, description and schema."""
    properties = {
        name: {"type": "string", "description": f"{WORDS}{name}"}
        for name in ("path", "pattern", "content", "reason")
    }
    schema = {"type": "object", "properties": properties, "required": ["path"], "additionalProperties": False}
    return {"name": f"tool_{number}", "description": WORDS * 8, "parameters": schema}


TURNS = 20
TOOLS = [tool(number) for number in range(20)]
ARGUMENTS = {"path": "src/main.py", "content": text(400)}


def agent_chat() -> dict[str, Any]:
    """An agent's request with 20 tools and 61 messages."""
    messages: list[dict[str, Any]] = [{"role": "system", "content": text(8000)}]
    for number in range(TURNS):
        function = {"name": "tool_1", "arguments": json.dumps(ARGUMENTS)}
        call = {"id": f"call_{number}", "type": "function", "function": function}
        messages += [
            {"role": "user", "content": [{"type": "text", "text": text(500)}]},
            {"role": "assistant", "content": WORDS, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": f"call_{number}", "content": text(2000)},
        ]
    tools = [{"type": "function", "function": {**each, "strict": False}} for each in TOOLS]
    options = {"stream": True, "stream_options": {"include_usage": True}, "max_tokens": 32000}
    return {"model": "m", "messages": messages, "tools": tools, "tool_choice": "auto", **options}


def agent_messages() -> dict[str, Any]:
    """The same in /v1/messages."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": text(500)}]
    for number in range(TURNS):
        call = {"type": "tool_use", "id": f"call_{number}", "name": "tool_1", "input": ARGUMENTS}
        result = {"type": "tool_result", "tool_use_id": f"call_{number}", "content": text(2000)}
        messages += [
            {"role": "assistant", "content": [{"type": "text", "text": WORDS}, call]},
            {"role": "user", "content": [result, {"type": "text", "text": text(500)}]},
            {"role": "assistant", "content": [{"type": "text", "text": WORDS}]},
            {"role": "user", "content": [{"type": "text", "text": WORDS}]},
        ]
    tools = [
        {"name": each["name"], "description": each["description"], "input_schema": each["parameters"]}
        for each in TOOLS
    ]
    system = [{"type": "text", "text": text(8000), "cache_control": {"type": "ephemeral"}}]
    options = {"stream": True, "max_tokens": 32000, "metadata": {"user_id": "user_1"}}
    return {"model": "m", "system": system, "messages": messages, "tools": tools, **options}


def agent_responses() -> dict[str, Any]:
    """The same in /v1/responses."""
    items: list[dict[str, Any]] = []
    for number in range(TURNS):
        call = {"type": "function_call", "call_id": f"call_{number}", "name": "tool_1"}
        said = {"type": "input_text", "text": text(500)}
        items += [
            {"type": "message", "role": "user", "content": [said]},
            {**call, "arguments": json.dumps(ARGUMENTS)},
            {"type": "function_call_output", "call_id": f"call_{number}", "output": text(2000)},
        ]
    tools = [{"type": "function", "strict": False, **each} for each in TOOLS]
    options = {"stream": True, "store": False, "tool_choice": "auto", "parallel_tool_calls": True}
    return {"model": "m", "instructions": text(8000), "input": items, "tools": tools, **options}


def picture(size: int) -> dict[str, Any]:
    """A question about a picture."""
    url = (
        "data:image/png;base64,"
        + base64.b64encode(PICTURE + random.Random(0).randbytes(size * 3 // 4)).decode()
    )
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": url}}]
    return {"model": "m", "messages": [{"role": "user", "content": parts}]}


if __name__ == "__main__":
    main()
