"""Texts to start a new drop-in from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from msgspec import Struct

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.catalog.messages import join_key
from sparkd.catalog.reading.conversion import keys_of
from sparkd.catalog.reading.documents import DROP_IN_FOLDER
from sparkd.catalog.sizes import format_size, parse_size

NEVER_CHANGED: Final = ("aliases", "source", "runtime", "engine", "family", "reason")
"""Keys that a change of a model rarely sets: they are left out of its start."""


class Start(Struct, frozen=True, kw_only=True):
    """A text to start from. `file` is a name that no file of the catalogue has."""

    id: str
    title: str
    file: str
    text: str


_MODEL: Final = """\
# A model that the shipped catalogue does not have. `sparkctl add SOURCE` derives such an entry from a model's files.
[models.my-model]
runtime = "vllm"
source = "org/name"
context_length = 32768
memory = "20 GiB"
tags = ["chat"]

[models.my-model.options]
max-num-seqs = 8
"""

_KEYS: Final = """\
# Rights and limits of API keys. The keys themselves are in the file that server.api_key_file names.
[keys.children]
models = ["gpt-oss-20b", "qwen3-*"]
max_in_flight = 2
rate = 30
priority = "low"
"""

_SETTINGS: Final = """\
# Settings of this machine. Remove a # to change one.
[defaults]
# idle_timeout = 900
# download = "auto"

[queue]
# max_wait = 600

[server]
# default_model = "gpt-oss-20b"
"""

_CHOICE: Final = """\
# A name that stands for several models: a request gets the first that is loaded or can be loaded at once.
[choices]
best = ["gpt-oss-120b", "gpt-oss-20b"]
"""


def list_starts(catalogue: Catalogue) -> list[Start]:
    """Texts for a new model, for keys, settings and choices."""
    return [
        Start(id=name, title=title, file=find_free_name(catalogue, name), text=text)
        for name, title, text in (
            ("my-model", "A model", _MODEL),
            ("settings", "Settings of this machine", _SETTINGS),
            ("keys", "Rights and limits of keys", _KEYS),
            ("choices", "A name for several models", _CHOICE),
        )
    ]


def start_override(catalogue: Catalogue, model: Model) -> Start:
    """A text that overrides keys of a model: its current values, each behind a `#`."""
    table = join_key("changes", model.id)
    lines = [
        f'# Changes of the model "{model.id}", which is defined in {catalogue.locate_key(model)[0].name}.',
        "# The lines with a # are its current values: remove the # to change one.",
        f"[{table}]",
        *_list_values(model),
    ]
    if model.options:
        lines += ["", f"[{table}.options]", *_comment(model.options)]
    if model.environment:
        lines += ["", f"[{table}.environment]", *_comment(dict.fromkeys(model.environment, "…"))]
    return Start(
        id=f"override:{model.id}",
        title=f"Override {model.id}",
        file=find_free_name(catalogue, model.id.replace(":", "-")),
        text="\n".join([*lines, ""]),
    )


def find_free_name(catalogue: Catalogue, stem: str) -> str:
    """A name for a new drop-in, such as `models.d/own.toml` or `models.d/own-2.toml`."""
    folder = catalogue.path.parent / DROP_IN_FOLDER
    names = (f"{stem[:90]}.toml", *(f"{stem[:90]}-{number}.toml" for number in range(2, 1000)))
    return next(f"{DROP_IN_FOLDER}/{name}" for name in names if not (folder / name).exists())


def _list_values(model: Model) -> Iterator[str]:
    values: dict[str, Any] = {}
    for name, key in keys_of(Model).items():
        value = getattr(model, name)
        if (
            name in NEVER_CHANGED
            or key.struct is not None
            or isinstance(value, Mapping)
            or value in (None, ())
        ):
            continue
        if key.unit == "bytes" and parse_size(format_size(value)) == value:
            value = format_size(value)
        values[name] = list(value) if isinstance(value, tuple) else value
    return _comment(values)


def _comment(values: Mapping[str, Any]) -> Iterator[str]:
    """The values as TOML, each line behind a `#`."""
    import tomli_w  # noqa: PLC0415 - only an edit needs it, and no start should wait for it

    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
    for line in tomli_w.dumps(plain).splitlines():
        yield f"# {line}" if line else ""
