"""Models that are not on disk: their requests are rejected, or wait for a download. Meanwhile nothing is evicted."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct, structs

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.errors import (
    DownloadFailed,
    FilesInUse,
    ModelDownloading,
    ModelStopped,
    QueueFull,
    SparkdError,
)
from sparkd.hub import inspection
from sparkd.hub.files import ModelFiles
from sparkd.hub.job import DownloadJob
from sparkd.hub.messages import Progress, format_bytes
from sparkd.hub.needs import find_models_needing, find_needs
from sparkd.hub.removal import remove
from sparkd.hub.request import DownloadRequest, build_command, build_environment, make_request
from sparkd.journal.handler import event
from sparkd.scheduling import refusals
from sparkd.scheduling.forecast import Forecast
from sparkd.scheduling.model_state import ModelState
from sparkd.scheduling.status import ModelStatus
from sparkd.supervising.missing_files import DEFAULT_RETRY, missing_files_error
from sparkd.usage.records import EventKind

logger = logging.getLogger(__name__)


class _Failure(Struct):
    error: DownloadFailed
    until: float
    count: int


class Downloads:
    """Knows which models of one daemon are on disk, and runs the processes that download the others.

    `on_complete` is called with models that were found complete on disk, or have just been downloaded, and
    `on_occurrence` when a download has begun or ended: with a model that needs it, and a text about an error.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.on_complete: Callable[[list[Model]], None] = lambda _: None
        self.on_occurrence: Callable[[EventKind, str, str], None] = lambda _kind, _model, _text: None
        self._on_disk: dict[str, Model] = {}
        self._jobs: dict[DownloadRequest, DownloadJob] = {}
        self._failures: dict[DownloadRequest, _Failure] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._sizes: dict[str, int] = {}
        self._closed_error: Callable[[], SparkdError] | None = None

    # For requests ------------------------------------------------------------------------------------------

    def is_on_disk(self, model: Model) -> bool:
        """Return whether the model, as it is defined now, was found complete. True until its process has ended."""
        return self._on_disk.get(model.id) is model

    def size(self, model_id: str) -> int:
        """Return the size of the model's files on disk in bytes, 0 if no request has been for it yet."""
        return self._sizes.get(model_id, 0)

    def forget(self, model_id: str) -> None:
        """Check the disk again before the next start of the model."""
        self._on_disk.pop(model_id, None)

    async def ensure_on_disk(self, model: Model) -> None:
        """Return once the model is on disk. Raises Refusal if it is not, or cannot be downloaded in time."""
        if self.catalogue.models.get(model.id) is not model:
            model = self.catalogue.find(model.id)  # it was looked up before the catalogue was reloaded
        needs = find_needs(model)
        has_needs = needs.sources or needs.encodings
        parts = await asyncio.to_thread(inspection.inspect_model, model, self._folder) if has_needs else []
        missing = [part for part in parts if part.state not in ("complete", "unknown")]
        self._sizes[model.id] = sum(part.size for part in parts)
        if not missing:
            self._on_disk[model.id] = model
            self.on_complete([model])
            return
        request = self._make_request(model)
        if (job := self._jobs.get(request)) is None:
            if model.download != "auto" or any(part.source.startswith("/") for part in missing):
                raise missing_files_error(model, parts)
            self._raise_recent_failure(request)
            job = self._start_download(request, model)
        with self._count_waiter(job, model):
            try:
                async with asyncio.timeout(self.catalogue.settings.queue.max_wait):
                    error = await asyncio.shield(job.ended)
            except TimeoutError:
                raise self._still_downloading_error(model, job) from None
        if error is not None:
            raise error

    @contextmanager
    def _count_waiter(self, job: DownloadJob, model: Model) -> Iterator[None]:
        max_waiting = self.catalogue.settings.queue.max_length
        if sum(sum(other.waiting.values()) for other in self._jobs.values()) >= max_waiting:
            raise QueueFull(
                f"{max_waiting} requests are waiting already, which is the limit.",
                retry_after=job.progress.seconds_left or DEFAULT_RETRY,
            )
        job.waiting[model.id] = job.waiting.get(model.id, 0) + 1
        try:
            yield
        finally:
            job.waiting[model.id] -= 1

    def _still_downloading_error(self, model: Model, job: DownloadJob) -> ModelDownloading:
        share = job.progress.share
        progress = "" if share is None else f" ({share:.0%} of {format_bytes(job.progress.total)})"
        text = f'Model "{model.id}" is still being downloaded{progress}.'
        return ModelDownloading(text, param="model", retry_after=job.progress.seconds_left or DEFAULT_RETRY)

    def _raise_recent_failure(self, request: DownloadRequest) -> None:
        """Raise the last failure again instead of repeating the download: clients retry often."""
        failure = self._failures.get(request)
        if failure and (left := failure.until - time.monotonic()) > 0:
            error = failure.error
            raise DownloadFailed(error.message, reason=error.reason, param="model", retry_after=left)

    # For the owner -----------------------------------------------------------------------------------------

    async def pull(self, model: Model) -> None:
        """Download what the model needs, or wait for a running download; return once it is on disk. Raises Refusal.

        The download continues if the caller disconnects.
        """
        request = self._make_request(model)
        job = self._jobs.get(request) or self._start_download(request, model)
        if (error := await asyncio.shield(job.ended)) is not None:
            raise error

    def progress_of(self, model: Model) -> Progress | None:
        """Return the progress of the model's download, None if none is running."""
        job = self._jobs.get(self._make_request(model))
        return job.progress if job else None

    def stop(self, model: Model) -> None:
        """Stop the model's download. Downloaded data is kept."""
        if job := self._jobs.get(self._make_request(model)):
            job.stop(ModelStopped(f'The download of model "{model.id}" was stopped.', param="model"))

    async def remove(self, model: Model, resident: Container[str]) -> int:
        """Remove the model's own repository; return the freed bytes. `resident` are ids of models that use memory.

        Raises FilesInUse if this model, or another one that needs the same files, runs or is being downloaded.
        """
        sharing = find_models_needing(model.source, self.catalogue.models.values())
        downloading = {name for job in self._jobs.values() for name in job.names}
        if using := [id_ for id_ in sharing if id_ in resident or id_ in downloading]:
            raise FilesInUse(
                f"The files are in use by {_quote(using)}. Run `sparkctl stop {using[0]}` first.",
                param="model",
            )
        for id_ in sharing:
            self.forget(id_)
        return await asyncio.to_thread(remove, model.source or "", self._folder)

    async def files(self) -> list[ModelFiles]:
        """Return the files on disk of every model, and files that no model needs."""
        return await asyncio.to_thread(
            inspection.take_inventory, list(self.catalogue.models.values()), self._folder
        )

    def with_download(self, status: ModelStatus) -> ModelStatus:
        """Return the model's status with the progress of its download."""
        for job in self._jobs.values():
            if status.id in job.names:
                return structs.replace(
                    status,
                    phase="downloading",
                    progress=job.progress.share,
                    download_seconds_left=job.progress.seconds_left,
                    waiting=status.waiting + job.waiting.get(status.id, 0),
                )
        return status

    def is_downloading(self, model_id: str) -> bool:
        """Return whether a download for the model is running."""
        return any(model_id in job.names for job in self._jobs.values())

    def downloading(self) -> dict[str, Progress]:
        """Return the progress of every download, by the ids of the models that it is for."""
        return {name: job.progress for job in self._jobs.values() for name in job.names}

    def add_download(self, forecast: Forecast) -> Forecast:
        """Return the forecast of a request whose model may have to be downloaded before it can be loaded."""
        progress = self._progress(forecast.model)
        if progress is None:
            return forecast
        left = (progress.seconds_left, forecast.seconds)
        return Forecast(
            model=forecast.model,
            stage="downloading",
            loading=forecast.model,
            phase="downloading",
            progress=progress.share,
            seconds=None if None in left else sum(each or 0.0 for each in left),
        )

    def add_state(self, model_id: str, state: ModelState) -> ModelState:
        """Return the state of a model that is not loaded with the progress of its download."""
        progress = self._progress(model_id)
        if progress is None:
            return state
        return ModelState(
            state="downloading",
            phase="downloading",
            progress=None if progress.share is None else round(progress.share, 2),
            seconds_left=None if progress.seconds_left is None else round(progress.seconds_left),
        )

    def _progress(self, model_id: str) -> Progress | None:
        """The progress of the model's download, None if there is none."""
        return next((job.progress for job in self._jobs.values() if model_id in job.names), None)

    @property
    def busy(self) -> bool:
        """Whether a download is running."""
        return bool(self._tasks)

    def interrupt(self) -> None:
        """Reject waiting requests and stop downloads before a replacement. The next program continues what it needs."""
        self._reject_all(refusals.replacing_error)

    def reopen(self) -> None:
        """Allow downloads again, after a replacement was cancelled."""
        self._closed_error = None

    async def close(self) -> None:
        """Reject waiting requests and stop downloads; return once none is running."""
        self._reject_all(refusals.shutdown_error)
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _reject_all(self, make_error: Callable[[], SparkdError]) -> None:
        self._closed_error = make_error
        for job in self._jobs.values():
            job.stop(make_error())

    # Processes ---------------------------------------------------------------------------------------------

    def _start_download(self, request: DownloadRequest, model: Model) -> DownloadJob:
        if self._closed_error:
            raise self._closed_error()
        if not request.sources and not request.encodings:
            raise missing_files_error(model, inspection.inspect_model(model, self._folder))
        names = [other.id for other in self.catalogue.models.values() if self._make_request(other) == request]
        job = DownloadJob(request, names, asyncio.get_running_loop().create_future())
        self._jobs[request] = job
        logger.info('Downloading model "%s"', model.id, extra=event("downloading", model.id))
        self.on_occurrence("download_began", model.id, "")
        task = asyncio.create_task(self._run_download(job, model.id), name=f"download of {model.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return job

    async def _run_download(self, job: DownloadJob, name: str) -> None:
        """Run one download and record its result."""
        error = await job.run(build_command(job.request), build_environment(job.request, os.environ))
        del self._jobs[job.request]
        if error is None:
            self._failures.pop(job.request, None)
            logger.info('Downloaded model "%s"', name, extra=event("downloaded", name))
            self.on_occurrence("downloaded", name, "")
            models = self.catalogue.models
            self.on_complete([models[id_] for id_ in job.names if id_ in models])
        else:
            message = 'Download of model "%s" failed: %s'
            logger.warning(message, name, error.message, extra=event("download-failed", name))
            self.on_occurrence("download_failed", name, error.message)
        if isinstance(error, DownloadFailed):
            error = self._record_failure(job.request, error)
        for id_ in job.names:
            self.forget(id_)
        job.ended.set_result(error)

    def _record_failure(self, request: DownloadRequest, error: DownloadFailed) -> DownloadFailed:
        """Record a failure, and wait longer before each retry, as after a failed start."""
        failures, last = self.catalogue.settings.failures, self._failures.get(request)
        count = last.count + 1 if last else 1
        pause = min(failures.backoff * 2.0 ** min(count - 1, 30), failures.backoff_max)
        pause = max(pause, error.retry_after or 0.0)
        self._failures[request] = _Failure(error, time.monotonic() + pause, count)
        return DownloadFailed(error.message, reason=error.reason, param="model", retry_after=pause)

    @property
    def _folder(self) -> Path:
        return self.catalogue.folder("models")

    def _make_request(self, model: Model) -> DownloadRequest:
        return make_request(model, self._folder, self.catalogue.folder("state"))


def _quote(model_ids: list[str]) -> str:
    return " and ".join(f'"{model_id}"' for model_id in model_ids)
