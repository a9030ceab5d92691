"""Holds: kept in a small file, so that they outlive the daemon, and their models kept loaded.

The file is read once, when sparkd starts. A damaged one is logged, and its holds are forgotten.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.errors import HoldConflict, HoldNotFound, InvalidRequest, SparkdError
from sparkd.journal.handler import event
from sparkd.scheduling.actions import Action
from sparkd.scheduling.claim import Claim
from sparkd.scheduling.hold import Hold
from sparkd.scheduling.lifecycle import Residency
from sparkd.scheduling.scheduler import Scheduler
from sparkd.supervising.lease import Lease
from sparkd.upstream.client import EngineRequest

INTERVAL: Final = 5.0
"""Seconds between two checks of whether a held model is loaded, and of whether its hold has ended by the clock on the
wall, which continues while the machine is suspended."""

MAX_HOLDS: Final = 100
"""Holds at once."""

LONGEST_TEXT: Final = 200
"""Characters of an owner, a job or a reason: they are repeated in error messages."""

logger = logging.getLogger(__name__)


class Loader(Protocol):
    """The supervisor."""

    @property
    def catalogue(self) -> Catalogue:
        """The current catalogue."""
        ...

    def lease(self, model: Model, request: EngineRequest | None, claim: Claim) -> Lease:
        """A lease that has not been requested yet."""
        ...

    def residency(self, model: Model) -> Residency:
        """Whether the model is loaded now."""
        ...

    def carry_out(self, actions: list[Action]) -> None:
        """Carry out the scheduler's decisions."""
        ...


class StoredHold(Struct, frozen=True, kw_only=True):
    """A hold in the file. `until` is Unix time."""

    id: str
    model: str
    until: float
    owner: str = ""
    job: str = ""
    reason: str = ""


class HoldBook:
    """Begins and ends holds. `watch` reports a task that fails, which is a bug."""

    def __init__(
        self, loader: Loader, scheduler: Scheduler, file: Path, watch: Callable[[asyncio.Task[None]], None]
    ) -> None:
        self._loader = loader
        self._scheduler = scheduler
        self._file = file
        self._watch = watch
        self._keepers: dict[str, asyncio.Task[None]] = {}

    def begin(
        self, model: Model, seconds: float, *, owner: str = "", job: str = "", reason: str = ""
    ) -> Hold:
        """Keep the model loaded for that time, and begin to load it.

        Raises InvalidRequest, HoldConflict, and InsufficientMemory if it does not fit beside pinned models.
        """
        for name, text in (("owner", owner), ("job", job), ("reason", reason)):
            if len(text) > LONGEST_TEXT or not text.isprintable():
                raise InvalidRequest(
                    f"`{name}` must be one line of at most {LONGEST_TEXT} characters.", param=name
                )
        longest = self._loader.catalogue.settings.queue.max_hold
        if not 0 < seconds <= longest:
            raise InvalidRequest(
                f"A hold of {seconds:.10g} seconds is not possible: `queue.max_hold` allows "
                f"{'no holds' if not longest else f'more than 0 and at most {longest:.0f} seconds'}.",
                param="for",
            )
        if len(self.all()) >= MAX_HOLDS:
            raise HoldConflict(f"There are {MAX_HOLDS} holds already, which is the limit. Release one first.")
        now = time.monotonic()
        hold = Hold(
            id=f"hold-{secrets.token_hex(3)}",
            model=model.id,
            ends=now + seconds,
            until=time.time() + seconds,
            owner=owner,
            job=job,
            reason=reason,
        )
        self._loader.carry_out(self._scheduler.on_hold(hold, now))
        logger.info('Model "%s" is %s', model.id, hold.describe(now), extra=event("held", model.id))
        self._save()
        self._keep_loaded(model.id)
        return hold

    def end(self, hold_id: str, by: str) -> Hold:
        """End a hold. Raises HoldNotFound. `by` is who ends it, for the log."""
        hold = self.find(hold_id)
        logger.info('%s ended the hold on model "%s"', by, hold.model, extra=event("released", hold.model))
        self._loader.carry_out(self._scheduler.on_release(hold.id, time.monotonic()))
        if not self._is_held(hold.model) and (keeper := self._keepers.get(hold.model)):
            keeper.cancel()
        self._save()
        return hold

    def find(self, hold_id: str) -> Hold:
        """The hold with that id. Raises HoldNotFound."""
        hold = next((hold for hold in self.all() if hold.id == hold_id), None)
        if hold is None:
            known = ", ".join(hold.id for hold in self.all())
            raise HoldNotFound(
                f'There is no hold "{hold_id[:LONGEST_TEXT]}"' + (f"; there are: {known}." if known else ".")
            )
        return hold

    def all(self) -> list[Hold]:
        """All holds, the oldest first."""
        return list(self._scheduler.holds())

    def restore(self) -> None:
        """Read the file, and begin its holds again. Call this when everything else is ready to load models.

        The scheduler already has those that another sparkd has handed over.
        """
        now, wall = time.monotonic(), time.time()
        latest = wall + self._loader.catalogue.settings.queue.max_hold
        known = {hold.id for hold in self.all()}
        for hold in self.all():
            self._keep_loaded(hold.model)
        for stored in self._read():
            if stored.id in known:
                continue
            model = self._loader.catalogue.models.get(stored.model)
            if min(stored.until, latest) <= wall or model is None or not model.enabled:
                continue
            fields = msgspec.structs.asdict(stored) | {"until": min(stored.until, latest)}
            hold = Hold(**fields, ends=now + fields["until"] - wall)
            try:
                self._loader.carry_out(self._scheduler.on_hold(hold, now))
            except SparkdError as error:
                logger.warning('The hold on model "%s" is forgotten: %s', model.id, error.message)
                continue
            self._keep_loaded(model.id)
        if restored := self.all():
            logger.info("Holds that continue: %d", len(restored))

    def close(self) -> None:
        """Load no model any more."""
        for keeper in self._keepers.values():
            keeper.cancel()

    def _is_held(self, model_id: str) -> bool:
        return any(hold.model == model_id for hold in self.all())

    def _keep_loaded(self, model_id: str) -> None:
        known = self._keepers.get(model_id)
        if known is None or known.done() or known.cancelling():
            keeper = asyncio.get_running_loop().create_task(
                self._follow(model_id), name=f"hold on {model_id}"
            )
            self._keepers[model_id] = keeper
            self._watch(keeper)

    async def _follow(self, model_id: str) -> None:
        """Load the model whenever it is not loaded, until no hold on it is left."""
        reported: list[str] = []
        load: asyncio.Task[None] | None = None
        try:
            while self._is_held(model_id):
                model = self._loader.catalogue.models[model_id]  # a reload that removes it ends its holds
                if load is None and self._loader.residency(model) == "unloaded":
                    load = asyncio.ensure_future(self._load(model, reported))
                await asyncio.sleep(INTERVAL)
                if load and load.done():
                    load = None
                self._end_overdue()
            logger.info('Nobody holds model "%s" any more', model_id, extra=event("released", model_id))
            self._save()
        finally:
            if load:
                load.cancel()

    async def _load(self, model: Model, reported: list[str]) -> None:
        """Load the model. Report why that fails, unless it was reported last."""
        try:
            async with self._loader.lease(model, None, Claim(client=f"hold on {model.id}")):
                reported.clear()
        except SparkdError as error:
            if reported != [error.message]:
                reported[:] = [error.message]
                logger.warning('Model "%s" is held but cannot be loaded: %s', model.id, error.message)

    def _end_overdue(self) -> None:
        wall = time.time()
        for hold in self.all():
            if hold.until <= wall:
                self._loader.carry_out(self._scheduler.on_release(hold.id, time.monotonic()))

    def _read(self) -> list[StoredHold]:
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=list[StoredHold])
        except FileNotFoundError:
            return []
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            logger.warning("%s cannot be read, so its holds are forgotten: %s", self._file, error)
            return []

    def _save(self) -> None:
        stored = [
            StoredHold(
                id=hold.id,
                model=hold.model,
                until=hold.until,
                owner=hold.owner,
                job=hold.job,
                reason=hold.reason,
            )
            for hold in self.all()
        ]
        temporary = self._file.with_suffix(".new")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with open(temporary, "wb", opener=_open_private) as file:
                file.write(msgspec.json.encode(stored))
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._file)
        except OSError as error:
            logger.warning("The holds cannot be written to %s: %s", self._file, error)
            with suppress(OSError):
                temporary.unlink()


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
