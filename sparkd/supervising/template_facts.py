"""What the chat templates of one daemon's models accept: read once they are on disk, and kept.

Until a template has been read, its facts of the last time count, or none: rules are then careful.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.catalog.templates import UNKNOWN_TEMPLATE, Template
from sparkd.hub.layout import write_atomically
from sparkd.supervising.tasks import Tasks
from sparkd.templates.locations import TemplateLocation, locate_template
from sparkd.templates.reading import PROGRAM, read_templates

logger = logging.getLogger(__name__)

VERSION: Final = 1
"""Increase it when templates have to be read again, because they are read in another way."""


class ReadTemplate(Struct, frozen=True):
    """What a template accepts. `stamp` identifies the version of its files."""

    stamp: str
    template: Template


class _Stored(Struct, frozen=True):
    version: int
    models: dict[str, ReadTemplate]


class TemplateFacts:
    """Knows what the template of each model of a catalogue accepts.

    A file in `paths.state` keeps it; it is created again if it is damaged. `on_change` is called after facts have
    changed. `program` is the command that reads templates. Belongs to one event loop.
    """

    def __init__(self, catalogue: Catalogue, tasks: Tasks, program: Sequence[str] = PROGRAM) -> None:
        self._catalogue = catalogue
        self._program = program
        self.on_change: Callable[[], None] = lambda: None
        self._tasks = tasks
        self._path = catalogue.folder("state") / "templates.json"
        self._lock = asyncio.Lock()  # one process at a time
        self._running: set[asyncio.Task[None]] = set()
        self._read = _load(self._path)

    def template_of(self, model: Model) -> Template:
        """What was read from the model's template."""
        read = self._read.get(model.id)
        return read.template if read else UNKNOWN_TEMPLATE

    def use_catalogue(self, catalogue: Catalogue) -> None:
        """Use a reloaded catalogue, and read its templates."""
        self._catalogue = catalogue
        self.refresh()

    def refresh(self, models: Iterable[Model] | None = None) -> None:
        """Read the templates of these models, or of all, in the background if they have changed on disk."""
        chosen = self._catalogue.models.values() if models is None else models
        task = asyncio.create_task(self._refresh([model for model in chosen if model.enabled]))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        self._tasks.watch(task)

    async def settled(self) -> None:
        """Wait until nothing is being read."""
        while self._running:
            await asyncio.wait(self._running)

    async def _refresh(self, models: list[Model]) -> None:
        async with self._lock:
            changed = await asyncio.to_thread(self._find_changed, models)
            templates = await read_templates(
                [location for location, _ in changed.values()], program=self._program
            )
            if not changed:
                return
            kept = {id_: read for id_, read in self._read.items() if id_ in self._catalogue.models}
            for (id_, (_, stamp)), template in zip(changed.items(), templates, strict=True):
                if template is not None:
                    kept[id_] = ReadTemplate(stamp, template)
            _report_unread(
                [id_ for id_, template in zip(changed, templates, strict=True) if template is None]
            )
            self._read = kept
            self.on_change()
            await asyncio.to_thread(_store, self._path, kept)

    def _find_changed(self, models: list[Model]) -> dict[str, tuple[TemplateLocation, str]]:
        """The templates on disk that were not read yet, with their stamps."""
        found = {}
        for model in models:
            location = locate_template(model, self._catalogue.folder("models"))
            with suppress(OSError):
                stamp = location.read_stamp() if location else ""
                known = self._read.get(model.id)
                if location and stamp and (known is None or known.stamp != stamp):
                    found[model.id] = location, stamp
        return found


def _report_unread(models: list[str]) -> None:
    if models:
        logger.warning(
            "Cannot read the chat templates of %s: the process that reads them was killed, or took too long. Rules "
            "stay careful with these models; run `sparkctl reload` to try again.",
            ", ".join(models),
        )


def _load(path: Path) -> dict[str, ReadTemplate]:
    try:
        stored = msgspec.json.decode(path.read_bytes(), type=_Stored)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):  # none yet, or damaged: they are read again
        return {}
    return stored.models if stored.version == VERSION else {}


def _store(path: Path, models: dict[str, ReadTemplate]) -> None:
    try:
        write_atomically(path, msgspec.json.encode(_Stored(VERSION, models)))
    except OSError as error:
        logger.info("Cannot keep what chat templates accept in %s: %s", path, error)
