"""Where the chat template of a model is, and whether it has changed; its files are only looked at, not read."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from msgspec import Struct

from sparkd.catalog.definitions import Model
from sparkd.engines.flags import find_option
from sparkd.hub import layout

ENGINES: Final = ("vllm", "sglang")
"""The engines that use a model's chat template."""

FILES: Final = ("chat_template.jinja", "chat_template.json", "tokenizer_config.json")
"""The files that may have it."""


class TemplateLocation(Struct, frozen=True):
    """`given` is the value of the option `chat-template`: a path, or the template itself. It counts before `folder`."""

    folder: str
    given: str = ""

    def read_stamp(self) -> str:
        """Identifies this version of its files; empty if there are none. Raises OSError."""
        paths = [Path(self.folder) / name for name in FILES]
        if self.given and "{" not in self.given:
            paths.append(Path(self.given))
        states = [(path, path.stat()) for path in paths if path.is_file()]
        parts = [f"{path.name} {state.st_ino} {state.st_size} {state.st_mtime_ns}" for path, state in states]
        return "; ".join([self.given, *parts] if self.given else parts)


def locate_template(model: Model, models: Path) -> TemplateLocation | None:
    """Where the model's engine will find its chat template. None if the engine uses none, or it is not on disk yet.

    `models` is the folder `paths.models`.
    """
    if model.engine not in ENGINES or find_option(model.options, "tokenizer-mode") == "mistral":
        return None  # that tokenizer has rules of its own, and no template
    given = find_option(model.options, "chat-template")
    folder = _find_folder(model, models)
    return TemplateLocation(folder, given if isinstance(given, str) else "") if folder else None


def _find_folder(model: Model, models: Path) -> str | None:
    other = find_option(model.options, "tokenizer")
    source = other if isinstance(other, str) else model.source
    if not source or source.startswith("/"):
        return source or None
    folder = layout.repository_folder(models, source)
    commit = layout.read_commit(folder, model.revision if source == model.source else None)
    return str(folder / "snapshots" / commit) if commit else None
