"""Checks of `[clients.<name>]`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from sparkd.catalog.client_rule import ClientRule
from sparkd.catalog.messages import format_problem, format_value_problem
from sparkd.catalog.origins import Table

MIN_PROMPT: Final = 8
"""Characters: people begin their own messages with anything shorter."""

_header = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def check_clients(clients: Mapping[str, ClientRule], tables: Mapping[str, Table]) -> Iterator[str]:
    """Check that each rule has a mark, and that its headers and prompts can be found."""
    for name, rule in clients.items():
        table = tables[name]
        if table.invalid_keys:
            continue
        if not rule.conditions:
            text = "needs a mark of its requests: keys, headers, paths, models, prompts or shape"
            yield format_problem(*table.locate_key(), text)
        for header, value in rule.headers.items():
            if not _header.fullmatch(header):
                text = "expected the name of a header, such as user-agent"
                yield format_value_problem(*table.locate_key("headers", header), value, text)
        for prompt in rule.prompts:
            if len(prompt) < MIN_PROMPT:
                text = f"expected at least {MIN_PROMPT} characters; people may begin a message with fewer"
                yield format_value_problem(*table.locate_key("prompts"), prompt, text)
