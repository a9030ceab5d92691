"""`tool_choice` and its companions: without tools they are left out, and a choice names a tool that is there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.decoding import decode_array, decode_object, decode_string, decode_value, is_null
from sparkd.rewriting.parameters.tool_shapes import (
    encode_changed,
    encode_tools,
    list_tools,
    read_tool_name,
    with_tools,
)
from sparkd.rewriting.remembering import remember
from sparkd.rewriting.rewrite_context import Api, RewriteContext

_NEEDS_TOOLS = ("tools", "tool_choice", "parallel_tool_calls")
_NEEDS_FUNCTIONS = ("functions", "function_call")

_MODES = {"auto": "auto", "none": "none", "required": "required", "any": "required"}
_OPTIONS = "disable_parallel_tool_use"


class _Choice(NamedTuple):
    """A choice in no API's shape: "auto", "none", "required", or the name of a tool. `allowed`: the only tools."""

    mode: str
    name: str | None = None
    allowed: tuple[str, ...] = ()


def fix_tool_choice(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Leave out a choice without tools, and turn one that the API does not know into the nearest it knows."""
    fields = body.fields
    body = _remove_empty_functions(body)
    if "tools" not in fields and "tool_choice" not in fields and "parallel_tool_calls" not in fields:
        return body
    names = _list_names(encode_tools(body))
    if not names:
        return body if decode_value(fields.get("tools")) else body.without(_NEEDS_TOOLS)
    if "tool_choice" not in fields:
        return body
    given = decode_value(fields["tool_choice"])
    choice = _read_choice(given)
    if choice is None:
        return body.without(("tool_choice",))
    if choice.name is not None and choice.name not in (*names, *_list_nested_names(list_tools(body))):
        choice = _match_flattened(choice.name, names)
    if choice.allowed:
        tools = list_tools(body)
        allowed = [tool for tool, name in zip(tools, names, strict=True) if name in choice.allowed]
        body = with_tools(body, encode_changed(tools, allowed or tools))
    written = _write_choice(context.api, choice, given)
    return body if written == given else body.with_field("tool_choice", written)


@remember
def _list_names(data: bytes) -> tuple[str | None, ...]:
    """The name of each tool."""
    tools = decode_array(msgspec.Raw(data)) if data else None
    return tuple(map(read_tool_name, tools or ()))


def _remove_empty_functions(body: JsonBody) -> JsonBody:
    functions = body.fields.get("functions")
    if functions is None:
        return body
    return body.without(_NEEDS_FUNCTIONS) if is_null(functions) or decode_array(functions) == [] else body


def _list_nested_names(tools: list[msgspec.Raw]) -> list[str]:
    """Names of the functions in namespaces that are left for the engine, alone and as the engine joins them."""
    names = []
    for tool in tools:
        fields = decode_object(tool) or {}
        for inner in decode_array(fields.get("tools")) or ():
            name = read_tool_name(inner)
            if name is not None:
                names += [name, f"{decode_string(fields.get('name'))}__{name}"]
    return names


def _match_flattened(name: str, names: Sequence[str | None]) -> _Choice:
    """The one function of that name in a namespace that was flattened; otherwise the model chooses."""
    matches = [known for known in names if known is not None and known.endswith(f"__{name}")]
    return _Choice("tool", matches[0]) if len(matches) == 1 else _Choice("auto")


def _read_choice(given: Any) -> _Choice | None:
    if isinstance(given, str):
        mode = _MODES.get(given.strip().lower())
        return None if mode is None else _Choice(mode)
    if not isinstance(given, dict):
        return None
    kind = given.get("type")
    if kind == "allowed_tools":
        return _read_allowed(given)
    if isinstance(kind, str) and kind in _MODES:
        return _Choice(_MODES[kind])
    for owner in (given.get("function"), given.get("custom"), given):
        name = owner.get("name") if isinstance(owner, dict) else None
        if isinstance(name, str) and name:
            return _Choice("tool", name)
    return _Choice("auto")  # a kind of tool that another vendor's servers run


def _read_allowed(given: dict[str, Any]) -> _Choice:
    inner = given.get("allowed_tools")
    owner = inner if isinstance(inner, dict) else given
    tools = owner.get("tools")
    names = []
    for tool in tools if isinstance(tools, list) else ():
        choice = _read_choice(tool)
        if choice is not None and choice.name is not None:
            names.append(choice.name)
    mode = owner.get("mode")
    return _Choice(_MODES.get(mode, "auto") if isinstance(mode, str) else "auto", allowed=tuple(names))


def _write_choice(api: Api, choice: _Choice, given: Any) -> Any:
    if api == "messages":
        kept = {_OPTIONS: given[_OPTIONS]} if isinstance(given, dict) and _OPTIONS in given else {}
        if choice.name is not None:
            return {"type": "tool", "name": choice.name, **kept}
        return {"type": "any" if choice.mode == "required" else choice.mode, **kept}
    if choice.name is None:
        return choice.mode
    if api == "chat":
        return {"type": "function", "function": {"name": choice.name}}
    is_custom = isinstance(given, dict) and given.get("type") == "custom"
    return {"type": "custom" if is_custom else "function", "name": choice.name}
