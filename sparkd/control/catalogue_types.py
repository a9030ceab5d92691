"""Requests and responses about the catalogue's files, for the endpoints and for sparkctl."""

from __future__ import annotations

from msgspec import Struct

from sparkd.editing.edits import EditSummary
from sparkd.editing.files import CatalogueFile
from sparkd.editing.problems import Problem
from sparkd.scheduling.status import Reload


class Plan(Struct, frozen=True, kw_only=True):
    """What a reload would do. `stopped`: loaded models that would finish their responses and stop, because they are
    removed, disabled or started differently. `text` is the whole as a sentence."""

    change: Reload
    stopped: tuple[str, ...]
    text: str


class CheckResult(Struct, frozen=True, kw_only=True):
    """A text, checked. `plan` is None if there are problems. `diff` has the changed lines, in the unified format.

    `notes` are odd, but not wrong. `current` is the digest of the file as it is now, None if it does not exist.
    """

    file: str
    problems: list[Problem]
    notes: list[str]
    plan: Plan | None
    diff: list[str]
    current: str | None


class Written(Struct, frozen=True, kw_only=True):
    """An edit that was made. `digest` is that of the file now, None if it was deleted. `change` is that of the reload,
    None if no daemon runs."""

    edit: int
    file: str
    digest: str | None
    change: Reload | None

    def describe_change(self) -> str:
        """What the reload changed, to follow a colon."""
        return "sparkd reads it when it starts" if self.change is None else self.change.describe()


class CatalogueOverview(Struct, frozen=True, kw_only=True):
    """The catalogue on disk. `may_edit`: whether the viewer may; then `folder` is where new files are written."""

    path: str
    folder: str
    may_edit: bool
    files: list[CatalogueFile]
    edits: list[EditSummary]


class FileText(Struct, frozen=True, kw_only=True):
    """A file's text. `masked`: secrets are hidden, because the viewer may not control sparkd."""

    name: str
    text: str
    digest: str
    editable: bool
    reason: str
    masked: bool


class EditDetails(Struct, frozen=True, kw_only=True):
    """What an edit has changed, in the unified format."""

    id: int
    file: str
    at: float
    diff: list[str]


class CheckRequest(Struct):
    """A text to check."""

    file: str
    text: str | None


class WriteRequest(Struct):
    """A text to write. `digest` is that of the text that was edited, null for a new file."""

    text: str
    digest: str | None


class UndoRequest(Struct):
    """An edit to undo; null: the newest."""

    edit: int | None = None
