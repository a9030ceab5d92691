"""Where a model's files are (a folder, the models folder, or the hub), and the machine that will run it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from sparkd.catalog import Catalogue
from sparkd.cli.add.hub import HubClient
from sparkd.cli.add.local_files import find_downloaded, read_folder_facts
from sparkd.errors import ModelNotAdded, ProbeError, SourceUnreachable
from sparkd.guessing import AddOptions, Facts, Machine
from sparkd.guessing.facts import CONFIG, JsonObject
from sparkd.hub.credentials import find_token
from sparkd.hub.layout import MAIN
from sparkd.machine.memory import MemoryProbe

PATH_PREFIXES = ("/", ".", "~")

_repository_pattern = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")
_page_pattern = re.compile(r"https?://[^/]+/(?P<repository>[^/]+/[^/]+?)(?:/tree/(?P<revision>[^/]+))?/?")


class SourceFacts(NamedTuple):
    """The facts about a model, their origin, and whether its weights are on this machine."""

    facts: Facts
    origin: str
    on_disk: bool


def inspect_source(source: str, options: AddOptions, catalogue: Catalogue) -> SourceFacts:
    """Collect the facts about a model that will be added to this catalogue.

    Raises SourceNotFound, SourceUnreachable and ModelNotAdded.
    """
    if source.startswith(PATH_PREFIXES):
        folder = Path(source).expanduser().resolve()
        return SourceFacts(read_folder_facts(folder, str(folder), folder.name), str(folder), on_disk=True)
    page = _page_pattern.fullmatch(source)
    repository = page["repository"] if page else source
    if not _repository_pattern.fullmatch(repository):
        hint = f"; ./{source} means the folder" if Path(source).is_dir() else ""
        raise ModelNotAdded(f'"{source}" is neither a repository `org/name` nor a folder (/… or ./…){hint}')
    if page and page["revision"] not in (None, MAIN, options.revision):
        raise ModelNotAdded(f"{source} is the page of a revision; add --revision {page['revision']}")
    name = repository.rpartition("/")[2]
    downloaded = find_downloaded(repository, options.revision, catalogue.folder("models"))
    on_disk = read_folder_facts(downloaded, repository, name) if downloaded is not None else None
    if on_disk is not None and on_disk.weights.bytes is not None:
        return SourceFacts(on_disk, str(downloaded), on_disk=True)
    token = find_token(os.environ, catalogue.folder("state"))
    hub = HubClient(repository, options.revision or MAIN, token)
    try:
        return SourceFacts(hub.fetch_facts(), hub.endpoint, on_disk=False)
    except SourceUnreachable as error:
        if on_disk is not None:
            return SourceFacts(on_disk, str(downloaded), on_disk=False)
        if options.context is not None and options.memory is not None:
            no_facts = Facts(repository, name, JsonObject(CONFIG, {}), empty=True)
            return SourceFacts(no_facts, f"the command line only: {error.message}", on_disk=False)
        text = "to add it anyway, pass --context and --memory, and write the rest yourself"
        raise SourceUnreachable(f"{error.message}; {text}") from error


def describe_machine(catalogue: Catalogue) -> Machine:
    """This machine, with its memory as sparkd counts it."""
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
