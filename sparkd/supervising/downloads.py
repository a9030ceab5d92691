"""Models that are not on disk: refused, or fetched while requests wait. Nothing is reserved or evicted meanwhile."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from msgspec import Struct, structs

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.errors import (
    DownloadFailed,
    FilesInUse,
    FilesMissing,
    ModelDownloading,
    ModelStopped,
    QueueFull,
    SparkdError,
)
from sparkd.hub import inspection
from sparkd.hub.files import ModelFiles, SourceOnDisk, combine_states
from sparkd.hub.job import DownloadJob
from sparkd.hub.messages import format_bytes
from sparkd.hub.needs import find_models_needing, find_needs
from sparkd.hub.removal import remove
from sparkd.hub.request import DownloadRequest, build_command, build_environment, make_request
from sparkd.journal.handler import event
from sparkd.scheduling import refusals
from sparkd.scheduling.status import ModelStatus

logger = logging.getLogger(__name__)

DEFAULT_RETRY: Final = 60.0
"""Seconds after which to ask again where nobody knows how long it takes."""


class _Failure(Struct):
    error: DownloadFailed
    until: float
    count: int


class Downloads:
    """What is on disk of the models of one daemon, and the processes that fetch the rest."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._on_disk: dict[str, Model] = {}
        self._fetches: dict[DownloadRequest, DownloadJob] = {}
        self._failures: dict[DownloadRequest, _Failure] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed_error: Callable[[], SparkdError] | None = None

    # For requests ------------------------------------------------------------------------------------------

    def is_on_disk(self, model: Model) -> bool:
        """Whether the model was found whole, as it is defined now. True until its process has ended."""
        return self._on_disk.get(model.id) is model

    def forget(self, model_id: str) -> None:
        """Look again before the model is next started."""
        self._on_disk.pop(model_id, None)

    async def ensure_on_disk(self, model: Model) -> None:
        """Return once the model is on disk. Raises Refusal: it is not and will not be, or not soon."""
        if (
            self.catalogue.models.get(model.id) is not model
        ):  # it was found before the catalogue was read again
            model = self.catalogue.find(model.id)
        needs = find_needs(model)
        anything = needs.sources or needs.encodings
        found = await asyncio.to_thread(inspection.inspect_model, model, self._folder) if anything else []
        missing = [part for part in found if part.state not in ("complete", "unknown")]
        if not missing:
            self._on_disk[model.id] = model
            return
        order = self._order(model)
        if (fetch := self._fetches.get(order)) is None:
            if model.download != "auto" or any(part.source.startswith("/") for part in missing):
                raise missing_files_error(model, found)
            self._raise_recent_failure(order)
            fetch = self._start_download(order, model)
        with self._count_waiter(fetch, model):
            try:
                async with asyncio.timeout(self.catalogue.settings.queue.max_wait):
                    error = await asyncio.shield(fetch.ended)
            except TimeoutError:
                raise self._still_downloading_error(model, fetch) from None
        if error is not None:
            raise error

    @contextmanager
    def _count_waiter(self, fetch: DownloadJob, model: Model) -> Iterator[None]:
        max_waiting = self.catalogue.settings.queue.max_length
        if sum(sum(other.waiting.values()) for other in self._fetches.values()) >= max_waiting:
            raise QueueFull(
                f"{max_waiting} requests wait already.",
                retry_after=fetch.progress.seconds_left or DEFAULT_RETRY,
            )
        fetch.waiting[model.id] = fetch.waiting.get(model.id, 0) + 1
        try:
            yield
        finally:
            fetch.waiting[model.id] -= 1

    def _still_downloading_error(self, model: Model, fetch: DownloadJob) -> ModelDownloading:
        share = fetch.progress.share
        progress = (
            "" if share is None else f" ({share:.0%} of {format_bytes(fetch.progress.total)} are there)"
        )
        text = f"Model {model.id} is still being downloaded{progress}."
        return ModelDownloading(text, param="model", retry_after=fetch.progress.seconds_left or DEFAULT_RETRY)

    def _raise_recent_failure(self, order: DownloadRequest) -> None:
        """A failure of a moment ago is told again, not had again: clients ask again and again."""
        failure = self._failures.get(order)
        if failure and (left := failure.until - time.monotonic()) > 0:
            error = failure.error
            raise DownloadFailed(error.message, reason=error.reason, param="model", retry_after=left)

    # For the operator --------------------------------------------------------------------------------------

    async def pull(self, model: Model) -> None:
        """Fetch what the model needs, or join who does; return once it is there. Raises Refusal.

        Goes on when the caller leaves.
        """
        order = self._order(model)
        fetch = self._fetches.get(order) or self._start_download(order, model)
        if (error := await asyncio.shield(fetch.ended)) is not None:
            raise error

    def stop(self, model: Model) -> None:
        """End the fetching of the model; what has arrived is kept."""
        if fetch := self._fetches.get(self._order(model)):
            fetch.stop(ModelStopped(f"The download of model {model.id} was stopped.", param="model"))

    async def remove(self, model: Model, resident: Container[str]) -> int:
        """Remove the model's own repository; return the bytes that were freed. `resident`: ids that hold memory.

        Raises FilesInUse where it, or another one that needs the same, runs or is fetched.
        """
        sharing = find_models_needing(model.source, self.catalogue.models.values())
        fetched = {name for fetch in self._fetches.values() for name in fetch.names}
        if using := [id_ for id_ in sharing if id_ in resident or id_ in fetched]:
            raise FilesInUse(
                f"{', '.join(using)} is in use: `sparkctl stop {using[0]}` first.", param="model"
            )
        for id_ in sharing:
            self.forget(id_)
        return await asyncio.to_thread(remove, model.source or "", self._folder)

    async def files(self) -> list[ModelFiles]:
        """What is on disk of every model, and what no model needs."""
        return await asyncio.to_thread(
            inspection.take_inventory, list(self.catalogue.models.values()), self._folder
        )

    def with_download(self, status: ModelStatus) -> ModelStatus:
        """The model's status, with what is being fetched for it."""
        for fetch in self._fetches.values():
            if status.id in fetch.names:
                return structs.replace(
                    status,
                    phase="downloading",
                    progress=fetch.progress.share,
                    download_seconds_left=fetch.progress.seconds_left,
                    waiting=status.waiting + fetch.waiting.get(status.id, 0),
                )
        return status

    @property
    def busy(self) -> bool:
        """Whether any process that fetches is left."""
        return bool(self._tasks)

    def interrupt(self) -> None:
        """Refuse who waits from now on and end what fetches, for a successor: what it needs it goes on with itself."""
        self._refuse(refusals.replacing_error)

    def reopen(self) -> None:
        """Fetch again: there is no successor."""
        self._closed_error = None

    async def close(self) -> None:
        """Refuse who waits and end what fetches; return once none of it is left."""
        self._refuse(refusals.shutdown_error)
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _refuse(self, why: Callable[[], SparkdError]) -> None:
        self._closed_error = why
        for fetch in self._fetches.values():
            fetch.stop(why())

    # Processes ---------------------------------------------------------------------------------------------

    def _start_download(self, order: DownloadRequest, model: Model) -> DownloadJob:
        if self._closed_error:
            raise self._closed_error()
        if not order.sources and not order.encodings:
            raise missing_files_error(model, inspection.inspect_model(model, self._folder))
        names = [other.id for other in self.catalogue.models.values() if self._order(other) == order]
        fetch = DownloadJob(order, names, asyncio.get_running_loop().create_future())
        self._fetches[order] = fetch
        logger.info("%s: downloading", model.id, extra=event("downloading", model.id))
        task = asyncio.create_task(self._run_download(fetch, model.id), name=f"download of {model.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return fetch

    async def _run_download(self, fetch: DownloadJob, name: str) -> None:
        """The life of one process."""
        error = await fetch.run(build_command(fetch.request), build_environment(fetch.request, os.environ))
        del self._fetches[fetch.request]
        if error is None:
            self._failures.pop(fetch.request, None)
            logger.info("%s: downloaded", name, extra=event("downloaded", name))
        else:
            logger.warning(
                "%s: not downloaded: %s", name, error.message, extra=event("download-failed", name)
            )
        if isinstance(error, DownloadFailed):
            error = self._record_failure(fetch.request, error)
        for id_ in fetch.names:
            self.forget(id_)
        fetch.ended.set_result(error)

    def _record_failure(self, order: DownloadRequest, error: DownloadFailed) -> DownloadFailed:
        """Have it wait before the next try, longer each time: as after a failed start."""
        failures, before = self.catalogue.settings.failures, self._failures.get(order)
        count = before.count + 1 if before else 1
        pause = min(failures.backoff * 2.0 ** min(count - 1, 30), failures.backoff_max)
        pause = max(pause, error.retry_after or 0.0)
        self._failures[order] = _Failure(error, time.monotonic() + pause, count)
        return DownloadFailed(error.message, reason=error.reason, param="model", retry_after=pause)

    @property
    def _folder(self) -> Path:
        return self.catalogue.folder("models")

    def _order(self, model: Model) -> DownloadRequest:
        return make_request(model, self._folder, self.catalogue.folder("state"))


def missing_files_error(model: Model, parts: list[SourceOnDisk]) -> FilesMissing | ModelDownloading:
    """Why a model that is not on disk is refused, and what puts it there."""
    folders = [
        part for part in parts if part.source.startswith("/") and part.state in ("absent", "incomplete")
    ]
    if folders:
        lacking = folders[0]
        state = f"lacks {lacking.missing[0]}" if lacking.missing else "is not there"
        text = f"Model {model.id} is not on disk: its source {lacking.source} {state}."
        return FilesMissing(text, param="model")
    if any(part.downloading for part in parts):
        text = f"Model {model.id} is being downloaded."
        return ModelDownloading(text, param="model", retry_after=DEFAULT_RETRY)
    lefts = [part.bytes_left for part in parts if part.state in ("absent", "incomplete")]
    # Where nobody has told how big one of them is, the sum of the others would mislead.
    size = f" ({format_bytes(sum(left or 0 for left in lefts))})" if lefts and None not in lefts else ""
    half = "only partly on disk" if combine_states(parts) == "incomplete" else "not on disk"
    text = f"Model {model.id} is {half}: `sparkctl pull {model.id}` downloads it{size}."
    return FilesMissing(text, param="model")
