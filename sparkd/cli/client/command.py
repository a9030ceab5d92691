"""`sparkctl client [CLIENT]`: list the client programs, print a configuration, or write it."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from sparkd.catalog import Catalogue
from sparkd.catalog.addresses import listen_addresses
from sparkd.catalog.definitions import Model
from sparkd.catalog.reading import read_catalogue
from sparkd.catalog.reading.locations import catalogue_path
from sparkd.cli import exit_codes
from sparkd.cli.client.files import ClientFile, locate_files, plan_change
from sparkd.cli.client.writing import write_change
from sparkd.cli.output.messages import print_json, print_line, print_note
from sparkd.clients.configuration import Configuration, strip_suggestions
from sparkd.clients.formats import render_text
from sparkd.clients.names import PURPOSES
from sparkd.clients.offer import KEY_VARIABLE, Key, Offer, can_chat, make_offer
from sparkd.clients.origin import make_origin, parse_origin
from sparkd.clients.table import CONFIGURE
from sparkd.errors import ClientFileError, InvalidRequest

_control_character: Final = re.compile(r"[\x00-\x20\x7f]")


def run(arguments: argparse.Namespace) -> int:
    """Raises InvalidRequest for an invalid address or key, ClientFileError for a file that is."""
    if arguments.client is None:
        return _list_clients(as_json=arguments.json)
    offer = _make_offer(arguments)
    configuration = CONFIGURE[arguments.client](offer)
    if arguments.write:
        return _write(arguments, configuration, offer)
    files = locate_files(configuration, arguments.file, os.environ)
    if arguments.json:
        _print_as_json(arguments.client, configuration, files)
    else:
        _print(configuration, files)
        _print_notes(configuration, offer)
    return exit_codes.SUCCESS


def local_origin(catalogue: Catalogue) -> str:
    """The address of sparkd on this machine, from `server.listen`. Raises InvalidRequest if that has no port."""
    host, port = listen_addresses(catalogue.settings.server.listen)[0]
    if port == 0:
        raise InvalidRequest("`server.listen` selects a free port; pass the address with --url", param="url")
    return make_origin(host, port)


def _list_clients(*, as_json: bool) -> int:
    if as_json:
        print_json(PURPOSES)
        return exit_codes.SUCCESS
    width = max(map(len, PURPOSES))
    for name, purpose in PURPOSES.items():
        print_line(f"{name:<{width}}  {purpose}")
    return exit_codes.SUCCESS


def _make_offer(arguments: argparse.Namespace) -> Offer:
    catalogue = read_catalogue(catalogue_path(arguments.catalogue))
    origin = parse_origin(arguments.url, "--url") if arguments.url else local_origin(catalogue)
    key = Key(catalogue.settings.server.api_key_file is not None, _read_key(arguments.key))
    main = _find_main(catalogue, arguments.model) if arguments.model else None
    offer = make_offer(catalogue, arguments.client, origin=origin, key=key, main=main)
    if offer is None:
        raise InvalidRequest('no model chats; add one, or set its `status` to "experimental"', param="model")
    return offer


def _find_main(catalogue: Catalogue, name: str) -> Model:
    """Raises ModelNotFound, and InvalidRequest for a model that no client can chat with."""
    model = catalogue.find(name)
    if not model.enabled:
        raise InvalidRequest(f'model "{model.id}" is disabled: {model.reason}', param="model")
    if not can_chat(model):
        raise InvalidRequest(f'model "{model.id}" does not chat', param="model")
    return model


def _read_key(text: str | None) -> str | None:
    key = sys.stdin.readline().strip() if text == "-" else text
    if key is not None and (not key or _control_character.search(key)):
        raise InvalidRequest("the key is empty or has blanks", param="key")
    return key


def _print(configuration: Configuration, files: list[ClientFile]) -> None:
    for line in configuration.lines:
        print_line(line)
    for each in files:
        if len(files) > 1:
            print_line(f"# {each.path}" if each is files[0] else f"\n# {each.path}")
        content = strip_suggestions(each.file.content)
        print_line(render_text(each.file.format, content).rstrip("\n"))
    if len(files) == 1 and files[0].path is not None:
        print_note(f"this belongs into {files[0].path}; --write merges it into that file")


def _print_notes(configuration: Configuration, offer: Offer) -> None:
    for note in configuration.notes:
        print_note(note)
    if offer.key.is_missing and configuration.files:
        print_note(
            f"put one of your keys into the environment variable {KEY_VARIABLE}, or pass it with --key"
        )


def _print_as_json(client: str, configuration: Configuration, files: Iterable[ClientFile]) -> None:
    print_json(
        {
            "client": client,
            "files": [
                {
                    "path": None if each.path is None else str(each.path),
                    "format": each.file.format,
                    "content": strip_suggestions(each.file.content),
                }
                for each in files
            ],
            "lines": configuration.lines,
            "notes": configuration.notes,
        }
    )


def _write(arguments: argparse.Namespace, configuration: Configuration, offer: Offer) -> int:
    name = arguments.client
    if not configuration.files:
        raise ClientFileError(
            f"{name} has no file for this; run `sparkctl client {name}` and enter the lines"
        )
    files = locate_files(configuration, arguments.file, os.environ)
    if any(each.path is None for each in files):
        raise ClientFileError(f"{name} has no usual place for its file; name it with --file PATH")
    # All are planned before the first is written: a file that cannot be merged changes none.
    changes = [plan_change(Path(each.path), each.file) for each in files if each.path is not None]
    is_secret = offer.key.secret is not None
    written = [write_change(change, is_private=is_secret) for change in changes]
    if arguments.json:
        print_json([report.as_json() for report in written])
        return exit_codes.SUCCESS
    for report in written:
        print_line(report.render())
    _print_notes(configuration, offer)
    return exit_codes.SUCCESS
