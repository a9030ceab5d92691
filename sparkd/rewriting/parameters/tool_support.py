"""Tools for a model whose engine cannot read tool calls: vLLM without a parser rejects them, after the start.

Without `tool-call-parser` and `enable-auto-tool-choice`, vLLM rejects "auto", "required" and named tools in chat and
/v1/messages, and in /v1/responses it returns the call as plain text. With the choice "none" it accepts tools.
"""

from __future__ import annotations

from collections.abc import Iterator

from sparkd.catalog.definitions import Model
from sparkd.errors import ToolsNotSupported
from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.decoding import decode_value
from sparkd.rewriting.parameters.engine_facts import find_engine_option, runs_vllm
from sparkd.rewriting.parameters.tool_shapes import list_tools
from sparkd.rewriting.rewrite_context import RewriteContext

_PARSER, _SWITCH = "tool-call-parser", "enable-auto-tool-choice"


def lacks_tools(model: Model) -> bool:
    """Whether the model's engine is known not to read tool calls. Unknown engines are left to judge themselves."""
    if not runs_vllm(model) or model.rewriting.tools not in ("auto", "require"):
        return False
    return not (find_engine_option(model, _PARSER) and find_engine_option(model, _SWITCH))


def reject_tools(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Reject a request with tools, and name models that call tools. Raises ToolsNotSupported."""
    if not list_tools(body) or _is_none(decode_value(body.fields.get("tool_choice"))):
        return body
    others = sorted(_find_callers(context))
    advice = f"These models do: {', '.join(others)}." if others else "No model here calls tools."
    raise ToolsNotSupported(
        f'Model "{context.model.id}" does not call tools: its options set no `{_PARSER}` with `{_SWITCH}`. {advice} '
        'Send no tools, or set `rewriting.tools = "strip"` in its table to leave them out.',
        param="tools",
    )


def _is_none(choice: object) -> bool:
    return choice == "none" or (isinstance(choice, dict) and choice.get("type") == "none")


def _find_callers(context: RewriteContext) -> Iterator[str]:
    for peer in context.alternatives:
        if (
            peer.enabled
            and peer.engine == "vllm"
            and peer.rewriting.tools != "strip"
            and not lacks_tools(peer)
        ):
            yield peer.id
