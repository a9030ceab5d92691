"""Finds out how complete a model is on disk. Takes milliseconds; needs no network and no huggingface_hub."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from sparkd.catalog.definitions import Model
from sparkd.hub import encodings, layout, weights
from sparkd.hub.findings import ModelFiles, OnDisk, Presence
from sparkd.hub.listing import Listing, kept
from sparkd.hub.needs import Need, needs_of
from sparkd.machine.disk import held

CONFIGURATIONS: Final = ("config.json", "params.json")
"""One of these files is beside the weights; the second is Mistral's."""


def inventory(catalogue: Iterable[Model], models: Path) -> list[ModelFiles]:
    """The files of every model, in the catalogue's order, then the repositories that no model needs."""
    every = list(catalogue)
    found = [
        ModelFiles(model=model.id, enabled=model.enabled, parts=tuple(look(model, models))) for model in every
    ]
    return found + [ModelFiles(parts=(part,)) for part in unused(models, every)]


def look(model: Model, models: Path) -> list[OnDisk]:
    """Check everything that the model needs, its own source first. Empty for a model that needs nothing."""
    needs = needs_of(model)
    found = [look_at(need, models) for need in needs.sources]
    if needs.encodings:
        found.append(_encodings(needs.encodings, models))
    return found


def is_whole(model: Model, models: Path) -> bool:
    """Whether everything for the model's engine is on disk. Parts that this user may not read count as complete."""
    return all(part.state in ("whole", "unknown") for part in look(model, models))


def look_at(need: Need, models: Path) -> OnDisk:
    """Check one source."""
    try:
        return _folder(need) if need.is_folder else _repository(need, models)
    except PermissionError:
        return OnDisk(source=need.source, state="unknown")
    except OSError:
        return OnDisk(source=need.source, state="absent")


def unused(models: Path, catalogue: Iterable[Model]) -> list[OnDisk]:
    """The repositories in the cache that no model of the catalogue needs."""
    used = {layout.folder_name(need.source) for model in catalogue for need in needs_of(model).sources}
    found = []
    with suppress(OSError):
        for entry in sorted(os.scandir(layout.cache(models)), key=lambda entry: entry.name):
            if entry.name.startswith(layout.PREFIX) and entry.name not in used:
                source = entry.name.removeprefix(layout.PREFIX).replace("--", "/", 1)
                found.append(look_at(Need(source), models))
    return found


def _folder(need: Need) -> OnDisk:
    path = Path(need.source)
    if stat.S_ISREG((status := path.stat()).st_mode):
        return OnDisk(source=need.source, state="whole", held=status.st_size)
    missing = _what_is_missing(path)
    state: Presence = "incomplete" if missing else "whole"
    return OnDisk(source=need.source, state=state, held=held(path), missing=tuple(missing))


def _repository(need: Need, models: Path) -> OnDisk:
    folder = layout.repository(models, need.source)
    fetching = layout.is_being_fetched(models, need.source)
    commit = layout.commit_of(folder, need.revision)
    listing = kept(models, need.source, commit)
    if not folder.exists():
        left = listing.size if listing else None
        return OnDisk(source=need.source, state="absent", left=left, fetching=fetching)
    if listing is not None and (commit is not None or _is_of(listing, need)):
        return _listed(listing, folder, models, refers=commit is not None, fetching=fetching)
    missing = _what_is_missing(folder / "snapshots" / commit) if commit else []
    state: Presence = "whole" if commit and not missing else "incomplete"
    return OnDisk(
        source=need.source, state=state, held=held(folder), missing=tuple(missing), fetching=fetching
    )


def _listed(listing: Listing, folder: Path, models: Path, *, refers: bool, fetching: bool) -> OnDisk:
    missing = listing.missing(models)
    broken = (
        []
        if missing
        else [name for name in weights.incomplete(listing.snapshot(models)) if name != "weights"]
    )
    names = [file.path for file in missing] or broken
    # All files but no reference: the download ended while it verified or synced them.
    state: Presence = "whole" if refers and not names else "incomplete"
    return OnDisk(
        source=listing.source,
        state=state,
        held=held(folder),
        missing=tuple(names),
        left=None if broken else listing.left(models),
        fetching=fetching,
    )


def _is_of(listing: Listing, need: Need) -> bool:
    return listing.revision == (need.revision or layout.MAIN)


def _what_is_missing(folder: Path) -> list[str]:
    missing = weights.incomplete(folder)
    if not any((folder / name).is_file() for name in CONFIGURATIONS) and not any(folder.glob("*.gguf")):
        missing.insert(0, CONFIGURATIONS[0])
    return missing


def _encodings(names: tuple[str, ...], models: Path) -> OnDisk:
    try:
        missing = encodings.missing(names, models)
    except OSError:
        return OnDisk(source="encodings", state="unknown")
    held = sum(_size(encodings.file_of(name, models)) for name in names)
    return OnDisk(
        source="encodings",
        state="whole" if not missing else "incomplete" if held else "absent",
        held=held,
        missing=tuple(missing),
        left=sum(encodings.PUBLISHED[name].size for name in missing),
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
