"""What a model lacks before its engine can be started at all: what the scheduler, which has no disk, cannot know."""

from __future__ import annotations

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.hub import inspection
from sparkd.hub.files import combine_states
from sparkd.runtimes import find_installed
from sparkd.supervising.downloads import missing_files_error


def find_missing_prerequisites(model: Model, catalogue: Catalogue) -> tuple[str, ...]:
    """A sentence for its files and one for its runtime, each with the command that mends it. Looks at the disk."""
    problems = []
    parts = inspection.inspect_model(model, catalogue.folder("models"))
    if combine_states(parts) in ("absent", "incomplete"):
        hint = " Whoever asks for it waits for that." if model.download == "auto" else ""
        problems.append(f"{missing_files_error(model, parts).message}{hint}")
    runtime = catalogue.runtimes.get(model.runtime or "")
    if runtime is not None and find_installed(runtime, catalogue.folder("runtimes")) is None:
        problems.append(f"Its runtime {runtime.name} is not built: `sparkctl runtime build {runtime.name}`.")
    return tuple(problems)
