"""A model's small files from the Hugging Face hub, or a mirror of it: HF_ENDPOINT.

`GET /api/models/<repository>/revision/<revision>?blobs=true` lists files with their sizes, `GET
/<repository>/resolve/<revision>/<file>` returns one. `X-Error-Code` is the reason of an error (huggingface_hub,
utils/_http.py). No weights are downloaded.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from urllib.parse import quote

import httpx

from sparkd.catalog.quantities import MIB
from sparkd.errors import ModelNotAdded, SourceNotFound, SourceUnreachable
from sparkd.guessing import FILE_LIMITS, Facts, parse_facts
from sparkd.guessing.files import parse_object

HUB = "https://huggingface.co"
TIMEOUT = httpx.Timeout(20.0, connect=10.0)
TOTAL_TIMEOUT = 120.0
"""Seconds for all requests together, in case a server responds very slowly."""

LARGEST_LISTING = 32 * MIB
TRUE_VALUES = ("1", "ON", "YES", "TRUE")


class HubClient:
    """Requests to the hub about one repository."""

    def __init__(
        self, repository: str, revision: str, token: str | None, environ: Mapping[str, str] = os.environ
    ) -> None:
        self.endpoint = (environ.get("HF_ENDPOINT") or HUB).rstrip("/")
        self._repository = repository
        self._revision = quote(revision, safe="")
        self._label = repository if revision == "main" else f"{repository} at {revision}"
        self._token = token
        self._offline = environ.get("HF_HUB_OFFLINE", "").upper() in TRUE_VALUES
        self._deadline = time.monotonic() + TOTAL_TIMEOUT

    def fetch_facts(self) -> Facts:
        """The facts in the repository's small files.

        Raises SourceNotFound, SourceUnreachable, and ModelNotAdded for unusable files.
        """
        if self._offline:
            raise SourceUnreachable(f"HF_HUB_OFFLINE is set, and {self._repository} is not downloaded")
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        try:
            with httpx.Client(headers=headers, timeout=TIMEOUT, follow_redirects=True) as client:
                return self._fetch(client)
        except httpx.InvalidURL as error:
            raise SourceUnreachable(
                f"HF_ENDPOINT is {self.endpoint!r}, which is not an address: {error}"
            ) from error
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise SourceUnreachable(
                f"cannot get {self._repository} from {self.endpoint}: {reason}"
            ) from error

    def _fetch(self, client: httpx.Client) -> Facts:
        sizes = self._fetch_sizes(client)
        texts: dict[str, bytes] = {}
        for file, limit in FILE_LIMITS.items():
            if not sizes or file in sizes:
                data = self._fetch_file(client, file, limit)
                if data is not None:
                    texts[file] = data
        if not sizes:
            sizes = dict.fromkeys(texts)
        return parse_facts(self._repository, self._repository.rpartition("/")[2], texts, sizes)

    def _fetch_sizes(self, client: httpx.Client) -> dict[str, int | None]:
        """Files of the top folder and their sizes in bytes; empty if a mirror has no such listing."""
        path = f"/api/models/{self._repository}/revision/{self._revision}?blobs=true"
        status, code, data = self._get(client, path, LARGEST_LISTING)
        if status in (401, 403) or code in ("RepoNotFound", "RevisionNotFound", "GatedRepo"):
            raise self._build_error(status, code)
        if status != 200:
            return {}
        listing = parse_object(f"{self.endpoint}{path}", data).get("siblings")
        sizes: dict[str, int | None] = {}
        for entry in listing if isinstance(listing, list) else []:
            name = entry.get("rfilename") if isinstance(entry, dict) else None
            if isinstance(name, str) and "/" not in name:
                size = entry.get("size")
                sizes[name] = size if isinstance(size, int) and size >= 0 else None
        return sizes

    def _fetch_file(self, client: httpx.Client, file: str, limit: int) -> bytes | None:
        """The content of a file, None if it does not exist."""
        path = f"/{self._repository}/resolve/{self._revision}/{file}"
        status, code, data = self._get(client, path, limit)
        if status == 200:
            return data
        if status == 404 and code not in ("RepoNotFound", "RevisionNotFound"):
            return None
        raise self._build_error(status, code)

    def _get(self, client: httpx.Client, path: str, limit: int) -> tuple[int, str, bytes]:
        """Status, the hub's error code, and the body, which has `limit` bytes at most."""
        data = bytearray()
        with client.stream("GET", f"{self.endpoint}{path}") as response:
            if response.status_code != 200:
                return response.status_code, response.headers.get("x-error-code", ""), b""
            for chunk in response.iter_bytes():
                data += chunk
                if len(data) > limit:
                    raise ModelNotAdded(
                        f"{self.endpoint}{path} is larger than {limit // MIB} MiB, too large for such a file"
                    )
                if time.monotonic() > self._deadline:
                    raise SourceUnreachable(
                        f"{self.endpoint} has not sent the files within {TOTAL_TIMEOUT:.0f} s"
                    )
        return 200, "", bytes(data)

    def _build_error(self, status: int, code: str) -> ModelNotAdded:
        page = f"{self.endpoint}/{self._repository}"
        if code == "RevisionNotFound":
            return SourceNotFound(f"{self._label}: the repository has no such revision; see {page}/tree/main")
        if code == "GatedRepo" or status == 403:
            token = "your HF_TOKEN has no access" if self._token else "set HF_TOKEN to your token"
            return SourceNotFound(f"{self._label} is gated: accept its terms on {page}; {token}")
        if status in (401, 404):
            token = "" if self._token else ", or it is private and HF_TOKEN is not set"
            return SourceNotFound(f"{self.endpoint} has no repository {self._label}{token}")
        return SourceUnreachable(f"{self.endpoint} responded with status {status} for {self._label}")
