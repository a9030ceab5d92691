"""Reads what was recorded: from the daemon, or from its file while no daemon runs."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol, TypeVar

from sparkd.catalog.reading import read_catalogue
from sparkd.catalog.reading.locations import catalogue_path
from sparkd.cli.output.messages import print_note
from sparkd.control.client import ControlClient, find_socket
from sparkd.control.usage_queries import parse_period, parse_request_query, parse_usage_query
from sparkd.errors import CatalogueError, ControlForbidden, DaemonUnreachable
from sparkd.usage.columns import Columns, stored_columns
from sparkd.usage.reader import UsageReader
from sparkd.usage.results import History, ModelHistory, RequestPage, UsageReport

Query = Mapping[str, str]
T = TypeVar("T")


class Source(Protocol):
    """The methods of the control API's client that are needed. Each raises SparkdError."""

    def requests(self, query: Query) -> RequestPage:
        """One page of finished requests."""
        ...

    def usage(self, query: Query) -> UsageReport:
        """Usage by day or month."""
        ...

    def measurements(self, span: float, step: int) -> Columns:
        """The machine in the last `span` seconds, in intervals of `step` seconds."""
        ...

    def history(self, query: Query) -> History:
        """The states of all models."""
        ...

    def model_history(self, name: str, query: Query) -> ModelHistory:
        """The states of one model."""
        ...


class FileSource:
    """Answers the same queries from the file."""

    def __init__(self, path: Path) -> None:
        self._reader = UsageReader(path)

    def requests(self, query: Query) -> RequestPage:
        """One page of finished requests."""
        return self._reader.requests(parse_request_query(query))

    def usage(self, query: Query) -> UsageReport:
        """Usage by day or month."""
        return self._reader.usage(parse_usage_query(query))

    def measurements(self, span: float, step: int) -> Columns:
        """The machine in the last `span` seconds, in intervals of `step` seconds."""
        now = time.time()
        since = (now - span) // step * step
        aggregates = self._reader.measurement_aggregates(since=since, until=now, step=step)
        return stored_columns(aggregates, None, now=now, span=span, step=step)

    def history(self, query: Query) -> History:
        """The states of all models."""
        return self._reader.history(*parse_period(query, 1.0))

    def model_history(self, name: str, query: Query) -> ModelHistory:
        """The states of one model."""
        return self._reader.model_history(name, *parse_period(query, 1.0))


def read_recorded(arguments: argparse.Namespace, read: Callable[[Source], T]) -> T:
    """Call `read` with the daemon, or with its file if no daemon runs. Raises SparkdError."""
    try:
        with ControlClient(find_socket(arguments.socket, arguments.catalogue)) as client:
            return read(client)
    except ControlForbidden:
        raise
    except DaemonUnreachable:
        path = _find_file(arguments)
        if path is None:
            raise
        print_note(f"sparkd is not running; this is from {path}")
        return read(FileSource(path))


def _find_file(arguments: argparse.Namespace) -> Path | None:
    """The file of the catalogue's daemon. None if it does not exist or cannot be read."""
    try:
        path = read_catalogue(catalogue_path(arguments.catalogue)).folder("state") / "usage.sqlite"
        with path.open("rb"):
            return path
    except (CatalogueError, OSError):
        return None
