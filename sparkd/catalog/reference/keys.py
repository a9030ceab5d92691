"""The tables of keys in docs/configuration.md: `python -m sparkd.catalog.reference.keys` rewrites them.

The text above MARK and below END in that file is written by hand and left unchanged.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from msgspec import NODEFAULT, Struct

from sparkd.catalog.bounds import Limits
from sparkd.catalog.choices import ChoiceTable
from sparkd.catalog.client_rules import ClientRule
from sparkd.catalog.definitions import Model
from sparkd.catalog.generated import replace_generated
from sparkd.catalog.key_rules import KeyRules
from sparkd.catalog.labels import ClientLimits
from sparkd.catalog.messages import format_value
from sparkd.catalog.reading.conversion import Key, keys_of
from sparkd.catalog.reading.tables import SETTINGS
from sparkd.catalog.rewriting import Rewriting
from sparkd.catalog.runtime import Runtime
from sparkd.catalog.settings import Defaults
from sparkd.catalog.sizes import format_size
from sparkd.catalog.steps import Checkout, Patch, Step
from sparkd.catalog.templates import Template

FILE = Path(__file__).parents[3] / "docs" / "configuration.md"
MARK = "<!-- From here on generated: python -m sparkd.catalog.reference.keys -->\n"

_units = {"bytes": "size", "seconds": "seconds", "path": "path", "source": "repository or folder"}


def render_tables() -> str:
    """Every key of every table, in Markdown."""
    tables: list[tuple[str, type[Struct]]] = [(f"`[{name}]`", struct) for name, struct in SETTINGS.items()]
    tables.append(("`[choices]`", ChoiceTable))
    tables.append(("`[models.<id>]`, `[changes.<id>]`, `[families.<name>]` and `[runtimes.<name>]`", Model))
    tables.append(("`[models.<id>.rewriting]`", Rewriting))
    tables.append(("`[models.<id>.rewriting.limits]`", Limits))
    tables.append(("`[models.<id>.rewriting.template]`", Template))
    tables.append(("`[models.<id>.clients.<client>]`", ClientLimits))
    tables.append(("`[keys.<name>]`", KeyRules))
    tables.append(("`[clients.<name>]`", ClientRule))
    tables.append(("`runtime.toml`", Runtime))
    tables.append(("`[[steps]]` of `runtime.toml`", Step))
    tables.append(("`[[steps.sources]]` of `runtime.toml`", Checkout))
    tables.append(("`[[steps.patches]]` of `runtime.toml`", Patch))
    return "\n".join(line for title, struct in tables for line in _render_table(title, struct))


def _render_table(title: str, struct: type[Struct]) -> Iterator[str]:
    yield f"\n### {title}\n"
    sentence = (struct.__doc__ or "").partition(": ")[2]
    yield f"{sentence[:1].upper()}{sentence[1:]}\n"
    yield "| key | value | default | meaning |"
    yield "|---|---|---|---|"
    for key in keys_of(struct).values():
        name, value = key.name, _units.get(key.unit or "") or key.describe_type()
        if struct is ChoiceTable and key.items is not None:
            name, value = "<name>", key.items.describe_type()  # its keys are free
        cells = (f"`{name}`", value, _format_default(key), key.description)
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _format_default(key: Key) -> str:
    if key.default is NODEFAULT:
        return "from `[defaults]`" if key.name in keys_of(Defaults) else "required"
    if key.default in (None, (), {}, "") or isinstance(key.default, Struct):
        return ""
    if key.unit == "bytes":
        return f'`"{format_size(key.default)}"`'
    return f"`{key.default:g}`" if isinstance(key.default, float) else f"`{format_value(key.default)}`"


def render_page() -> str:
    """docs/configuration.md with the tables of the current definitions."""
    return replace_generated(FILE.read_text(), MARK, render_tables() + "\n")


if __name__ == "__main__":
    FILE.write_text(render_page())
