"""Where a model's files are: a folder, the models folder, or the hub; and what the machine is that shall run it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from sparkd.catalog import Catalogue
from sparkd.cli.add_files import downloaded, facts_in
from sparkd.cli.add_hub import Hub
from sparkd.errors import ModelNotAdded, ProbeError, SourceUnreachable
from sparkd.guessing import AddOptions, Facts, Machine
from sparkd.guessing.facts import CONFIG, JsonObject
from sparkd.hub.credentials import find_token
from sparkd.hub.layout import MAIN
from sparkd.machine.memory import MemoryProbe

PATH_BEGINNINGS = ("/", ".", "~")

_repository = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")
_page = re.compile(r"https?://[^/]+/(?P<repository>[^/]+/[^/]+?)(?:/tree/(?P<revision>[^/]+))?/?")


class Found(NamedTuple):
    """The facts about a model, where they are from, and whether its weights are on this machine."""

    facts: Facts
    origin: str
    on_disk: bool


def look_at(source: str, options: AddOptions, catalogue: Catalogue) -> Found:
    """Find out about a model that this catalogue is to have.

    Raises SourceNotFound, SourceUnreachable and ModelNotAdded.
    """
    if source.startswith(PATH_BEGINNINGS):
        folder = Path(source).expanduser().resolve()
        return Found(facts_in(folder, str(folder), folder.name), str(folder), on_disk=True)
    page = _page.fullmatch(source)
    repository = page["repository"] if page else source
    if not _repository.fullmatch(repository):
        hint = f"; ./{source} means the folder" if Path(source).is_dir() else ""
        raise ModelNotAdded(f'"{source}" is neither a repository `org/name` nor a folder (/… or ./…){hint}')
    if page and page["revision"] not in (None, MAIN, options.revision):
        raise ModelNotAdded(f"{source} is the page of a revision: add --revision {page['revision']}")
    name = repository.rpartition("/")[2]
    here = downloaded(repository, options.revision, catalogue.folder("models"))
    on_disk = facts_in(here, repository, name) if here is not None else None
    if on_disk is not None and on_disk.weights.bytes is not None:
        return Found(on_disk, str(here), on_disk=True)
    token = find_token(os.environ, catalogue.folder("state"))
    hub = Hub(repository, options.revision or MAIN, token)
    try:
        return Found(hub.facts(), hub.endpoint, on_disk=False)
    except SourceUnreachable as error:
        if on_disk is not None:
            return Found(on_disk, str(here), on_disk=False)
        if options.context is not None and options.memory is not None:
            nothing = Facts(repository, name, JsonObject(CONFIG, {}), empty=True)
            return Found(nothing, f"what was said alone: {error.message}", on_disk=False)
        text = "with --context and --memory it is added all the same, and the rest is yours to say"
        raise SourceUnreachable(f"{error.message}; {text}") from error


def this_machine(catalogue: Catalogue) -> Machine:
    """The machine, as sparkd counts its memory."""
    settings = catalogue.settings.memory
    probe = MemoryProbe()
    try:
        memory = probe.read()
        gpu, total = memory.kind != "host", settings.total or memory.total
    except ProbeError:
        gpu, total = False, settings.total or 0
    finally:
        probe.close()
    models = catalogue.models.values()
    utility = next((model for model in models if model.enabled and model.lifecycle == "utility"), None)
    return Machine(
        gpu=gpu,
        budget=max(0, total - settings.reserve) if total else None,
        utility=utility.id if utility else None,
        utility_memory=(utility.memory or 0) if utility else 0,
        runtimes=tuple(sorted(catalogue.runtimes)),
        families={model.family: model.runtime for model in models if model.family},
    )
