"""LiteLLM as a client library, with each provider that speaks an API of sparkd."""

from __future__ import annotations

import json
from typing import Any

import litellm

from tests.clients.waiting.libraries.prompts import CHAT_TOOLS
from tests.clients.waiting.libraries.rounds import Outcome, Target, run_rounds

litellm.suppress_debug_info = True  # it prints to standard output


async def chat(target: Target) -> Outcome:
    return await ask(target, f"openai/{target.model}", f"{target.url}/v1")


async def messages(target: Target) -> Outcome:
    return await ask(target, f"anthropic/{target.model}", target.url)


async def ask(target: Target, model: str, base: str) -> Outcome:
    messages: list[Any] = [{"role": "user", "content": target.prompt}]
    stream: Any = await litellm.acompletion(
        model=model,
        api_base=base,
        api_key="none",
        messages=messages,
        tools=CHAT_TOOLS,
        max_tokens=100,
        stream=True,
        stream_options={"include_usage": True},
        timeout=target.timeout,
        max_retries=0,
        num_retries=0,
    )
    chunks = [chunk async for chunk in stream]
    whole: Any = litellm.stream_chunk_builder(chunks, messages=messages)
    message = whole.choices[0].message
    calls = [call.function for call in message.tool_calls or []]
    return {
        "role": message.role,
        "text": message.content or "",
        "tools": [[call.name, json.loads(call.arguments)] for call in calls],
        "usage": [whole.usage.prompt_tokens, whole.usage.completion_tokens],
    }


if __name__ == "__main__":
    run_rounds({"chat": chat, "messages": messages})
