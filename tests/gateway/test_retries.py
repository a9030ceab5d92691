"""Which errors a client may retry, and when: a table of every class."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import sparkd.errors as errors
from sparkd.errors import RequestError, SparkdError
from sparkd.gateway.responses.errors import MAX_RETRY_AFTER, error_headers

USELESS = {
    "AccessDenied", "BackgroundPutOff", "BodyTooLarge", "CaptureNotFound", "CatalogueFileNotFound",
    "CatalogueNotWritable", "ContextExceeded", "DownloadFailed", "EditConflict", "EditNotFound",
    "EncodingNotSupported", "FilesMissing", "HeadersTooLarge", "HoldConflict", "HoldNotFound",
    "ImagesNotSupported", "ModelHeld",
    "InsufficientMemory", "InvalidRequest", "KeyLimitReached", "LogNotFound", "MediaNotSupported",
    "MediaTypeNotSupported", "MethodNotAllowed", "ModelBusy", "ModelDisabled", "ModelDownloading",
    "ModelFailed", "ModelNotAllowed", "ModelNotFound", "ModelNotLoaded", "ModelPinned", "ModelStopped",
    "NotSupported", "OperatorRequired", "PathForbidden", "PathNotFound", "QueueFull", "Refusal",
    "RequestCancelled", "RequestCrashesEngine", "RequestError", "RequestNotFound", "ShuttingDown",
    "TaskNotSupported", "ToolsNotSupported", "Unauthorized", "ViewerRequired", "WaitTimeout",
}  # fmt: skip
"""Errors without a known end that the same request meets again."""

MAY_HELP = {"FilesInUse", "RequestTimeout", "UpstreamError"}
"""Errors that may be over a moment later."""


def find_classes(root: type[SparkdError]) -> Iterator[type[SparkdError]]:
    for kind in root.__subclasses__():
        if kind.__module__.startswith(errors.__name__):
            yield kind
            yield from find_classes(kind)


def make(kind: type[SparkdError], retry_after: float | None) -> SparkdError:
    """An error as it is when it is rendered; its constructor may need more."""
    error = kind.__new__(kind)
    SparkdError.__init__(error, "It failed.", retry_after=retry_after)
    error.__dict__.setdefault("holders", ())
    return error


def is_answered(kind: type[SparkdError]) -> bool:
    """Whether the gateway renders errors of this class."""
    return issubclass(kind, errors.Refusal | RequestError | errors.UpstreamError)


CLASSES = sorted(filter(is_answered, set(find_classes(SparkdError))), key=lambda kind: kind.__name__)


def test_the_table_has_every_class() -> None:
    assert {kind.__name__ for kind in CLASSES} == USELESS | MAY_HELP


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_without_a_known_end_a_retry_is_useless_unless_the_class_says_otherwise(
    kind: type[SparkdError],
) -> None:
    headers = error_headers(make(kind, None))
    assert "retry-after" not in headers
    assert headers.get("x-should-retry") == ("false" if kind.__name__ in USELESS else None)


@pytest.mark.parametrize("seconds", [0.0, 0.4, 1.0, 59.2, 60.0, 61.0, 900.0])
@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_a_retry_that_may_help_is_within_a_minute(kind: type[SparkdError], seconds: float) -> None:
    headers = error_headers(make(kind, seconds))
    assert 1 <= int(headers["retry-after"]) <= MAX_RETRY_AFTER
    assert int(headers["retry-after"]) >= min(seconds, MAX_RETRY_AFTER)
    assert "x-should-retry" not in headers
