"""What a model does: generates text, embeds, ranks, classifies or transcribes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from sparkd.catalog.definitions import Model

Task = Literal["generate", "embed", "score", "classify", "transcribe"]

POOLING: Final[frozenset[Task]] = frozenset({"embed", "score", "classify"})
"""What vLLM's pooling runner can do. One model rarely does all of it."""

_BY_CONVERSION: Final[Mapping[Any, frozenset[Task]]] = {
    "embed": frozenset({"embed", "score"}),
    "classify": frozenset({"classify", "score"}),
}
"""By the value of vLLM's flag `convert`. Models that embed or classify can rank as well."""

_GENERATING_OPTIONS: Final = ("enable-auto-tool-choice", "tool-call-parser", "reasoning-parser")
_GENERATING_TAGS: Final = frozenset(
    {"chat", "code", "tools", "reasoning", "math", "writing", "roleplay", "uncensored"}
)


def find_tasks(model: Model) -> frozenset[Task] | None:
    """What the model does, by its key `tasks`, its flags or its tags. None if they don't say."""
    if model.tasks:
        return frozenset(model.tasks)
    if model.engine == "command":
        return None
    options, tags = model.options, frozenset(model.tags)
    if options.get("runner") == "pooling" or "embeddings" in tags or options.get("is-embedding") is True:
        return _BY_CONVERSION.get(options.get("convert"), _pooling_by_tags(tags))
    is_generating = options.get("runner") == "generate" or not tags.isdisjoint(_GENERATING_TAGS)
    if is_generating or any(name in options for name in _GENERATING_OPTIONS):
        return frozenset({"generate", "transcribe"} if "audio" in tags else {"generate"})
    return None


def _pooling_by_tags(tags: Iterable[str]) -> frozenset[Task]:
    return _BY_CONVERSION["embed"] if "embeddings" in tags else POOLING
