"""What a model lacks before its engine can be started at all: what the scheduler, which has no disk, cannot know."""

from __future__ import annotations

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.hub import reading
from sparkd.hub.findings import presence
from sparkd.runtimes import installed
from sparkd.supervising.downloads import missing_files


def lacking(model: Model, catalogue: Catalogue) -> tuple[str, ...]:
    """A sentence for its files and one for its runtime, each with the command that mends it. Looks at the disk."""
    said = []
    parts = reading.look(model, catalogue.folder("models"))
    if presence(parts) in ("absent", "incomplete"):
        first = " Whoever asks for it waits for that." if model.download == "auto" else ""
        said.append(f"{missing_files(model, parts).message}{first}")
    runtime = catalogue.runtimes.get(model.runtime or "")
    if runtime is not None and installed(runtime, catalogue.folder("runtimes")) is None:
        said.append(f"Its runtime {runtime.name} is not built: `sparkctl runtime build {runtime.name}`.")
    return tuple(said)
