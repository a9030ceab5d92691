"""The messages of a chat: tool calls get the ids that Ollama's lack, images become data URLs."""

from __future__ import annotations

from collections import deque
from typing import Any, Final

import msgspec

from sparkd.errors import InvalidRequest
from sparkd.ollama.fields import Fields, read_images, read_list, read_object, read_text

_ROLES: Final = ("system", "user", "assistant", "tool")
_SIGNATURES: Final = (
    ("iVBOR", "png"),
    ("/9j/", "jpeg"),
    ("R0lGOD", "gif"),
    ("UklGR", "webp"),
    ("Qk", "bmp"),
    ("SUkq", "tiff"),
    ("TU0A", "tiff"),
)
"""How the base64 of an image of each type begins."""


def translate_messages(messages: list[Any]) -> list[dict[str, Any]]:
    """The messages of OpenAI's API. Raises InvalidRequest."""
    pending: deque[tuple[str, str]] = deque()
    """Id and name of each tool call without a result."""
    translated = []
    made = 0
    for at, message in enumerate(messages):
        where = f"messages[{at}]."
        if not isinstance(message, dict):
            raise InvalidRequest(f"`messages[{at}]` must be an object.", param=f"messages[{at}]")
        role = _read_role(message, where)
        if role == "tool":
            translated.append(_translate_result(message, pending, where))
            continue
        turn = make_turn(role, read_text(message, "content", where), read_images(message, where))
        if thinking := read_text(message, "thinking", where):
            turn["reasoning"] = thinking
        if calls := read_list(message, "tool_calls", where):
            turn["tool_calls"] = [
                _translate_call(call, f"call_{made + number}", f"{where}tool_calls[{number}].")
                for number, call in enumerate(calls)
            ]
            made += len(calls)
            pending = deque((call["id"], call["function"]["name"]) for call in turn["tool_calls"])
        translated.append(turn)
    return translated


def make_turn(role: str, text: str, images: list[str]) -> dict[str, Any]:
    """A message with this text and these images in base64."""
    if not images:
        return {"role": role, "content": text}
    parts: list[dict[str, Any]] = [{"type": "text", "text": text}] if text else []
    parts += [{"type": "image_url", "image_url": {"url": _data_url(image)}} for image in images]
    return {"role": role, "content": parts}


def _data_url(image: str) -> str:
    if image.startswith("data:"):
        return image
    kind = next((kind for signature, kind in _SIGNATURES if image.startswith(signature)), "png")
    return f"data:image/{kind};base64,{image}"


def _read_role(message: Fields, where: str) -> str:
    role = read_text(message, "role", where)
    if role not in _ROLES:
        listed = ", ".join(f'"{known}"' for known in _ROLES)
        raise InvalidRequest(f"`{where}role` must be one of {listed}.", param=f"{where}role")
    return role


def _translate_call(call: Any, made_id: str, where: str) -> dict[str, Any]:
    if not isinstance(call, dict):
        raise InvalidRequest(f"`{where.rstrip('.')}` must be an object.", param=where.rstrip("."))
    function = read_object(call, "function", where)
    given = function.get("arguments")
    arguments = given if isinstance(given, str) else msgspec.json.encode(given or {}).decode()
    name = read_text(function, "name", f"{where}function.")
    return {
        "id": read_text(call, "id", where) or made_id,
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }


def _translate_result(message: Fields, pending: deque[tuple[str, str]], where: str) -> dict[str, Any]:
    """The result of a tool: of the first call without one that has its name, otherwise of the first one."""
    name = read_text(message, "tool_name", where) or read_text(message, "name", where)
    given = read_text(message, "tool_call_id", where)
    call = next((each for each in pending if given and each[0] == given), None)
    call = call or next((each for each in pending if name and each[1] == name), None)
    call = call or (pending[0] if pending else (given or "call_0", name))
    if call in pending:
        pending.remove(call)
    turn = {"role": "tool", "tool_call_id": call[0], "content": read_text(message, "content", where)}
    return turn | ({"name": name or call[1]} if name or call[1] else {})
