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
from sparkd.hub.files import FileState, ModelFiles, SourceOnDisk
from sparkd.hub.listing import Listing, load_listing
from sparkd.hub.needs import Need, find_needs
from sparkd.machine.disk import disk_usage

CONFIGURATIONS: Final = ("config.json", "params.json")
"""One of these files is beside the weights; the second is Mistral's."""


def take_inventory(catalogue: Iterable[Model], models: Path) -> list[ModelFiles]:
    """The files of every model, in the catalogue's order, then the repositories that no model needs."""
    every = list(catalogue)
    found = [
        ModelFiles(model=model.id, enabled=model.enabled, parts=tuple(inspect_model(model, models)))
        for model in every
    ]
    return found + [ModelFiles(parts=(part,)) for part in find_unused(models, every)]


def inspect_model(model: Model, models: Path) -> list[SourceOnDisk]:
    """Check everything that the model needs, its own source first. Empty for a model that needs nothing."""
    needs = find_needs(model)
    found = [inspect_source(need, models) for need in needs.sources]
    if needs.encodings:
        found.append(_inspect_encodings(needs.encodings, models))
    return found


def is_complete(model: Model, models: Path) -> bool:
    """Whether everything for the model's engine is on disk. Parts that this user may not read count as complete."""
    return all(part.state in ("complete", "unknown") for part in inspect_model(model, models))


def inspect_source(need: Need, models: Path) -> SourceOnDisk:
    """Check one source."""
    try:
        return _inspect_folder(need) if need.is_folder else _inspect_repository(need, models)
    except PermissionError:
        return SourceOnDisk(source=need.source, state="unknown")
    except OSError:
        return SourceOnDisk(source=need.source, state="absent")


def find_unused(models: Path, catalogue: Iterable[Model]) -> list[SourceOnDisk]:
    """The repositories in the cache that no model of the catalogue needs."""
    used = {layout.repository_name(need.source) for model in catalogue for need in find_needs(model).sources}
    found = []
    with suppress(OSError):
        for entry in sorted(os.scandir(layout.cache_folder(models)), key=lambda entry: entry.name):
            if entry.name.startswith(layout.PREFIX) and entry.name not in used:
                source = entry.name.removeprefix(layout.PREFIX).replace("--", "/", 1)
                found.append(inspect_source(Need(source), models))
    return found


def _inspect_folder(need: Need) -> SourceOnDisk:
    path = Path(need.source)
    if stat.S_ISREG((status := path.stat()).st_mode):
        return SourceOnDisk(source=need.source, state="complete", size=status.st_size)
    missing = _find_missing(path)
    state: FileState = "incomplete" if missing else "complete"
    return SourceOnDisk(source=need.source, state=state, size=disk_usage(path), missing=tuple(missing))


def _inspect_repository(need: Need, models: Path) -> SourceOnDisk:
    folder = layout.repository_folder(models, need.source)
    downloading = layout.is_downloading(models, need.source)
    commit = layout.read_commit(folder, need.revision)
    listing = load_listing(models, need.source, commit)
    if not folder.exists():
        bytes_left = listing.size if listing else None
        return SourceOnDisk(
            source=need.source, state="absent", bytes_left=bytes_left, downloading=downloading
        )
    if listing is not None and (commit is not None or _matches_revision(listing, need)):
        return _inspect_listed(listing, folder, models, refers=commit is not None, downloading=downloading)
    missing = _find_missing(folder / "snapshots" / commit) if commit else []
    state: FileState = "complete" if commit and not missing else "incomplete"
    return SourceOnDisk(
        source=need.source,
        state=state,
        size=disk_usage(folder),
        missing=tuple(missing),
        downloading=downloading,
    )


def _inspect_listed(
    listing: Listing, folder: Path, models: Path, *, refers: bool, downloading: bool
) -> SourceOnDisk:
    missing = listing.find_missing(models)
    broken = (
        []
        if missing
        else [name for name in weights.find_incomplete(listing.snapshot(models)) if name != "weights"]
    )
    names = [file.path for file in missing] or broken
    # All files but no reference: the download ended while it verified or synced them.
    state: FileState = "complete" if refers and not names else "incomplete"
    return SourceOnDisk(
        source=listing.source,
        state=state,
        size=disk_usage(folder),
        missing=tuple(names),
        bytes_left=None if broken else listing.bytes_left(models),
        downloading=downloading,
    )


def _matches_revision(listing: Listing, need: Need) -> bool:
    return listing.revision == (need.revision or layout.MAIN)


def _find_missing(folder: Path) -> list[str]:
    missing = weights.find_incomplete(folder)
    if not any((folder / name).is_file() for name in CONFIGURATIONS) and not any(folder.glob("*.gguf")):
        missing.insert(0, CONFIGURATIONS[0])
    return missing


def _inspect_encodings(names: tuple[str, ...], models: Path) -> SourceOnDisk:
    try:
        missing = encodings.find_missing(names, models)
    except OSError:
        return SourceOnDisk(source="encodings", state="unknown")
    size = sum(_size(encodings.encoding_path(name, models)) for name in names)
    return SourceOnDisk(
        source="encodings",
        state="complete" if not missing else "incomplete" if size else "absent",
        size=size,
        missing=tuple(missing),
        bytes_left=sum(encodings.PUBLISHED[name].size for name in missing),
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
