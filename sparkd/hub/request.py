"""Builds the command line and the environment of the download process. It exits when its standard input closes."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from sparkd.catalog.definitions import Model
from sparkd.hub.credentials import find_token
from sparkd.hub.needs import Need, find_needs


class DownloadRequest(Struct, frozen=True, kw_only=True):
    """What to download, and the folders `models` and `state` of `[paths]`.

    `verify`: read existing files again. `owner`: user and group to become first, if root downloads for another user.
    """

    models: str
    state: str
    sources: tuple[Need, ...] = ()
    encodings: tuple[str, ...] = ()
    verify: bool = False
    owner: tuple[int, int] | None = None


def make_request(model: Model, models: Path, state: Path, *, verify: bool = False) -> DownloadRequest:
    """The request for everything that the model needs, except folders on this machine."""
    needs = find_needs(model)
    sources = tuple(need for need in needs.sources if not need.is_folder)
    return DownloadRequest(
        models=str(models), state=str(state), sources=sources, encodings=needs.encodings, verify=verify
    )


def build_command(request: DownloadRequest) -> list[str]:
    """The command line. -P: Python imports nothing from the working folder."""
    return [sys.executable, "-P", "-m", "sparkd.hub", msgspec.json.encode(request).decode()]


def build_environment(request: DownloadRequest, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment: the given one, the token, and settings that make the library predictable."""
    token = find_token(environ, Path(request.state))
    return {
        **environ,
        **({"HF_TOKEN": token} if token else {}),
        # Plain HTTP: it can resume at a byte, follows HF_ENDPOINT and the proxy settings, and keeps no second copy in a
        # cache of chunks.
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HOME": str(Path(request.models) / "huggingface"),
        "PYTHONUNBUFFERED": "1",
    }
