"""`options`, `format` and `think` of a request, as parameters of OpenAI's API (some are vLLM's own)."""

from __future__ import annotations

from typing import Any, Final

from sparkd.errors import InvalidRequest
from sparkd.ollama.fields import Fields, read_object

_SAME: Final = ("temperature", "top_p", "top_k", "min_p", "seed", "presence_penalty", "frequency_penalty")
_RENAMED: Final = {"repeat_penalty": "repetition_penalty"}
EFFORTS: Final = ("low", "medium", "high", "max")
"""Values of `think` besides true and false."""


def translate_options(body: Fields) -> tuple[dict[str, Any], list[str]]:
    """The parameters for the engine, and the names of the options that have no counterpart, such as `num_ctx`.

    Raises InvalidRequest.
    """
    parameters: dict[str, Any] = {}
    ignored = []
    for name, value in read_object(body, "options").items():
        if value is None:
            continue
        if name in _SAME:
            parameters[name] = value
        elif name in _RENAMED:
            parameters[_RENAMED[name]] = value
        elif name == "stop":
            if value not in ("", []):
                parameters["stop"] = value
        elif name == "num_predict":
            if not isinstance(value, int) or value > 0:  # -1 and -2: without a limit
                parameters["max_tokens"] = value
        else:
            ignored.append(name)
    return parameters, ignored


def translate_format(body: Fields) -> dict[str, Any]:
    """`response_format` for "json" or a JSON Schema. Raises InvalidRequest."""
    wanted = body.get("format")
    if wanted in (None, ""):
        return {}
    if wanted == "json":
        return {"response_format": {"type": "json_object"}}
    if not isinstance(wanted, dict):
        raise InvalidRequest('`format` must be "json" or a JSON Schema.', param="format")
    schema = {"name": "response", "schema": wanted, "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


def translate_think(body: Fields) -> dict[str, Any]:
    """The switch or the effort. Raises InvalidRequest."""
    think = body.get("think")
    if think is None or think == "":
        return {}
    if isinstance(think, bool):
        return {"thinking": think}
    if think in EFFORTS:
        return {"reasoning_effort": think}
    listed = ", ".join(f'"{effort}"' for effort in EFFORTS)
    raise InvalidRequest(f"`think` must be true, false or one of {listed}.", param="think")
