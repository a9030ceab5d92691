"""The Anthropic library: a raw stream and its helper."""

from __future__ import annotations

import json
from typing import Any

from anthropic import AsyncAnthropic

from tests.clients.waiting.libraries.prompts import BLOCK_TOOLS
from tests.clients.waiting.libraries.rounds import Outcome, Target, run_rounds


def connect(target: Target) -> AsyncAnthropic:
    return AsyncAnthropic(base_url=target.url, api_key="none", max_retries=0, timeout=target.timeout)


def build_request(target: Target) -> dict[str, Any]:
    messages = [{"role": "user", "content": target.prompt}]
    return {"model": target.model, "max_tokens": 100, "messages": messages, "tools": BLOCK_TOOLS}


async def messages(target: Target) -> Outcome:
    """Add up the raw events."""
    message: Any = None
    blocks: dict[int, list[str]] = {}
    output = 0
    async for event in await connect(target).messages.create(**build_request(target), stream=True):
        if event.type == "message_start":
            message = event.message
        elif event.type == "content_block_start":
            blocks[event.index] = [event.content_block.type, getattr(event.content_block, "name", ""), ""]
        elif event.type == "content_block_delta":
            delta: Any = event.delta
            kinds = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}
            blocks[event.index][2] += getattr(delta, kinds.get(delta.type, ""), "")
        elif event.type == "message_delta":
            output = event.usage.output_tokens
    return {
        "role": message.role,
        "text": "".join(text for kind, _, text in blocks.values() if kind == "text"),
        "reasoning": "".join(text for kind, _, text in blocks.values() if kind == "thinking"),
        "tools": [[name, json.loads(text)] for kind, name, text in blocks.values() if kind == "tool_use"],
        "usage": [message.usage.input_tokens, output],
    }


async def messages_helper(target: Target) -> Outcome:
    """The helper adds up the events."""
    async with connect(target).messages.stream(**build_request(target)) as stream:
        message = await stream.get_final_message()
    return {
        "role": message.role,
        "text": "".join(block.text for block in message.content if block.type == "text"),
        "reasoning": "".join(block.thinking for block in message.content if block.type == "thinking"),
        "tools": [[block.name, block.input] for block in message.content if block.type == "tool_use"],
        "usage": [message.usage.input_tokens, message.usage.output_tokens],
    }


if __name__ == "__main__":
    run_rounds({"messages": messages, "messages, helper": messages_helper})
