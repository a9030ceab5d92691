"""The paths that engines serve, with the methods, the kind of model and the kind of body that each takes.

From vllm/entrypoints (0.32) and sglang/srt/entrypoints/http_server.py (0.5.9). Other versions may lack a path: SGLang
has `/v1/messages` since 0.5.9, and `/v1/audio/transcriptions` in later versions. A request that no engine could serve
is rejected before a model is started for it. Engines of the kind "command" may serve anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal

from msgspec import Struct

from sparkd.catalog.definitions import EngineName
from sparkd.catalog.tasks import POOLING, Task

BodyKind = Literal["json", "form", "none"]
Segments = tuple[str, ...]

_GET: Final = (b"GET", b"HEAD")
_POST: Final = (b"POST",)
_BOTH: Final[frozenset[EngineName]] = frozenset({"vllm", "sglang"})
_GENERATE: Final[frozenset[Task]] = frozenset({"generate"})
_EMBED: Final[frozenset[Task]] = frozenset({"embed"})
_SCORE: Final[frozenset[Task]] = frozenset({"score"})
_TRANSCRIBE: Final[frozenset[Task]] = frozenset({"transcribe"})
_ANY: Final[frozenset[Task]] = frozenset()


class Endpoint(Struct, frozen=True, eq=False):
    """What a path takes. `tasks`: the model must do one of these; empty: any model serves it.

    `path` is as clients name it; `vllm_path` is vLLM's, if that is another. `counts`: it counts tokens.
    """

    path: str
    tasks: frozenset[Task] = _ANY
    methods: tuple[bytes, ...] = _POST
    body: BodyKind = "json"
    engines: frozenset[EngineName] = _BOTH
    counts: bool = False
    vllm_path: str | None = None

    @property
    def is_plain_json(self) -> bool:
        """Whether its requests are JSON and are forwarded as they are."""
        return self.body == "json" and not self.counts


_ENDPOINTS: Final = (
    Endpoint("/v1/chat/completions", _GENERATE),
    Endpoint("/v1/completions", _GENERATE),
    Endpoint("/v1/responses", _GENERATE),
    Endpoint("/v1/responses/{id}", _GENERATE, _GET, "none"),
    Endpoint("/v1/responses/{id}/cancel", _GENERATE, body="none"),
    Endpoint("/v1/responses/input_tokens", _GENERATE, counts=True),
    Endpoint("/v1/messages", _GENERATE),
    Endpoint("/v1/messages/count_tokens", _GENERATE, counts=True),
    *(
        Endpoint(f"/v1/{path}", _GENERATE, engines=frozenset({"vllm"}))
        for path in (
            *("chat/completions/render", "chat/completions/derender", "chat/completions/batch"),
            *("completions/render", "completions/derender", "responses/render", "messages/render"),
        )
    ),
    Endpoint("/v1/embeddings", _EMBED),
    Endpoint("/v2/embed", _EMBED, engines=frozenset({"vllm"})),
    Endpoint("/score", _SCORE, engines=frozenset({"vllm"})),
    Endpoint("/v1/score"),  # with SGLang, models that generate score, too
    Endpoint("/rerank", _SCORE, engines=frozenset({"vllm"})),
    Endpoint("/v1/rerank", _SCORE),  # SGLang takes PUT as well, which no client uses
    Endpoint("/v2/rerank", _SCORE, engines=frozenset({"vllm"})),
    Endpoint("/classify", frozenset({"classify"})),
    Endpoint("/v1/classify", frozenset({"classify"}), vllm_path="/classify"),
    Endpoint("/pooling", POOLING, engines=frozenset({"vllm"})),
    Endpoint("/v1/pooling", POOLING, engines=frozenset({"vllm"}), vllm_path="/pooling"),
    Endpoint("/tokenize", counts=True),
    Endpoint("/v1/tokenize", counts=True, vllm_path="/tokenize"),
    Endpoint("/detokenize"),
    Endpoint("/v1/detokenize", vllm_path="/detokenize"),
    Endpoint("/v1/audio/transcriptions", _TRANSCRIBE, body="form"),
    Endpoint("/v1/audio/translations", _TRANSCRIBE, body="form", engines=frozenset({"vllm"})),
    Endpoint("/v1/systemone", engines=frozenset({"vllm"})),
)

_BY_SEGMENTS: Final[Mapping[Segments, Endpoint]] = {
    tuple(each.path.strip("/").split("/")): each for each in _ENDPOINTS
}


def find_endpoint(segments: Segments) -> Endpoint | None:
    """The endpoint at a path without a model in it."""
    found = _BY_SEGMENTS.get(segments)
    if found is None and segments[:2] == ("v1", "responses"):
        found = _BY_SEGMENTS.get(("v1", "responses", "{id}", *segments[3:]))
    return found


def find_similar(path: str, engines: Iterable[EngineName] = _BOTH) -> str | None:
    """The path of an engine that is most similar to a mistyped one."""
    wanted = set(engines)
    paths = [each.path for each in _ENDPOINTS if not wanted.isdisjoint(each.engines) and "{" not in each.path]
    if len(path) > 2 * max(map(len, paths)):
        return None
    from difflib import get_close_matches  # noqa: PLC0415  # only a mistake needs it, and no start should wait for it

    found = get_close_matches(path.lower(), [*paths, "/v1/models"], n=1, cutoff=0.8)
    return found[0] if found else None
