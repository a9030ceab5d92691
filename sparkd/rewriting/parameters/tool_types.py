"""Tools that only another vendor's servers run: removed. What the client itself can run stays, as a function."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.decoding import (
    Fields,
    decode_array,
    decode_object,
    decode_string,
    encode_raw,
    read_type,
)
from sparkd.rewriting.parameters.known_tools import find_known_tool
from sparkd.rewriting.parameters.tool_shapes import (
    convert_tool,
    encode_changed,
    encode_tools,
    read_tool_name,
    read_tool_type,
    with_tools,
)
from sparkd.rewriting.remembering import remember
from sparkd.rewriting.rewrite_context import Api, RewriteContext

_SEARCH_TYPE = "tool_search"
_SEPARATOR = "__"


def remove_foreign_tools(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Keep functions and the types in `tool_types`, and flatten namespaces of functions."""
    native = context.model.rewriting.tool_types if context.api == "responses" else ()
    return with_tools(body, _convert_tools(encode_tools(body), context.api, tuple(native)))


@remember
def _convert_tools(data: bytes, api: Api, native: tuple[str, ...]) -> msgspec.Raw | None:
    """What takes the place of the tools; None to keep them."""
    tools = decode_array(msgspec.Raw(data)) if data else None
    if not tools:
        return None
    kept = [kept for tool in tools for kept in _convert(api, tool, native)]
    if _has_search(tools) and _SEARCH_TYPE not in native:
        kept = [_load_now(tool) for tool in kept]
    return encode_changed(tools, kept)


def _convert(api: Api, tool: msgspec.Raw, native: tuple[str, ...]) -> Iterator[msgspec.Raw]:
    """The tools that take the place of one: itself, none, or the functions of a namespace."""
    fields = decode_object(tool)
    if fields is None:
        return  # no API has tools that are not objects
    kind = read_tool_type(fields)
    if kind == "function":
        if read_tool_name(tool):  # the model could not call one without a name
            yield convert_tool(api, tool)
    elif kind in native:
        if kind == "namespace" and "description" not in fields:
            yield encode_raw({**fields, "description": ""})  # vLLM requires one
        elif not _has_grammar(fields):
            yield tool
    elif kind == "namespace":
        yield from _flatten_namespace(api, fields)
    elif api == "messages" and (known := find_known_tool(kind)) is not None:
        name = decode_string(fields.get("name")) or kind.rpartition("_")[0]
        yield encode_raw({"name": name, "description": known.description, "input_schema": known.schema})


def _has_grammar(fields: Fields) -> bool:
    """Whether a custom tool's input follows a grammar, which vLLM rejects."""
    return decode_string((decode_object(fields.get("format")) or {}).get("type")) == "grammar"


def _flatten_namespace(api: Api, namespace: Fields) -> Iterator[msgspec.Raw]:
    """Its functions, named as clients of /v1/responses and vLLM join them: `mcp__files` and `read` are
    `mcp__files__read`."""
    prefix = (decode_string(namespace.get("name")) or "").removesuffix(_SEPARATOR)
    for tool in decode_array(namespace.get("tools")) or ():
        fields = decode_object(tool)
        name = decode_string((fields or {}).get("name"))
        if fields is not None and name and read_tool_type(fields) == "function":
            full = name if not prefix or name.startswith(prefix + _SEPARATOR) else prefix + _SEPARATOR + name
            yield convert_tool(api, encode_raw({**fields, "type": "function", "name": full}))


def _has_search(tools: list[msgspec.Raw]) -> bool:
    kinds = (read_type(tool) for tool in tools)
    return any(kind is not None and kind.startswith(_SEARCH_TYPE) for kind in kinds)


def _load_now(tool: msgspec.Raw) -> msgspec.Raw:
    """A tool without `defer_loading`: without a search, the model would never find it."""
    fields = decode_object(tool) or {}
    function = decode_object(fields.get("function"))
    if function is not None and "defer_loading" in function:
        fields = {**fields, "function": encode_raw(_without_deferral(function))}
    elif "defer_loading" not in fields:
        return tool
    return encode_raw(_without_deferral(fields))


def _without_deferral(fields: Fields) -> Fields:
    return {name: value for name, value in fields.items() if name != "defer_loading"}
