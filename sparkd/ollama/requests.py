"""Ollama's requests as those of OpenAI's API."""

from __future__ import annotations

import re
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from sparkd.catalog.durations import keep_alive_seconds
from sparkd.errors import InvalidRequest
from sparkd.ollama.fields import Fields, read_flag, read_images, read_list, read_text
from sparkd.ollama.infill import fill_in, find_infill_template
from sparkd.ollama.messages import make_turn, translate_messages
from sparkd.ollama.options import translate_format, translate_options, translate_think

Kind = Literal["chat", "generate", "embed", "embeddings"]

CHAT: Final = ("v1", "chat", "completions")
COMPLETIONS: Final = ("v1", "completions")
EMBEDDINGS: Final = ("v1", "embeddings")

_IGNORED: Final = frozenset({"context", "template", "logprobs", "top_logprobs", "shift", "debug_render_only"})
"""Fields that have no counterpart."""

_plain = re.compile(r"[a-z][a-z0-9_]{0,39}")
_MAX_LISTED: Final = 20


class TranslatedRequest(Struct, frozen=True):
    """A request for `path`. `body` is None if it only loads or unloads the model.

    `name` is the model as the client names it. `streams`: it gets lines. `hides_thinking`: it wants none.
    `keep_alive` is in seconds, see `keep_alive_seconds`. `ignored` names fields that have no counterpart.
    """

    kind: Kind
    name: str
    path: tuple[str, ...]
    body: dict[str, Any] | None
    streams: bool
    hides_thinking: bool
    keep_alive: float | None
    ignored: tuple[str, ...] = ()

    def encode(self) -> bytes:
        """The body as JSON."""
        return msgspec.json.encode(self.body)

    @property
    def rewrites(self) -> tuple[str, ...]:
        """What this translation adds to the header `x-sparkd-rewrites`."""
        names = [name for name in self.ignored if _plain.fullmatch(name)]  # it becomes a header
        return tuple(f"ignored-{name}" for name in names[:_MAX_LISTED])


def read_name(body: Fields) -> str:
    """The model that a body names, as `model` or by its older name `name`. Raises InvalidRequest."""
    name = read_text(body, "model") or read_text(body, "name")
    if not name:
        raise InvalidRequest("The request names no model. Set `model`.", param="model")
    return name


def translate_request(
    kind: Kind, body: Fields, model_names: tuple[str | None, ...] = ()
) -> TranslatedRequest:
    """Translate a decoded body. `model_names` are names of the model by which its family is found.

    Raises InvalidRequest.
    """
    parameters, ignored = translate_options(body)
    ignored += sorted(name for name in body if name in _IGNORED and body[name] not in (None, False, "", []))
    name = read_name(body)
    path: tuple[str, ...]
    if kind in ("embed", "embeddings"):
        path, content = EMBEDDINGS, _embedding_input(kind, body)
        ignored = [*ignored, *parameters]
    elif kind == "chat":
        path, content = CHAT, _chat(body, parameters)
    else:
        path, content = _generate(body, parameters, model_names)
    streams = kind in ("chat", "generate") and read_flag(body, "stream") is not False
    if content is not None:
        content = {"model": name, **content}
        if streams:
            content |= {"stream": True, "stream_options": {"include_usage": True}}
    return TranslatedRequest(
        kind,
        name,
        path,
        content,
        streams,
        body.get("think") is False,
        keep_alive_seconds(body.get("keep_alive")),
        tuple(dict.fromkeys(ignored)),
    )


def _chat(body: Fields, parameters: dict[str, Any]) -> dict[str, Any] | None:
    messages = read_list(body, "messages")
    if not messages:
        return None
    tools = read_list(body, "tools")
    return {
        "messages": translate_messages(messages),
        **({"tools": tools} if tools else {}),
        **parameters,
        **translate_format(body),
        **translate_think(body),
    }


def _generate(
    body: Fields, parameters: dict[str, Any], model_names: tuple[str | None, ...]
) -> tuple[tuple[str, ...], dict[str, Any] | None]:
    prompt, suffix, images = read_text(body, "prompt"), read_text(body, "suffix"), read_images(body)
    if not (prompt or suffix or images):
        return CHAT, None
    if suffix or read_flag(body, "raw"):
        if images:
            raise InvalidRequest("A request with `raw` or `suffix` takes no images.", param="images")
        if suffix:
            prompt = _fill_in(read_name(body), prompt, suffix, model_names)
        return COMPLETIONS, {"prompt": prompt, **_limit(parameters), **translate_format(body)}
    system = read_text(body, "system")
    messages = [make_turn("system", system, [])] if system else []
    messages.append(make_turn("user", prompt, images))
    chat = {"messages": messages, **parameters, **translate_format(body), **translate_think(body)}
    return CHAT, chat


def _limit(parameters: dict[str, Any]) -> dict[str, Any]:
    """With the limit of a completion that has none: null is all that are left, a missing limit is 16 tokens."""
    return {"max_tokens": None, **parameters}


def _fill_in(name: str, prefix: str, suffix: str, model_names: tuple[str | None, ...]) -> str:
    template = find_infill_template(name, *model_names)
    if template is None:
        raise InvalidRequest(
            f'"{name}" does not support `suffix`: it is not of a family that fills in text. '
            "Send a request without it.",
            param="suffix",
        )
    return fill_in(template, prefix, suffix)


def _embedding_input(kind: Kind, body: Fields) -> dict[str, Any] | None:
    field = "input" if kind == "embed" else "prompt"
    texts = body.get(field)
    if texts in (None, "", []):
        return None
    if not isinstance(texts, str) and not (
        kind == "embed" and isinstance(texts, list) and all(isinstance(text, str) for text in texts)
    ):
        expected = "a string or a list of strings" if kind == "embed" else "a string"
        raise InvalidRequest(f"`{field}` must be {expected}.", param=field)
    content: dict[str, Any] = {"input": texts, "encoding_format": "float"}
    if read_flag(body, "truncate") is not False:
        content["truncate_prompt_tokens"] = -1
    if (dimensions := body.get("dimensions")) is not None:
        content["dimensions"] = dimensions
    return content
