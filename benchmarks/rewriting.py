"""What rewriting a request costs, next to json.loads and json.dumps: `python -m benchmarks.rewriting`."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Callable

from sparkd.catalog.definitions import Model
from sparkd.catalog.rewriting import Rewriting
from sparkd.rewriting import JsonBody, RewriteContext, rewrite

WORDS = "The keeper climbed the stairs every evening and cleaned the lamp, long after the ships had gone. "
TOOL = {
    "type": "function",
    "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "array"}}}},
}


def model(*, vision: bool = False, context_length: int | None = 262144, **rules: object) -> Model:
    return Model(
        id="m",
        vision=vision,
        context_length=context_length,
        rewriting=Rewriting(**rules),  # type: ignore[arg-type]
        idle_timeout=1,
        start_timeout=1,
        stop_grace=1,
        drain_timeout=1,
        min_residency=1,
        download="reject",
    )


MODELS = {
    "no rule": model(context_length=None, vision=True),
    "cap alone": model(vision=True),
    "every rule": model(
        vision=True,
        alternate_roles=True,
        tool_hints=True,
        tools="require",
        thinking_switch=True,
        disable_thinking=True,
    ),
}


def chat(size: int) -> bytes:
    count = max(1, size // 1000)
    turn = WORDS * (min(size, 1000) // len(WORDS) // (1 if size > 1000 else 2))
    messages = [{"role": ("user", "assistant")[number % 2], "content": turn} for number in range(count)]
    return json.dumps({"model": "m", "messages": messages, "tools": [TOOL], "max_tokens": 4096}).encode()


def picture(size: int) -> bytes:
    url = "data:image/jpeg;base64," + base64.b64encode(os.urandom(size * 3 // 4)).decode()
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": url}}]
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": parts}]}).encode()


def best(call: Callable[[], object], seconds: float = 0.3) -> float:
    """The minimum of many runs, in microseconds: the cost when no other process disturbs it."""
    least = float("inf")
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        call()
        least = min(least, time.perf_counter() - start)
    return least * 1e6


def rewriting(entry: Model, data: bytes) -> Callable[[], object]:
    context = RewriteContext(entry)

    def run() -> object:
        return rewrite(context, JsonBody.parse(data)).body.encode()

    return run


def main() -> None:
    bodies = {"1 KB chat": chat(1000), "50 KB chat": chat(50_000), "8 MB picture": picture(8_000_000)}
    print(
        f"{'':<14}{'bytes':>10}{'json':>10}" + "".join(f"{name:>12}" for name in MODELS) + "   microseconds"
    )
    for name, data in bodies.items():
        plain = best(lambda: json.dumps(json.loads(data)))  # noqa: B023  # called before the next turn
        costs = [best(rewriting(entry, data)) for entry in MODELS.values()]
        print(f"{name:<14}{len(data):>10}{plain:>10.0f}" + "".join(f"{cost:>12.0f}" for cost in costs))


if __name__ == "__main__":
    main()
