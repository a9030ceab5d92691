"""The Anthropic library: the first prompt is streamed, the second is not."""

from __future__ import annotations

from typing import Any

from anthropic import Anthropic

from tests.clients.libraries import tool

client = Anthropic(base_url=tool.URL, api_key=tool.KEY)
tools = [{"name": tool.NAME, "description": tool.DESCRIPTION, "input_schema": tool.PARAMETERS}]
messages: list[Any] = []


def answer(prompt: str, *, streamed: bool) -> str:
    messages.append({"role": "user", "content": prompt})
    system = [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]
    settings: Any = {"model": tool.MODEL, "max_tokens": 1000, "tools": tools, "system": system}
    while True:
        if streamed:
            with client.messages.stream(messages=messages, **settings) as stream:
                message = stream.get_final_message()
        else:
            message = client.messages.create(messages=messages, **settings)
        messages.append({"role": "assistant", "content": message.content})
        results = [
            {"type": "tool_result", "tool_use_id": block.id, "content": tool.read_note(**block.input)}
            for block in message.content
            if block.type == "tool_use"
        ]
        if not results:
            return "".join(block.text for block in message.content if block.type == "text")
        messages.append({"role": "user", "content": results})


print(answer(tool.READ, streamed=True))
print(answer(tool.RECALL, streamed=False))
