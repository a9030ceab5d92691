"""What is not wrong with a catalogue, but odd: `sparkctl check` and the page show it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from sparkd.catalog import Catalogue
from sparkd.catalog.nearest import did_you_mean
from sparkd.catalog.reading.keys import find_unmatched_rules, read_keys
from sparkd.errors import CatalogueError


def find_notes(catalogue: Catalogue) -> Iterator[str]:
    """Families without models, and tables that match no API key; one sentence each."""
    used = {model.family for model in catalogue.models.values()}
    for family in catalogue.families:
        if family not in used:
            yield f'family "{family}" has no model{did_you_mean(family, filter(None, used))}'
    with suppress(CatalogueError):  # only root may read the file with the keys
        yield from find_unmatched_rules(catalogue, read_keys(catalogue).names)
