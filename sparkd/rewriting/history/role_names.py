"""Roles under other names: those of other frameworks, in capitals, or missing.

Engines and chat templates reject a role that they do not know, and with it the whole conversation.
"""

from __future__ import annotations

from collections.abc import Mapping

from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.decoding import Fields, decode_array, decode_object, decode_string, encode_raw, is_null
from sparkd.rewriting.history.contents import prefix_content, read_parts
from sparkd.rewriting.history.conversation import NewTurn, fix_turns, read_conversation, with_values
from sparkd.rewriting.rewrite_context import Api, RewriteContext

_ROLES: Mapping[Api, frozenset[str]] = {
    "chat": frozenset({"system", "developer", "user", "assistant", "tool", "function"}),
    "responses": frozenset({"system", "developer", "user", "assistant", "tool"}),
    "messages": frozenset({"system", "developer", "user", "assistant"}),
}

_SYNONYMS = {
    **dict.fromkeys(("human", "customer", "end_user"), "user"),
    **dict.fromkeys(("ai", "model", "bot", "chatbot", "gpt", "agent"), "assistant"),
    **dict.fromkeys(("ipython", "observation", "tool_response", "tool_result", "tool_results"), "tool"),
}

_TEMPLATE_ROLES = frozenset(
    {"document", "context", "control", "environment", "latest_reminder", "available_tools"}
)
"""Roles that some chat templates know beside the usual ones. In a chat, they are left to the template."""


def rename_roles(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Give every message a role that its API has. One that has no equivalent becomes a user turn with a heading."""
    conversation = read_conversation(context, body)
    if conversation is None:
        return body
    known = _ROLES[context.api]
    has_openai_calls = context.api == "messages" and "tool_calls" in conversation.keys
    if not has_openai_calls and all(role in known for role in conversation.roles):
        return body
    return fix_turns(context, body, _fix_turn)


def _fix_turn(context: RewriteContext, turn: Fields) -> list[NewTurn] | None:
    api = context.api
    given = decode_string(turn.get("role"))
    if not _is_message(api, turn, given):
        return None
    role = _find_role(given, turn)
    if api == "messages":
        converted = _convert_chat_message(role, turn)
        if converted is not None:
            return [converted]
    if role in _ROLES[api]:
        return None if role == given else [with_values(turn, {"role": role})]
    if api == "chat" and role.startswith(tuple(_TEMPLATE_ROLES)):
        return None
    content = prefix_content(f"[{role}]\n", turn.get("content"), api)
    return [{**with_values(turn, {"role": "user"}), "content": content}]


def _is_message(api: Api, turn: Fields, role: str | None) -> bool:
    """Whether a turn is a message. In responses, other items have another type, and no role."""
    if api != "responses":
        return True
    kind = decode_string(turn.get("type"))
    return kind in (None, "message") and (
        role is not None or ("content" in turn and is_null(turn.get("type")))
    )


def _convert_chat_message(role: str, turn: Fields) -> Fields | None:
    """A chat's message about tools as one of /v1/messages; None for any other message."""
    if role in ("tool", "function"):
        return _make_result(turn)
    return _make_tool_uses(turn) if role == "assistant" and "tool_calls" in turn else None


def _find_role(given: str | None, turn: Fields) -> str:
    name = (given or "").strip().lower()
    if not name:
        return "tool" if "tool_call_id" in turn else "assistant" if "tool_calls" in turn else "user"
    return _SYNONYMS.get(name, name)


def _make_result(turn: Fields) -> Fields:
    """A chat's tool message as one of /v1/messages. It may have Anthropic's blocks already."""
    content = turn.get("content")
    blocks = [decode_object(block) or {} for block in decode_array(content) or ()]
    if any(decode_string(block.get("type")) == "tool_result" for block in blocks):
        return with_values(turn, {"role": "user"})
    result = with_values({}, {"type": "tool_result"})
    given = {"tool_use_id": turn.get("tool_call_id"), "content": content}
    result |= {name: value for name, value in given.items() if value is not None and not is_null(value)}
    return with_values({}, {"role": "user", "content": [result]})


def _make_tool_uses(turn: Fields) -> Fields:
    """A chat's tool calls as blocks. Their arguments are parsed by the rule about arguments."""
    blocks: list[object] = [*read_parts(turn.get("content"), "messages")]
    for call in decode_array(turn["tool_calls"]) or ():
        fields = decode_object(call) or {}
        function = decode_object(fields.get("function"))
        if function is not None:
            given = {"id": fields.get("id"), "name": function.get("name"), "input": function.get("arguments")}
            block = {name: value for name, value in given.items() if value is not None}
            blocks.append({**with_values({}, {"type": "tool_use"}), **block})
    rest = {name: value for name, value in turn.items() if name != "tool_calls"}
    return {**with_values(rest, {"role": "assistant"}), "content": encode_raw(blocks or "")}
