"""Requests that the clients sent, in `requests/`: for tests that need real ones and no client.

    python -m tests.clients.corpus     holds a session with each client, and writes the files anew

Long texts are cut, and ids, digests and paths of the machine are replaced, so nothing is left that only one person has.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.clients.pictures import write_picture
from tests.clients.programs import CLIENTS
from tests.clients.recorder import Exchange
from tests.clients.serving import CHANNELS, SYSTEM_FIRST, run_sparkd
from tests.clients.session import READ, RECALL, open_session

FOLDER = Path(__file__).parent / "requests"

_LONGEST = 120
_UNIQUE = (
    (
        re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
        "0" * 8 + "-0000" * 3 + "-" + "0" * 12,
    ),
    (re.compile(r"/[^\s\"\\]*client-\w+"), "/home/user"),
    (re.compile(r"\b[0-9a-f]{32,}\b"), "0" * 32),
)
_KEPT_HEADERS = (
    "content-type",
    "user-agent",
    "anthropic-version",
    "anthropic-beta",
    "content-encoding",
    "accept",
)


@dataclass(frozen=True)
class Request:
    """One request of the corpus."""

    name: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]


def read_corpus() -> Iterator[Request]:
    """Yield all requests."""
    for file in sorted(FOLDER.glob("*.json")):
        yield Request(file.stem, **json.loads(file.read_text()))


def trim(value: Any) -> Any:
    """Return a JSON value with its long texts cut and its unique parts replaced."""
    if isinstance(value, dict):
        return {key: trim(member) for key, member in value.items()}
    if isinstance(value, list):
        return [trim(member) for member in value]
    if not isinstance(value, str):
        return value
    for pattern, replacement in _UNIQUE:
        value = pattern.sub(replacement, value)
    return value if len(value) <= _LONGEST or value.startswith(("{", "data:")) else f"{value[:_LONGEST]} …"


def write_request(name: str, exchange: Exchange) -> None:
    """Write one request."""
    headers = {key: value for key, value in exchange.headers.items() if key in _KEPT_HEADERS}
    request = {"path": exchange.path, "headers": headers, "body": trim(exchange.json)}
    (FOLDER / f"{name}.json").write_text(json.dumps(request, indent=1, ensure_ascii=False) + "\n")


def write_corpus() -> None:
    """Hold a session with each client, and write its requests."""
    FOLDER.mkdir(exist_ok=True)
    with run_sparkd() as sparkd:
        for name, client in CLIENTS.items():
            with open_session(sparkd.port, sparkd.catalogue) as session:
                session.prompt(name, READ, model=SYSTEM_FIRST)
                if client.resumes:
                    session.prompt(name, RECALL, model=SYSTEM_FIRST, resume=True)
                session.assert_all_answered()
                if client.attaches:
                    picture = write_picture(session.project / "picture.png")
                    session.prompt(name, "Say hello", model=CHANNELS, image=picture)
                for number, exchange in enumerate(session.generations):
                    write_request(f"{name}-{number}", exchange)


if __name__ == "__main__":
    write_corpus()
