"""Models that are not on disk: refused, or fetched while requests wait. Nothing is reserved or evicted meanwhile."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from msgspec import structs

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.errors import (
    BeingFetched,
    FetchFailed,
    FilesInUse,
    FilesMissing,
    ModelStopped,
    QueueFull,
    SparkdError,
)
from sparkd.hub import reading
from sparkd.hub.findings import ModelFiles, OnDisk, presence
from sparkd.hub.following import Fetch
from sparkd.hub.needs import needing, needs_of
from sparkd.hub.ordering import Order, command, environment, order_for
from sparkd.hub.removing import remove
from sparkd.hub.telling import amount
from sparkd.journal.handler import event
from sparkd.scheduling import refusals
from sparkd.scheduling.status import ModelStatus

logger = logging.getLogger(__name__)

UNKNOWN_TIME: Final = 60.0
"""Seconds after which to ask again where nobody knows how long it takes."""


@dataclass(slots=True)
class _Failure:
    error: FetchFailed
    until: float
    count: int


class Downloads:
    """What is on disk of the models of one daemon, and the processes that fetch the rest."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._there: dict[str, Model] = {}
        self._fetches: dict[Order, Fetch] = {}
        self._failures: dict[Order, _Failure] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed: Callable[[], SparkdError] | None = None

    # For requests ------------------------------------------------------------------------------------------

    def knows(self, model: Model) -> bool:
        """Whether the model was found whole, as it is defined now. True until its process has ended."""
        return self._there.get(model.id) is model

    def forget(self, model_id: str) -> None:
        """Look again before the model is next started."""
        self._there.pop(model_id, None)

    async def ensure(self, model: Model) -> None:
        """Return once the model is on disk. Raises Refusal: it is not and will not be, or not soon."""
        if (
            self.catalogue.models.get(model.id) is not model
        ):  # it was found before the catalogue was read again
            model = self.catalogue.find(model.id)
        needs = needs_of(model)
        anything = needs.sources or needs.encodings
        found = await asyncio.to_thread(reading.look, model, self._folder) if anything else []
        missing = [part for part in found if part.state not in ("whole", "unknown")]
        if not missing:
            self._there[model.id] = model
            return
        order = self._order(model)
        if (fetch := self._fetches.get(order)) is None:
            if model.download != "auto" or any(part.source.startswith("/") for part in missing):
                raise missing_files(model, found)
            self._raise_recent(order)
            fetch = self._begin(order, model)
        with self._waits(fetch, model):
            try:
                async with asyncio.timeout(self.catalogue.settings.queue.max_wait):
                    error = await asyncio.shield(fetch.ended)
            except TimeoutError:
                raise self._not_yet(model, fetch) from None
        if error is not None:
            raise error

    @contextmanager
    def _waits(self, fetch: Fetch, model: Model) -> Iterator[None]:
        most = self.catalogue.settings.queue.max_length
        if sum(sum(other.waiting.values()) for other in self._fetches.values()) >= most:
            raise QueueFull(f"{most} requests wait already.", retry_after=fetch.progress.left or UNKNOWN_TIME)
        fetch.waiting[model.id] = fetch.waiting.get(model.id, 0) + 1
        try:
            yield
        finally:
            fetch.waiting[model.id] -= 1

    def _not_yet(self, model: Model, fetch: Fetch) -> BeingFetched:
        share = fetch.progress.share
        told = "" if share is None else f" ({share:.0%} of {amount(fetch.progress.total)} are there)"
        text = f"Model {model.id} is still being downloaded{told}."
        return BeingFetched(text, param="model", retry_after=fetch.progress.left or UNKNOWN_TIME)

    def _raise_recent(self, order: Order) -> None:
        """A failure of a moment ago is told again, not had again: clients ask again and again."""
        failure = self._failures.get(order)
        if failure and (left := failure.until - time.monotonic()) > 0:
            error = failure.error
            raise FetchFailed(error.message, reason=error.reason, param="model", retry_after=left)

    # For the operator --------------------------------------------------------------------------------------

    async def pull(self, model: Model) -> None:
        """Fetch what the model needs, or join who does; return once it is there. Raises Refusal.

        Goes on when the caller leaves.
        """
        order = self._order(model)
        fetch = self._fetches.get(order) or self._begin(order, model)
        if (error := await asyncio.shield(fetch.ended)) is not None:
            raise error

    def stop(self, model: Model) -> None:
        """End the fetching of the model; what has arrived is kept."""
        if fetch := self._fetches.get(self._order(model)):
            fetch.end(ModelStopped(f"The download of model {model.id} was stopped.", param="model"))

    async def remove(self, model: Model, resident: Container[str]) -> int:
        """Remove the model's own repository; return the bytes that were freed. `resident`: ids that hold memory.

        Raises FilesInUse where it, or another one that needs the same, runs or is fetched.
        """
        sharing = needing(model.source, self.catalogue.models.values())
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
        return await asyncio.to_thread(reading.inventory, list(self.catalogue.models.values()), self._folder)

    def told(self, status: ModelStatus) -> ModelStatus:
        """The model's status, with what is being fetched for it."""
        for fetch in self._fetches.values():
            if status.id in fetch.names:
                return structs.replace(
                    status,
                    phase="downloading",
                    progress=fetch.progress.share,
                    download_left=fetch.progress.left,
                    waiting=status.waiting + fetch.waiting.get(status.id, 0),
                )
        return status

    @property
    def busy(self) -> bool:
        """Whether any process that fetches is left."""
        return bool(self._tasks)

    def interrupt(self) -> None:
        """Refuse who waits from now on and end what fetches, for a successor: what it needs it goes on with itself."""
        self._refuse(refusals.replacing)

    def go_on(self) -> None:
        """Fetch again: there is no successor."""
        self._closed = None

    async def close(self) -> None:
        """Refuse who waits and end what fetches; return once none of it is left."""
        self._refuse(refusals.shutting_down)
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _refuse(self, why: Callable[[], SparkdError]) -> None:
        self._closed = why
        for fetch in self._fetches.values():
            fetch.end(why())

    # Processes ---------------------------------------------------------------------------------------------

    def _begin(self, order: Order, model: Model) -> Fetch:
        if self._closed:
            raise self._closed()
        if not order.sources and not order.encodings:
            raise missing_files(model, reading.look(model, self._folder))
        names = [other.id for other in self.catalogue.models.values() if self._order(other) == order]
        fetch = Fetch(order, names, asyncio.get_running_loop().create_future())
        self._fetches[order] = fetch
        logger.info("%s: downloading", model.id, extra=event("downloading", model.id))
        task = asyncio.create_task(self._follow(fetch, model.id), name=f"download of {model.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return fetch

    async def _follow(self, fetch: Fetch, name: str) -> None:
        """The life of one process."""
        error = await fetch.carry_out(command(fetch.order), environment(fetch.order, os.environ))
        del self._fetches[fetch.order]
        if error is None:
            self._failures.pop(fetch.order, None)
            logger.info("%s: downloaded", name, extra=event("downloaded", name))
        else:
            logger.warning(
                "%s: not downloaded: %s", name, error.message, extra=event("download-failed", name)
            )
        if isinstance(error, FetchFailed):
            error = self._remember(fetch.order, error)
        for id_ in fetch.names:
            self.forget(id_)
        fetch.ended.set_result(error)

    def _remember(self, order: Order, error: FetchFailed) -> FetchFailed:
        """Have it wait before the next try, longer each time: as after a failed start."""
        failures, before = self.catalogue.settings.failures, self._failures.get(order)
        count = before.count + 1 if before else 1
        pause = min(failures.backoff * 2.0 ** min(count - 1, 30), failures.backoff_max)
        pause = max(pause, error.retry_after or 0.0)
        self._failures[order] = _Failure(error, time.monotonic() + pause, count)
        return FetchFailed(error.message, reason=error.reason, param="model", retry_after=pause)

    @property
    def _folder(self) -> Path:
        return self.catalogue.folder("models")

    def _order(self, model: Model) -> Order:
        return order_for(model, self._folder, self.catalogue.folder("state"))


def missing_files(model: Model, parts: list[OnDisk]) -> FilesMissing | BeingFetched:
    """Why a model that is not on disk is refused, and what puts it there."""
    folders = [
        part for part in parts if part.source.startswith("/") and part.state in ("absent", "incomplete")
    ]
    if folders:
        lacking = folders[0]
        there = f"lacks {lacking.missing[0]}" if lacking.missing else "is not there"
        text = f"Model {model.id} is not on disk: its source {lacking.source} {there}."
        return FilesMissing(text, param="model")
    if any(part.fetching for part in parts):
        text = f"Model {model.id} is being downloaded."
        return BeingFetched(text, param="model", retry_after=UNKNOWN_TIME)
    lefts = [part.left for part in parts if part.state in ("absent", "incomplete")]
    # Where nobody has told how big one of them is, the sum of the others would mislead.
    size = f" ({amount(sum(left or 0 for left in lefts))})" if lefts and None not in lefts else ""
    half = "only partly on disk" if presence(parts) == "incomplete" else "not on disk"
    text = f"Model {model.id} is {half}: `sparkctl pull {model.id}` downloads it{size}."
    return FilesMissing(text, param="model")
