"""The library of Ollama: the first prompt is streamed, the second is not."""

from __future__ import annotations

from typing import Any

from ollama import ChatResponse, Client, Message

from tests.clients.libraries import tool

client = Client(host=tool.URL, headers={"Authorization": f"Bearer {tool.KEY}"})
function = {"name": tool.NAME, "description": tool.DESCRIPTION, "parameters": tool.PARAMETERS}
tools: Any = [{"type": "function", "function": function}]
messages: list[Any] = [{"role": "system", "content": "Be brief."}]


def add_up(parts: list[ChatResponse]) -> Message:
    """The message of a stream, whose last part alone is done and has the figures."""
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]
    last = parts[-1]
    assert last.done_reason == "stop"
    assert last.eval_count
    assert last.prompt_eval_count
    assert last.total_duration
    calls = [call for part in parts for call in part.message.tool_calls or ()]
    return Message(
        role="assistant",
        content="".join(part.message.content or "" for part in parts),
        thinking="".join(part.message.thinking or "" for part in parts) or None,
        tool_calls=calls or None,
    )


def answer(prompt: str, *, streamed: bool) -> str:
    messages.append({"role": "user", "content": prompt})
    while True:
        asked: Any = {"model": tool.MODEL, "messages": messages, "tools": tools, "think": True}
        asked["options"] = {"num_ctx": 8192}
        if streamed:
            message = add_up(list(client.chat(**asked, stream=True)))
        else:
            message = add_up([client.chat(**asked, stream=False)])
        messages.append(message)
        if not message.tool_calls:
            return message.content or ""
        for call in message.tool_calls:
            result = tool.read_note(**call.function.arguments)
            messages.append({"role": "tool", "tool_name": call.function.name, "content": result})


print(answer(tool.READ, streamed=True))
print(answer(tool.RECALL, streamed=False))
