"""A catalogue for the tests, and what it offers a client."""

from __future__ import annotations

from pathlib import Path

from sparkd.catalog import Catalogue
from sparkd.catalog.reading import read_catalogue
from sparkd.clients.offer import Key, Offer, make_offer

ORIGIN = "http://spark:8009"

CATALOGUE = """
[queue]
max_wait = 600.0

[models.coder]
engine = "command"
command = ["x", "{socket}"]
description = "Coder 7B: for code"
tags = ["code"]
context_length = 32768
clients.opencode = { context = 30000, output = 4096 }

[models.better]
engine = "command"
command = ["x", "{socket}"]
status = "validated"
tags = ["code"]
vision = true
context_length = 65536
start_timeout = 1200.0

[models.titles]
engine = "command"
command = ["x", "{socket}"]
LIFECYCLE
rewriting.tools = "strip"
context_length = 8192

[models.by-hand]
engine = "command"
command = ["x", "{socket}"]
status = "manual"
context_length = 9000

[models.vectors]
engine = "command"
command = ["x", "{socket}"]
tasks = ["embed"]

[models.unknown-context]
engine = "command"
command = ["x", "{socket}"]
"""


def read(folder: Path, *, has_utility: bool = True, has_keys: bool = False) -> Catalogue:
    """The catalogue. `has_utility`: whether the model for titles is a utility model."""
    text = CATALOGUE.replace("LIFECYCLE", 'lifecycle = "utility"' if has_utility else "")
    if has_keys:
        (folder / "keys").write_text("secret\n")
        text = f'[server]\napi_key_file = "keys"\n{text}'
    (folder / "models.toml").write_text(text)
    return read_catalogue(folder / "models.toml")


def offer_to(
    client: str,
    folder: Path,
    *,
    has_utility: bool = True,
    has_keys: bool = False,
    secret: str | None = None,
    main: str | None = None,
) -> Offer:
    """What the catalogue offers."""
    catalogue = read(folder, has_utility=has_utility, has_keys=has_keys)
    model = catalogue.find(main) if main else None
    offer = make_offer(catalogue, client, origin=ORIGIN, key=Key(has_keys, secret), main=model)
    assert offer is not None
    return offer
