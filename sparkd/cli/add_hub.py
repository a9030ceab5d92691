"""A model's small files from the Hugging Face hub, or a mirror of it: HF_ENDPOINT.

`GET /api/models/<repository>/revision/<revision>?blobs=true` lists files with their sizes, `GET
/<repository>/resolve/<revision>/<file>` gives one, and `X-Error-Code` says why not (huggingface_hub, utils/_http.py).
Nothing of the weights is downloaded.
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
LONGEST = 120.0
"""Seconds for everything together: a server that sends a byte now and then is not waited for."""

LARGEST_LISTING = 32 * MIB
TRUE = ("1", "ON", "YES", "TRUE")


class Hub:
    """One conversation with the hub about one repository."""

    def __init__(
        self, repository: str, revision: str, token: str | None, environ: Mapping[str, str] = os.environ
    ) -> None:
        self.endpoint = (environ.get("HF_ENDPOINT") or HUB).rstrip("/")
        self._repository = repository
        self._revision = quote(revision, safe="")
        self._told = repository if revision == "main" else f"{repository} at {revision}"
        self._token = token
        self._offline = environ.get("HF_HUB_OFFLINE", "").upper() in TRUE
        self._deadline = time.monotonic() + LONGEST

    def facts(self) -> Facts:
        """What the repository's small files say.

        Raises SourceNotFound, SourceUnreachable, and ModelNotAdded for files that are no use.
        """
        if self._offline:
            raise SourceUnreachable(f"HF_HUB_OFFLINE is set, and {self._repository} is not downloaded")
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        try:
            with httpx.Client(headers=headers, timeout=TIMEOUT, follow_redirects=True) as client:
                return self._ask(client)
        except httpx.InvalidURL as error:
            raise SourceUnreachable(
                f"HF_ENDPOINT is {self.endpoint!r}, which is no address: {error}"
            ) from error
        except httpx.HTTPError as error:
            why = str(error) or type(error).__name__
            raise SourceUnreachable(
                f"{self.endpoint} cannot be asked about {self._repository}: {why}"
            ) from error

    def _ask(self, client: httpx.Client) -> Facts:
        sizes = self._sizes(client)
        texts: dict[str, bytes] = {}
        for file, most in FILE_LIMITS.items():
            if not sizes or file in sizes:
                data = self._file(client, file, most)
                if data is not None:
                    texts[file] = data
        if not sizes:
            sizes = dict.fromkeys(texts)
        return parse_facts(self._repository, self._repository.rpartition("/")[2], texts, sizes)

    def _sizes(self, client: httpx.Client) -> dict[str, int | None]:
        """Files of the top folder and their bytes; empty where a mirror has no such listing."""
        path = f"/api/models/{self._repository}/revision/{self._revision}?blobs=true"
        status, code, data = self._get(client, path, LARGEST_LISTING)
        if status in (401, 403) or code in ("RepoNotFound", "RevisionNotFound", "GatedRepo"):
            raise self._refused(status, code)
        if status != 200:
            return {}
        listing = parse_object(f"{self.endpoint}{path}", data).get("siblings")
        found: dict[str, int | None] = {}
        for entry in listing if isinstance(listing, list) else []:
            name = entry.get("rfilename") if isinstance(entry, dict) else None
            if isinstance(name, str) and "/" not in name:
                size = entry.get("size")
                found[name] = size if isinstance(size, int) and size >= 0 else None
        return found

    def _file(self, client: httpx.Client, file: str, most: int) -> bytes | None:
        """A file, None where there is none."""
        path = f"/{self._repository}/resolve/{self._revision}/{file}"
        status, code, data = self._get(client, path, most)
        if status == 200:
            return data
        if status == 404 and code not in ("RepoNotFound", "RevisionNotFound"):
            return None
        raise self._refused(status, code)

    def _get(self, client: httpx.Client, path: str, most: int) -> tuple[int, str, bytes]:
        """Status, the hub's error code, and the body, which has `most` bytes at most."""
        data = bytearray()
        with client.stream("GET", f"{self.endpoint}{path}") as answer:
            if answer.status_code != 200:
                return answer.status_code, answer.headers.get("x-error-code", ""), b""
            for chunk in answer.iter_bytes():
                data += chunk
                if len(data) > most:
                    raise ModelNotAdded(
                        f"{self.endpoint}{path} is larger than {most // MIB} MiB, which no such file is"
                    )
                if time.monotonic() > self._deadline:
                    raise SourceUnreachable(f"{self.endpoint} takes more than {LONGEST:.0f} s to answer")
        return 200, "", bytes(data)

    def _refused(self, status: int, code: str) -> ModelNotAdded:
        page = f"{self.endpoint}/{self._repository}"
        if code == "RevisionNotFound":
            return SourceNotFound(f"{self._told}: the repository has no such revision; see {page}/tree/main")
        if code == "GatedRepo" or status == 403:
            token = "your HF_TOKEN has no access" if self._token else "set HF_TOKEN to a token of yours"
            return SourceNotFound(f"{self._told} is gated: accept its terms on {page}, and {token}")
        if status in (401, 404):
            token = "" if self._token else ", or it is private and HF_TOKEN is not set"
            return SourceNotFound(f"{self.endpoint} has no repository {self._told}{token}")
        return SourceUnreachable(f"{self.endpoint} answers {status} when it is asked about {self._told}")
