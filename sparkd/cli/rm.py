"""`sparkctl rm MODEL`: take a model off the disk."""

from __future__ import annotations

import argparse
import sys

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.cli import exits
from sparkd.cli.files import as_owner, catalogue_of, is_absent
from sparkd.cli.folders import is_ours
from sparkd.cli.output import confirmed, note, say, say_json
from sparkd.control.client import ControlClient, find_socket
from sparkd.errors import DaemonUnreachable, InvalidRequest
from sparkd.hub import reading
from sparkd.hub.findings import Removed
from sparkd.hub.needs import needing, needs_of
from sparkd.hub.removing import remove
from sparkd.hub.telling import amount


def run(arguments: argparse.Namespace) -> int:
    """Ask, and remove; the daemon does it where one runs, for it knows what is in use."""
    catalogue = catalogue_of(arguments.catalogue)
    model = catalogue.models.get(arguments.model) or catalogue.find(arguments.model)
    source = model.source or ""
    if not needs_of(model).sources or source.startswith("/"):
        raise InvalidRequest(
            f"Model {model.id} has no files that sparkd downloaded; its source is {source or 'none'}."
        )
    if not arguments.yes and not _confirmed(catalogue, model):
        return exits.FAILED
    removed = _remove(catalogue, model, arguments)
    if arguments.json:
        say_json({"id": model.id, "source": source, "freed": removed.freed})
    elif removed.freed:
        say(f"{source} is removed: {amount(removed.freed)} free again")
    else:
        say(f"{source} was not on disk")
    return exits.DONE


def _remove(catalogue: Catalogue, model: Model, arguments: argparse.Namespace) -> Removed:
    try:
        with ControlClient(find_socket(arguments.socket, arguments.catalogue)) as client:
            return client.remove(model.id)
    except DaemonUnreachable as error:
        folder = catalogue.folder("models")
        if not is_absent(error) or not is_ours(folder):
            raise
        with as_owner(folder):
            return Removed(freed=remove(model.source or "", folder))


def _confirmed(catalogue: Catalogue, model: Model) -> bool:
    if not sys.stdin.isatty():
        raise InvalidRequest("Nobody is there to ask: --yes removes without a question.")
    held = sum(part.held for part in reading.look(model, catalogue.folder("models"))[:1])
    sharing = [id_ for id_ in needing(model.source, catalogue.models.values()) if id_ != model.id]
    also = f", which {', '.join(sharing)} needs too" if sharing else ""
    if confirmed(f"Remove {model.source} ({amount(held)}){also}?"):
        return True
    note("nothing is removed")
    return False
