"""Methods about the catalogue's files."""

from __future__ import annotations

from urllib.parse import quote

from sparkd.control.catalogue_types import (
    CatalogueOverview,
    CheckRequest,
    CheckResult,
    FileText,
    UndoRequest,
    WriteRequest,
    Written,
)
from sparkd.control.client.connection import ControlConnection
from sparkd.editing.starts import Start


class CatalogueMethods(ControlConnection):
    """Methods about the catalogue's files. `file` is as in `models.d/own.toml`."""

    def catalogue(self) -> CatalogueOverview:
        """The files of the catalogue, and the last edits."""
        return self._request("GET", "/catalogue", CatalogueOverview)

    def catalogue_file(self, file: str) -> FileText:
        """The text of a file and its digest."""
        return self._request("GET", f"/catalogue/{quote(file)}", FileText)

    def override_start(self, model: str) -> Start:
        """A text that overrides keys of a model, to start from."""
        return self._request("GET", "/catalogue/starts", Start, query={"override": model})

    def check_file(self, file: str, text: str | None) -> CheckResult:
        """Check a text for a drop-in; None: its deletion. Writes nothing."""
        body = CheckRequest(file, text)
        return self._request("POST", "/catalogue/check", CheckResult, body=body, wait_forever=True)

    def write_file(self, file: str, text: str, digest: str | None) -> Written:
        """Write a drop-in and reload. `digest` is that of the text that was edited, None for a new file."""
        body = WriteRequest(text, digest)
        return self._request("PUT", f"/catalogue/{quote(file)}", Written, body=body, wait_forever=True)

    def delete_file(self, file: str, digest: str) -> Written:
        """Delete a drop-in and reload."""
        query = {"digest": digest}
        return self._request("DELETE", f"/catalogue/{quote(file)}", Written, query=query, wait_forever=True)

    def undo_edit(self, number: int | None) -> Written:
        """Undo an edit, by default the newest one, or make it again if it was undone; then reload."""
        body = UndoRequest(number)
        return self._request("POST", "/catalogue/undo", Written, body=body, wait_forever=True)
