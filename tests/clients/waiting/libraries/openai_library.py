"""The OpenAI library: raw streams and its helpers."""

from __future__ import annotations

import json
from typing import Any

from openai import AsyncOpenAI, AsyncStream

from tests.clients.waiting.libraries.prompts import CHAT_TOOLS, ITEM_TOOLS
from tests.clients.waiting.libraries.rounds import Outcome, Target, run_rounds


def connect(target: Target) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=f"{target.url}/v1", api_key="none", max_retries=0, timeout=target.timeout)


def build_chat(target: Target) -> dict[str, Any]:
    return {
        "model": target.model,
        "messages": [{"role": "user", "content": target.prompt}],
        "tools": CHAT_TOOLS,
        "stream_options": {"include_usage": True},
    }


def summarize_usage(usage: Any) -> list[int] | None:
    return [usage.prompt_tokens, usage.completion_tokens] if usage else None


async def chat(target: Target) -> Outcome:
    """Add up the chunks as the documentation of many programs does: each role, text and call is appended."""
    role, text, reasoning, ids, usage = "", "", "", set(), None
    calls: dict[int, list[str]] = {}
    stream: AsyncStream[Any] = await connect(target).chat.completions.create(
        **build_chat(target), stream=True
    )
    async for chunk in stream:
        ids.add(chunk.id)
        usage = chunk.usage or usage
        for choice in chunk.choices:
            delta = choice.delta
            role += delta.role or ""
            text += delta.content or ""
            reasoning += getattr(delta, "reasoning", None) or getattr(delta, "reasoning_content", None) or ""
            for call in delta.tool_calls or []:
                parts = calls.setdefault(call.index, ["", ""])
                parts[0] += call.function.name or ""
                parts[1] += call.function.arguments or ""
    tools = [[name, json.loads(arguments)] for name, arguments in calls.values()]
    return {
        "role": role,
        "text": text,
        "reasoning": reasoning,
        "tools": tools,
        "ids": len(ids),
        "usage": summarize_usage(usage),
    }


async def chat_helper(target: Target) -> Outcome:
    """The helper adds up the chunks."""
    async with connect(target).chat.completions.stream(**build_chat(target)) as stream:
        completion = await stream.get_final_completion()
    message = completion.choices[0].message
    calls = [call.function for call in message.tool_calls or []]
    return {
        "role": message.role,
        "text": message.content or "",
        "reasoning": getattr(message, "reasoning", None),
        "tools": [[call.name, json.loads(call.arguments)] for call in calls],
        "usage": summarize_usage(completion.usage),
    }


async def completions(target: Target) -> Outcome:
    """Legacy completions have neither roles nor tools."""
    text, ids, usage = "", set(), None
    stream: AsyncStream[Any] = await connect(target).completions.create(
        model=target.model,
        prompt=target.prompt,
        max_tokens=5,
        stream=True,
        stream_options={"include_usage": True},
    )
    async for chunk in stream:
        ids.add(chunk.id)
        usage = chunk.usage or usage
        text += "".join(choice.text for choice in chunk.choices)
    return {"text": text, "ids": len(ids), "usage": summarize_usage(usage)}


def summarize_response(response: Any) -> Outcome:
    calls = [item for item in response.output if item.type == "function_call"]
    return {
        "text": response.output_text,
        "tools": [[call.name, json.loads(call.arguments)] for call in calls],
        "usage": [response.usage.input_tokens, response.usage.output_tokens],
    }


async def responses(target: Target) -> Outcome:
    """Read the raw events. A failed response is an error, as every program that reads them has it."""
    last: Any = None
    ids = set()
    stream: AsyncStream[Any] = await connect(target).responses.create(
        model=target.model, input=target.prompt, tools=ITEM_TOOLS, store=False, stream=True
    )
    async for event in stream:
        last = getattr(event, "response", last)
        if response := getattr(event, "response", None):
            ids.add(response.id)
    if last is not None and last.status == "failed":
        return {"error": {"class": "response.failed", "code": last.error.code, "message": last.error.message}}
    if last is None:
        return {"error": {"class": "no response", "code": None, "message": ""}}
    return {**summarize_response(last), "ids": len(ids)}


async def responses_helper(target: Target) -> Outcome:
    """The helper demands that the first event is `response.created`."""
    async with connect(target).responses.stream(
        model=target.model, input=target.prompt, tools=ITEM_TOOLS, store=False
    ) as stream:
        return summarize_response(await stream.get_final_response())


if __name__ == "__main__":
    run_rounds(
        {
            "chat": chat,
            "chat, helper": chat_helper,
            "completions": completions,
            "responses": responses,
            "responses, helper": responses_helper,
        }
    )
