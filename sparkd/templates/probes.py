"""Small conversations, and what it says about a template which of them it renders.

Pure: rendering is an argument. Each probe has distinct texts, so that a template that drops a message or moves it is
recognised by its output.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from sparkd.catalog.templates import UNKNOWN_TEMPLATE, SystemMessages, Template

Message = Mapping[str, Any]
Render = Callable[[Sequence[Message], bool], str | None]
"""Renders messages, with the declaration of TOOL if the second argument is true. None: the template raised."""

TOOL: Final[Mapping[str, Any]] = {
    "type": "function",
    "function": {
        "name": "probe_tool",
        "description": "A tool.",
        "parameters": {"type": "object", "properties": {"value": {"type": "string"}}},
    },
}

_SHORT_ID: Final = "a1B2c3D4e"
_LONG_ID: Final = "call_0123456789abcdef-01"

_SYSTEM: Final = {"role": "system", "content": "probe-system"}
_LATE_SYSTEM: Final = {"role": "system", "content": "probe-late"}
_DEVELOPER: Final = {"role": "developer", "content": "probe-developer"}
_USER: Final = {"role": "user", "content": "probe-user"}
_NEXT_USER: Final = {"role": "user", "content": "probe-next"}
_ASSISTANT: Final = {"role": "assistant", "content": "probe-assistant"}
_NEXT_ASSISTANT: Final = {"role": "assistant", "content": "probe-further"}


def read_template(text: str, render: Render) -> Template:
    """Find out what a template accepts. UNKNOWN_TEMPLATE if it does not even render a user message."""
    if not _renders(render, _USER):
        render = _with_parts(render)  # it may accept contents in parts only
    if not _renders(render, _USER):
        return UNKNOWN_TEMPLATE
    return Template(
        system=_read_system(render),
        developer="developer" in text and _renders(render, _DEVELOPER, _USER),
        needs_user=not _renders(render, _SYSTEM, _ASSISTANT) and _renders(render, _SYSTEM, _USER, _ASSISTANT),
        alternates=not (
            _renders(render, _USER, _NEXT_USER)
            and _renders(render, _USER, _ASSISTANT, _NEXT_ASSISTANT, _NEXT_USER)
            and _renders(render, _ASSISTANT, _USER)
        ),
        empty_assistant=_renders(render, _USER, {"role": "assistant", "content": ""}, _NEXT_USER),
        null_content=_read_null_content(render),
        short_call_ids=_reads_short_ids_only(render),
    )


def _with_parts(render: Render) -> Render:
    def render_parts(messages: Sequence[Message], with_tool: bool) -> str | None:
        return render(
            [{**message, "content": _make_parts(message["content"])} for message in messages], with_tool
        )

    return render_parts


def _make_parts(content: str | None) -> object:
    return content and [{"type": "text", "text": content}]


def _read_system(render: Render) -> SystemMessages:
    """A template that moves a late message to the front, or drops it, counts as one that takes only the first."""
    if _renders(render, _SYSTEM, _USER, _ASSISTANT, _LATE_SYSTEM, _NEXT_USER) and _renders(
        render, _SYSTEM, _LATE_SYSTEM, _USER
    ):
        return "anywhere"
    return "first" if _renders(render, _SYSTEM, _USER) else "none"


def _read_null_content(render: Render) -> bool | None:
    """None if it renders no tool calls at all."""
    for call_id in (_LONG_ID, _SHORT_ID):
        if _renders_call(render, call_id, content=""):
            return _renders_call(render, call_id, content=None)
    return None


def _reads_short_ids_only(render: Render) -> bool:
    return not _renders_call(render, _LONG_ID, content="") and _renders_call(render, _SHORT_ID, content="")


def _renders_call(render: Render, call_id: str, *, content: str | None) -> bool:
    call = {
        "id": call_id,
        "type": "function",
        "function": {"name": "probe_tool", "arguments": {"value": "probe-argument"}},
    }
    messages: list[Message] = [
        _USER,
        {"role": "assistant", "content": content, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call_id, "name": "probe_tool", "content": "probe-result"},
    ]
    output = render(messages, True)
    # Some templates write a null as Python does.
    return output is not None and _contains(output, "probe-user", "probe-result") and "None" not in output


def _renders(render: Render, *messages: Message) -> bool:
    """Whether the output has the text of every message, in order."""
    output = render(messages, False)
    return output is not None and _contains(output, *(str(message["content"]) for message in messages))


def _contains(output: str, *texts: str) -> bool:
    position = 0
    for text in texts:
        position = output.find(text, position)
        if position < 0:
            return False
    return True
