"""The matrix of clients and heartbeats: what the tests found, kept in a file, and as a table in docs/clients.md."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sparkd.catalog.generated import replace_generated
from tests.clients.waiting.judging import ANSWERED, GAVE_UP, SAID, judge_all
from tests.clients.waiting.libraries.prompts import TEXT, TOOL
from tests.clients.waiting.programs import ALL, Outcomes
from tests.clients.waiting.raw import RawStream
from tests.clients.waiting.readers import READERS, Broken, LookedDead, Reader

FILE: Final = Path(__file__).with_name("results.json")
PAGE: Final = Path(__file__).parents[3] / "docs" / "clients.md"
MARK: Final = "<!-- From here on generated: python -m tests.clients.waiting -->\n"

STYLES: Final = ("chunk", "comment", "reasoning", "off")
PROMPTS: Final = [TEXT, TOOL]

BYTES: Final = "300 s without a byte"
LIMITS: Final = {
    ("LangChain, Python", "chat"): "120 s without a chunk",
    ("LangChain, Python", "responses"): "120 s without a chunk",
    ("AI SDK", "openai-compatible, chunkMs"): "120 s without text",
}
"""The timeout that the test sets for a case, in simulated seconds; for all others it is BYTES."""

Row = dict[str, str]


class Matrix:
    """Rows of the table, in the order of the page; each is filled style by style."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], Row] = {}

    def _row(self, client: str, request: str, limit: str) -> Row:
        empty = {"client": client, "request": request, "timeout": limit}
        return self.rows.setdefault((client, request), empty)

    def add_outcomes(self, style: str, round_: dict[str, Outcomes]) -> None:
        """Add what the libraries got."""
        for library in ALL:
            for case, outcomes in round_[library.title].items():
                limit = LIMITS.get((library.title, case), BYTES)
                row = self._row(f"{library.title} {library.version}", case, limit)
                row[style] = judge_all(outcomes, PROMPTS, completion=case == "completions")

    def add_streams(self, style: str, streams: Sequence[RawStream]) -> None:
        """Add what the readers make of the bytes."""
        by_api = {stream.api: stream for stream in streams}
        for reader in READERS:
            row = self._row(f"as {reader.title} reads", reader.api, reader.limit)
            row[style] = judge_reader(reader, by_api[reader.api])

    def dump(self) -> list[Row]:
        return list(self.rows.values())


def judge_reader(reader: Reader, stream: RawStream) -> str:
    """Return the verdict on what a reader makes of a stream."""
    try:
        text = reader.read(stream.pieces)
    except Broken as error:
        return f"fails: {error}"
    except LookedDead:
        return GAVE_UP
    return ANSWERED if text == SAID else f"wrong: the text is {text!r}"


def read_rows() -> list[Row]:
    """Return the rows of the file."""
    rows: list[Row] = json.loads(FILE.read_text())
    return rows


def write_rows(rows: list[Row]) -> None:
    """Write the file and the page."""
    FILE.write_text(json.dumps(rows, indent=1) + "\n")
    PAGE.write_text(replace_generated(PAGE.read_text(), MARK, format_table(rows)))


def format_table(rows: list[Row]) -> str:
    """Return the table of the page."""
    names = ["client", "request", "timeout", *STYLES]
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    for row in rows:
        cells = [row[name] for name in names[:3]] + [_shorten(row[style]) for style in STYLES]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n" + "\n".join(lines) + "\n"


def _shorten(verdict: str) -> str:
    return {ANSWERED: "yes", GAVE_UP: GAVE_UP}.get(verdict, verdict.partition(":")[0])
