"""Ollama's library."""

from __future__ import annotations

from typing import Any

from ollama import AsyncClient

from tests.clients.waiting.libraries.prompts import CHAT_TOOLS
from tests.clients.waiting.libraries.rounds import Outcome, Target, run_rounds


async def chat(target: Target) -> Outcome:
    """Add up the parts of a chat."""
    role, text, reasoning, usage = "", "", "", None
    tools: list[Any] = []
    stream: Any = await AsyncClient(host=target.url, timeout=target.timeout).chat(
        model=target.model,
        messages=[{"role": "user", "content": target.prompt}],
        tools=CHAT_TOOLS,
        stream=True,
    )
    async for part in stream:
        role = part.message.role
        text += part.message.content or ""
        reasoning += part.message.thinking or ""
        for call in part.message.tool_calls or []:
            tools.append([call.function.name, dict(call.function.arguments)])  # noqa: PERF401  # it is a list already
        if part.done:
            usage = [part.prompt_eval_count, part.eval_count]
    return {"role": role, "text": text, "reasoning": reasoning, "tools": tools, "usage": usage}


async def generate(target: Target) -> Outcome:
    """Add up the parts of a completion."""
    text, usage = "", None
    stream: Any = await AsyncClient(host=target.url, timeout=target.timeout).generate(
        model=target.model, prompt=target.prompt, stream=True
    )
    async for part in stream:
        text += part.response or ""
        if part.done:
            usage = [part.prompt_eval_count, part.eval_count]
    return {"text": text, "usage": usage}


if __name__ == "__main__":
    run_rounds({"chat": chat, "generate": generate})
