"""The OpenAI library, responses: the first prompt is streamed, the second is not."""

from __future__ import annotations

import json
from typing import Any

from openai import OpenAI

from tests.clients.libraries import tool

client = OpenAI(base_url=f"{tool.URL}/v1", api_key=tool.KEY)
tools: Any = [
    {
        "type": "function",
        "name": tool.NAME,
        "description": tool.DESCRIPTION,
        "parameters": tool.PARAMETERS,
        "strict": True,
    }
]
items: list[Any] = []


def answer(prompt: str, *, streamed: bool) -> str:
    items.append({"role": "user", "content": prompt})
    settings: dict[str, Any] = {
        "model": tool.MODEL,
        "tools": tools,
        "instructions": "Be brief.",
        "store": False,
    }
    while True:
        if streamed:
            with client.responses.stream(input=items, **settings) as stream:
                response = stream.get_final_response()
        else:
            response = client.responses.create(input=items, **settings)
        items.extend(response.output)
        calls = [item for item in response.output if item.type == "function_call"]
        if not calls:
            return response.output_text
        for call in calls:
            result = tool.read_note(**json.loads(call.arguments))
            items.append({"type": "function_call_output", "call_id": call.call_id, "output": result})


print(answer(tool.READ, streamed=True))
print(answer(tool.RECALL, streamed=False))
