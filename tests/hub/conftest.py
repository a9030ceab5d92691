"""A hub, and folders to fetch into."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest

from sparkd.hub.needs import Need
from sparkd.hub.ordering import Order, command, environment
from sparkd.hub.telling import Done, Failed, Told, read_line
from tests.hub.server import Hub, running_hub


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running_hub() as hub:
        yield hub


@dataclass
class Shelf:
    """A folder `paths.models`, and the real process that fetches into it."""

    hub: Hub
    folder: Path
    more: dict[str, str]

    @property
    def models(self) -> Path:
        return self.folder / "models"

    def blobs(self, source: str = "org/m") -> list[str]:
        folder = self.models / "huggingface" / "hub" / f"models--{source.replace('/', '--')}" / "blobs"
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []

    def order(self, *needs: Need, verify: bool = False, encodings: tuple[str, ...] = ()) -> Order:
        state = str(self.folder / "state")
        return Order(models=str(self.models), state=state, sources=needs, encodings=encodings, verify=verify)

    def start(self, order: Order) -> subprocess.Popen[bytes]:
        own = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        told = {
            **own,
            "HF_ENDPOINT": self.hub.url,
            "HOME": str(self.folder),
            "HF_HUB_DOWNLOAD_TIMEOUT": "1",
            **self.more,
        }
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command(order),
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            env=environment(order, told),
        )

    def fetch(self, *needs: Need, **more: object) -> Done | Failed:
        """Fetch to the end and return the last word."""
        order = self.order(*(needs or (Need("org/m"),)), **more)  # type: ignore[arg-type]
        return self.end_of(self.start(order))

    def end_of(self, process: subprocess.Popen[bytes]) -> Done | Failed:
        with process:
            last = last_word(process.stdout)
            assert process.stderr
            errors = process.stderr.read().decode()
        assert not errors, errors
        assert isinstance(last, Done | Failed), last
        assert process.returncode == (0 if isinstance(last, Done) else 1)
        return last


def last_word(lines: IO[bytes] | None) -> Told | None:
    last = None
    for text in lines or ():
        last = read_line(text)
    return last


@pytest.fixture
def shelf(hub: Hub, tmp_path: Path) -> Shelf:
    return Shelf(hub, tmp_path, {})
