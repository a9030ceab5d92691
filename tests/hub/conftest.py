"""A hub, and folders for downloads."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest

from sparkd.hub.messages import Done, Failed, Message, decode_line
from sparkd.hub.needs import Need
from sparkd.hub.request import DownloadRequest, build_command, build_environment
from tests.hub.server import Hub, running_hub


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running_hub() as hub:
        yield hub


@dataclass
class DownloadHarness:
    """A folder `paths.models`, and the real process that downloads into it."""

    hub: Hub
    folder: Path
    environment: dict[str, str]

    @property
    def models(self) -> Path:
        return self.folder / "models"

    def blobs(self, source: str = "org/m") -> list[str]:
        folder = self.models / "huggingface" / "hub" / f"models--{source.replace('/', '--')}" / "blobs"
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []

    def request(self, *needs: Need, verify: bool = False, encodings: tuple[str, ...] = ()) -> DownloadRequest:
        state = str(self.folder / "state")
        return DownloadRequest(
            models=str(self.models), state=state, sources=needs, encodings=encodings, verify=verify
        )

    def start(self, request: DownloadRequest) -> subprocess.Popen[bytes]:
        own = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        variables = {
            **own,
            "HF_ENDPOINT": self.hub.url,
            "HOME": str(self.folder),
            "HF_HUB_DOWNLOAD_TIMEOUT": "1",
            **self.environment,
        }
        pipe = subprocess.PIPE
        return subprocess.Popen(
            build_command(request),
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            env=build_environment(request, variables),
        )

    def download(self, *needs: Need, **more: object) -> Done | Failed:
        """Download everything and return the last message."""
        request = self.request(*(needs or (Need("org/m"),)), **more)  # type: ignore[arg-type]
        return self.wait_for_end(self.start(request))

    def wait_for_end(self, process: subprocess.Popen[bytes]) -> Done | Failed:
        with process:
            last = last_message(process.stdout)
            assert process.stderr
            errors = process.stderr.read().decode()
        assert not errors, errors
        assert isinstance(last, Done | Failed), last
        assert process.returncode == (0 if isinstance(last, Done) else 1)
        return last


def last_message(lines: IO[bytes] | None) -> Message | None:
    last = None
    for text in lines or ():
        last = decode_line(text)
    return last


@pytest.fixture
def harness(hub: Hub, tmp_path: Path) -> DownloadHarness:
    return DownloadHarness(hub, tmp_path, {})
