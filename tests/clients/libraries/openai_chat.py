"""The OpenAI library, chat completions: the first prompt is streamed, the second is not."""

from __future__ import annotations

import json
from typing import Any

from openai import OpenAI
from openai.types.chat import ChatCompletionMessage

from tests.clients.libraries import tool

client = OpenAI(base_url=f"{tool.URL}/v1", api_key=tool.KEY)
function = {"name": tool.NAME, "description": tool.DESCRIPTION, "parameters": tool.PARAMETERS, "strict": True}
tools: Any = [{"type": "function", "function": function}]
messages: list[Any] = [{"role": "developer", "content": "Be brief."}]


def answer(prompt: str, *, streamed: bool) -> str:
    messages.append({"role": "user", "content": prompt})
    message: ChatCompletionMessage
    while True:
        if streamed:
            with client.chat.completions.stream(model=tool.MODEL, messages=messages, tools=tools) as stream:
                message = stream.get_final_completion().choices[0].message
        else:
            done = client.chat.completions.create(model=tool.MODEL, messages=messages, tools=tools)
            message = done.choices[0].message
        messages.append(message)
        if not message.tool_calls:
            return message.content or ""
        for call in message.tool_calls:
            assert call.type == "function"
            result = tool.read_note(**json.loads(call.function.arguments))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})


print(answer(tool.READ, streamed=True))
print(answer(tool.RECALL, streamed=False))
