"""`sparkctl rm MODEL`: delete a model's files from the disk."""

from __future__ import annotations

import argparse
import sys

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.cli import exit_codes
from sparkd.cli.output.messages import ask_confirmation, print_json, print_line, print_note
from sparkd.cli.storage.downloads import act_as_owner, is_not_running, load_catalogue
from sparkd.cli.storage.folders import is_writable
from sparkd.control.client import ControlClient, find_socket
from sparkd.errors import DaemonUnreachable, InvalidRequest
from sparkd.hub import inspection
from sparkd.hub.files import RemovalResult
from sparkd.hub.messages import format_bytes
from sparkd.hub.needs import find_models_needing, find_needs
from sparkd.hub.removal import remove


def run(arguments: argparse.Namespace) -> int:
    """Ask for confirmation, then delete. A running daemon does it, because it knows which models are in use."""
    catalogue = load_catalogue(arguments.catalogue)
    model = catalogue.models.get(arguments.model) or catalogue.find(arguments.model)
    source = model.source or ""
    if not find_needs(model).sources or source.startswith("/"):
        raise InvalidRequest(
            f"Model {model.id} has no files that sparkd downloaded. Its source is {source or 'none'}."
        )
    if not arguments.yes and not _confirm_removal(catalogue, model):
        return exit_codes.FAILED
    removed = _remove(catalogue, model, arguments)
    if arguments.json:
        print_json({"id": model.id, "source": source, "freed": removed.freed})
    elif removed.freed:
        print_line(f"{source} is deleted: {format_bytes(removed.freed)} freed")
    else:
        print_line(f"{source} was not on disk")
    return exit_codes.SUCCESS


def _remove(catalogue: Catalogue, model: Model, arguments: argparse.Namespace) -> RemovalResult:
    try:
        with ControlClient(find_socket(arguments.socket, arguments.catalogue)) as client:
            return client.remove(model.id)
    except DaemonUnreachable as error:
        folder = catalogue.folder("models")
        if not is_not_running(error) or not is_writable(folder):
            raise
        with act_as_owner(folder):
            return RemovalResult(freed=remove(model.source or "", folder))


def _confirm_removal(catalogue: Catalogue, model: Model) -> bool:
    if not sys.stdin.isatty():
        raise InvalidRequest(
            "Cannot ask for confirmation without a terminal. Use --yes to delete without it."
        )
    size_on_disk = sum(part.size for part in inspection.inspect_model(model, catalogue.folder("models"))[:1])
    sharing_models = [
        id_ for id_ in find_models_needing(model.source, catalogue.models.values()) if id_ != model.id
    ]
    also = f", which {', '.join(sharing_models)} needs too" if sharing_models else ""
    if ask_confirmation(f"Delete {model.source} ({format_bytes(size_on_disk)}){also}?"):
        return True
    print_note("nothing was deleted")
    return False
