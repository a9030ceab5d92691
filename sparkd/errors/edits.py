"""Errors about edits of the catalogue's files."""

from __future__ import annotations

from sparkd.errors.base import SparkdError
from sparkd.errors.requests import RequestError


class CatalogueFileNotFound(RequestError):
    """The catalogue has no such file."""

    status = 404
    code = "catalogue_file_not_found"


class EditNotFound(RequestError):
    """There is no such edit, or nothing to undo."""

    status = 404
    code = "edit_not_found"


class EditConflict(RequestError):
    """The file has changed since the text that was edited, or since the edit that is to be undone."""

    status = 409
    code = "edit_conflict"


class CatalogueNotWritable(RequestError):
    """This user may not write the catalogue's drop-ins."""

    status = 403
    code = "catalogue_not_writable"


class EditFailed(SparkdError):
    """The file could not be written. It is as it was."""

    status = 507
    code = "edit_failed"
