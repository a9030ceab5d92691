"""`sparkctl client NAME`: print the configuration of a client, made from the catalogue."""

from __future__ import annotations

import argparse

import msgspec
from rich.table import Table

from sparkd.catalog import Catalogue
from sparkd.catalog.addresses import WILDCARDS, listen_addresses
from sparkd.catalog.reading import read_catalogue
from sparkd.catalog.reading.locations import catalogue_path
from sparkd.catalog.reference.clients import NO_KEY, ClineModel, cline_settings, opencode_config
from sparkd.cli import exit_codes
from sparkd.cli.output.messages import print_json, print_line, print_note
from sparkd.cli.output.terminal import stdout_console


def run(arguments: argparse.Namespace) -> int:
    """Print it. Writes no file, because every client has its own place for its configuration."""
    catalogue = read_catalogue(catalogue_path(arguments.catalogue))
    url = arguments.url or local_url(catalogue)
    if arguments.client == "opencode":
        main = catalogue.find(arguments.main) if arguments.main else None
        found = opencode_config(catalogue, url, main)
        print_line(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
        _warn_if_empty(found["provider"]["sparkd"]["models"], "opencode")
        return exit_codes.SUCCESS
    models = cline_settings(catalogue)
    if arguments.json:
        print_json({"base_url": url, "models": models})
    else:
        _print_cline(catalogue, url, models)
    _warn_if_empty(models, "cline")
    return exit_codes.SUCCESS


def local_url(catalogue: Catalogue) -> str:
    """The address of sparkd on this machine, from `server.listen`."""
    host, port = listen_addresses(catalogue.settings.server.listen)[0]
    if host in WILDCARDS:  # a client needs a specific address
        host = "localhost"
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"


def _print_cline(catalogue: Catalogue, url: str, models: list[ClineModel]) -> None:
    key = "one of your keys" if catalogue.settings.server.api_key_file else NO_KEY
    print_line(f"API provider: OpenAI Compatible\nBase URL: {url}\nAPI key: {key}\n")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("MODEL ID")
    for heading in ("CONTEXT WINDOW", "MAX OUTPUT"):
        table.add_column(heading, justify="right")
    table.add_column("IMAGES")
    for model in models:
        output = str(model.max_output) if model.max_output else "-"
        table.add_row(model.model, str(model.context_window), output, "yes" if model.images else "no")
    stdout_console().print(table)


def _warn_if_empty(offered: object, client: str) -> None:
    if not offered:
        print_note(
            f"no model has limits for this client; add some: `clients.{client} = {{ context = 100000, output = 8192 }}`"
        )
