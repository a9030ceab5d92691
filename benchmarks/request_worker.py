"""Measures what requests cost one checkout of sparkd; benchmarks.requests runs it in two, turn by turn.

request_worker.py FOLDER

FOLDER has the bodies of requests, `<api>,<name>.json`. Each line of the input names a case; the answer is its cost in
microseconds of CPU time. It must also run in checkouts that are older than itself.
"""

from __future__ import annotations

import inspect
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.catalog.settings import Settings
from sparkd.gateway import Gateway
from sparkd.gateway.request_head import RequestHead

try:
    from sparkd.catalog.reading.keys import Keys
except ModuleNotFoundError:  # older checkouts have it there
    from sparkd.gateway.keys import Keys  # type: ignore[no-redef,import-not-found]

BATCH = 0.004
"""Seconds that calls are timed together: reading the CPU's clock takes about as long as a small request."""

PATHS = {"chat": "/v1/chat/completions", "messages": "/v1/messages", "responses": "/v1/responses"}


def main() -> None:
    cases: dict[str, Callable[[], object]] = {}
    gateway = make_gateway()
    for file in Path(sys.argv[1]).glob("*.json"):
        api, name = file.stem.split(",")
        cases[f"{api}, {name}"] = request(gateway, PATHS[api], file.read_bytes())
    print("ready", flush=True)
    for line in sys.stdin:
        name, _, seconds = line.strip().rpartition(" ")
        print(best(cases[name], float(seconds)), flush=True)


class LoadedModels:
    """A supervisor whose models are all loaded."""

    def ready_upstream(self, model: Model) -> object:
        """The engine of the model."""
        return model


def make_gateway() -> Gateway:
    """A gateway with one model: vLLM, with vision, tools and a context of 262,144 tokens."""
    options = {"tool-call-parser": "hermes", "enable-auto-tool-choice": True, "reasoning-parser": "qwen3"}
    timeouts = dict.fromkeys(
        ("idle_timeout", "start_timeout", "stop_grace", "drain_timeout", "min_residency"), 1.0
    )
    fields: dict[str, Any] = {**timeouts, "download": "reject", "source": "org/m", "options": options}
    entry = Model(id="m", vision=True, context_length=262144, aliases=("alias",), **fields)
    catalogue = Catalogue(path=Path("models.toml"), settings=Settings(), models={"m": entry}, runtimes={})
    given: dict[str, Any] = {}
    if "template_of" in inspect.signature(Gateway).parameters:
        from sparkd.catalog.templates import UNKNOWN_TEMPLATE  # noqa: PLC0415  # older checkouts have none

        given["template_of"] = lambda _: UNKNOWN_TEMPLATE
    return Gateway(catalogue, LoadedModels(), Keys(), **given)  # type: ignore[arg-type]  # nothing is lent here


def request(gateway: Gateway, path: str, body: bytes) -> Callable[[], object]:
    """Everything between a request's last byte and its lease."""
    names = [
        (b"host", b"localhost:8009"),
        (b"user-agent", b"OpenAI/Python 2.8.0"),
        (b"accept", b"application/json"),
    ]
    headers = [*names, (b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    scope = {
        "method": "POST",
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": headers,
        "server": ("127.0.0.1", 8009),
        "client": ("127.0.0.1", 40000),
    }
    identify_page = getattr(getattr(gateway, "access", None), "identify_page", lambda _: None)

    def run() -> object:
        head = RequestHead(scope)
        identify_page(head)
        named = gateway.preparer.name(head, gateway.admit(head).segments)
        return gateway.preparer.prepare_json(head, named, body).request.body

    return run


def best(call: Callable[[], object], seconds: float) -> float:
    """The least CPU time of many batches: the cost when no other process disturbs the caches."""
    call()
    count = 1
    while (taken := batch(call, count)) < BATCH:
        count = max(count + 1, int(count * BATCH / max(taken, BATCH / 10)))
    least = taken / count
    end = time.process_time() + seconds
    while time.process_time() < end:
        least = min(least, batch(call, count) / count)
    return least * 1e6


def batch(call: Callable[[], object], count: int) -> float:
    """The CPU time of `count` calls, in seconds."""
    start = time.process_time()
    for _ in range(count):
        call()
    return time.process_time() - start


if __name__ == "__main__":
    main()
