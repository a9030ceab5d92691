"""LiteLLM's library: the first prompt is streamed, the second is not."""

from __future__ import annotations

import json
from typing import Any

import litellm

from tests.clients.libraries import tool

litellm.suppress_debug_info = True  # it prints to standard output
function = {"name": tool.NAME, "description": tool.DESCRIPTION, "parameters": tool.PARAMETERS}
messages: list[Any] = [{"role": "system", "content": "Be brief."}]


def answer(prompt: str, *, streamed: bool) -> str:
    messages.append({"role": "user", "content": prompt})
    while True:
        response: Any = litellm.completion(
            model=f"openai/{tool.MODEL}",
            api_base=f"{tool.URL}/v1",
            api_key=tool.KEY,
            messages=messages,
            tools=[{"type": "function", "function": function}],
            stream=streamed,
        )
        if streamed:
            response = litellm.stream_chunk_builder(list(response), messages=messages)
        message = response.choices[0].message
        messages.append(message)
        if not message.tool_calls:
            return message.content or ""
        for call in message.tool_calls:
            result = tool.read_note(**json.loads(call.function.arguments))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})


print(answer(tool.READ, streamed=True))
print(answer(tool.RECALL, streamed=False))
