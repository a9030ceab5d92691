"""LangChain, asynchronous: it has a timeout between chunks, and comments do not count."""

from __future__ import annotations

from typing import Any

from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI

from tests.clients.waiting.libraries.prompts import BLOCK_TOOLS, CHAT_TOOLS
from tests.clients.waiting.libraries.rounds import Outcome, Target, run_rounds


async def ask(model: Any, tools: list[Any], target: Target) -> Outcome:
    """Return the sum of the chunks."""
    total: Any = None
    async for chunk in model.bind_tools(tools).astream([HumanMessage(target.prompt)]):
        total = chunk if total is None else total + chunk
    usage = total.usage_metadata
    return {
        "text": total.text,
        "tools": [[call["name"], call["args"]] for call in total.tool_calls],
        "usage": [usage["input_tokens"], usage["output_tokens"]] if usage else None,
    }


def build_openai(target: Target, **fields: Any) -> ChatOpenAI:
    return ChatOpenAI(
        base_url=f"{target.url}/v1",
        api_key="none",
        model=target.model,
        max_retries=0,
        timeout=target.timeout,
        stream_chunk_timeout=target.chunk_timeout,
        **fields,
    )


async def chat(target: Target) -> Outcome:
    return await ask(build_openai(target, stream_usage=True), CHAT_TOOLS, target)


async def responses(target: Target) -> Outcome:
    model = build_openai(target, use_responses_api=True, output_version="responses/v1")
    return await ask(model, CHAT_TOOLS, target)


async def messages(target: Target) -> Outcome:
    model = ChatAnthropic(
        base_url=target.url,
        api_key="none",
        model=target.model,
        max_tokens=100,
        max_retries=0,
        timeout=target.timeout,
    )
    return await ask(model, BLOCK_TOOLS, target)


if __name__ == "__main__":
    run_rounds({"chat": chat, "responses": responses, "messages": messages})
