"""The rules about the conversation.

`SHAPE_RULES` come before the rules about images, `FOLD_RULE` and `ORDER_RULES` around the one about a chat's roles.
"""

from __future__ import annotations

from sparkd.rewriting.history.alternation import alternate_turns
from sparkd.rewriting.history.arguments import repair_arguments
from sparkd.rewriting.history.block_shapes import fix_messages
from sparkd.rewriting.history.calls import pair_tool_calls
from sparkd.rewriting.history.chat_shapes import fix_chat_messages
from sparkd.rewriting.history.documents import DOCUMENT_TYPES, inline_documents
from sparkd.rewriting.history.empty_turns import drop_empty_turns, fill_null_content
from sparkd.rewriting.history.items import fix_items
from sparkd.rewriting.history.role_names import rename_roles
from sparkd.rewriting.history.strictness import alternates_roles
from sparkd.rewriting.history.system import fold_system_message, merge_system_messages, rename_developer
from sparkd.rewriting.history.tool_images import move_tool_images
from sparkd.rewriting.history.traits import LATER_SYSTEM, MAYBE_EMPTY, NO_USER, NULL_CONTENT, UNUSUAL
from sparkd.rewriting.history.turns import fix_turns_list
from sparkd.rewriting.history.user_turn import add_user_turn
from sparkd.rewriting.images import IMAGE_TYPES
from sparkd.rewriting.rewrite_context import CONVERSATION_APIS, Api, RewriteContext
from sparkd.rewriting.rule import Rule

KEY = "repair_history"

_CHAT: frozenset[Api] = frozenset({"chat"})
_MESSAGES: frozenset[Api] = frozenset({"messages"})
_RESPONSES: frozenset[Api] = frozenset({"responses"})

_UNUSUAL = frozenset({UNUSUAL})
_CALLS = frozenset({"tool_calls", "tool", "call_id", "arguments", "tool_use", "tool_result"})
_CALLS |= {"function_call", "function_call_output"}


def _repairs(context: RewriteContext) -> bool:
    return context.model.rewriting.repair_history


def _renames_developer(context: RewriteContext) -> bool:
    return _repairs(context) and (context.template.developer is not True or context.api == "messages")


def _places_system(context: RewriteContext) -> bool:
    """Whether system messages are not accepted everywhere. In a chat, `alternate_roles` moves them by itself."""
    moved = context.api == "chat" and context.model.rewriting.alternate_roles
    is_free = context.template.system == "anywhere" and not context.template.alternates
    return _repairs(context) and not is_free and not moved


def _folds_system(context: RewriteContext) -> bool:
    return _places_system(context) and context.template.system == "none"


SHAPE_RULES: tuple[Rule, ...] = (
    Rule("turns", KEY, _repairs, CONVERSATION_APIS, fix_turns_list),
    Rule("roles", KEY, _repairs, CONVERSATION_APIS, rename_roles),
    Rule("documents", KEY, _repairs, CONVERSATION_APIS, inline_documents, turns=DOCUMENT_TYPES),
    Rule("message-shapes", KEY, _repairs, _CHAT, fix_chat_messages, turns=_UNUSUAL),
    Rule("block-shapes", KEY, _repairs, _MESSAGES, fix_messages, frozenset({"system"}), _UNUSUAL),
    Rule("response-items", KEY, _repairs, _RESPONSES, fix_items, turns=_UNUSUAL),
    Rule("tool-arguments", KEY, _repairs, CONVERSATION_APIS, repair_arguments, turns=_UNUSUAL),
    Rule("tool-calls", KEY, _repairs, CONVERSATION_APIS, pair_tool_calls, turns=_CALLS),
    Rule("tool-images", KEY, _repairs, CONVERSATION_APIS, move_tool_images, turns=IMAGE_TYPES),
    Rule(
        "developer-role",
        "template.developer",
        _renames_developer,
        CONVERSATION_APIS,
        rename_developer,
        turns=frozenset({"developer"}),
    ),
    Rule(
        "system-messages",
        "template.system",
        _places_system,
        CONVERSATION_APIS,
        merge_system_messages,
        turns=frozenset({LATER_SYSTEM}),
    ),
    Rule(
        "empty-turns",
        "template.empty_assistant",
        lambda context: _repairs(context) and context.template.empty_assistant is not True,
        CONVERSATION_APIS,
        drop_empty_turns,
        turns=frozenset({MAYBE_EMPTY, "reasoning"}),
    ),
    Rule(
        "null-content",
        "template.null_content",
        lambda context: _repairs(context) and context.template.null_content is not True,
        _CHAT,
        fill_null_content,
        turns=frozenset({NULL_CONTENT}),
    ),
)

FOLD_RULE = Rule("fold-system", "template.system", _folds_system, CONVERSATION_APIS, fold_system_message)

ORDER_RULES: tuple[Rule, ...] = (
    Rule("alternate-turns", "template.alternates", alternates_roles, _MESSAGES | _RESPONSES, alternate_turns),
    Rule(
        "user-turn",
        "template.needs_user",
        lambda context: _repairs(context) and context.template.needs_user is not False,
        CONVERSATION_APIS,
        add_user_turn,
        turns=frozenset({NO_USER, "tool_result"}),
    ),
)
