"""What is missing before a model's engine can start: files and runtimes, which the scheduler does not check."""

from __future__ import annotations

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.hub import inspection
from sparkd.hub.files import combine_states
from sparkd.runtimes import find_installed
from sparkd.supervising.missing_files import missing_files_error


def find_missing_prerequisites(model: Model, catalogue: Catalogue) -> tuple[str, ...]:
    """Sentences about missing files and a missing runtime, each with the command that fixes it. Reads the disk."""
    problems = []
    parts = inspection.inspect_model(model, catalogue.folder("models"))
    if combine_states(parts) in ("absent", "incomplete"):
        hint = " A request for it waits for the download." if model.download == "auto" else ""
        problems.append(f"{missing_files_error(model, parts).message}{hint}")
    runtime = catalogue.runtimes.get(model.runtime or "")
    if runtime is not None and find_installed(runtime, catalogue.folder("runtimes")) is None:
        problems.append(
            f"Its runtime {runtime.name} is not built. Run `sparkctl runtime build {runtime.name}`."
        )
    return tuple(problems)
