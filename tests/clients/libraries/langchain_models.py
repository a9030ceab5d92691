"""LangChain, with each of its three ways to ask: chat completions, responses, and Anthropic's messages."""

from __future__ import annotations

from typing import Any

from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_core.tools import tool as as_tool
from langchain_openai import ChatOpenAI

from tests.clients.libraries import tool

read_note = as_tool(tool.read_note)


def converse(model: Any) -> None:
    """Hold the conversation: the first prompt is streamed, the second is not."""
    bound = model.bind_tools([read_note])
    messages: list[Any] = [SystemMessage("Be brief.")]
    for prompt, streamed in ((tool.READ, True), (tool.RECALL, False)):
        messages.append(HumanMessage(prompt))
        while True:
            message = stream(bound, messages) if streamed else bound.invoke(messages)
            messages.append(message)
            if not message.tool_calls:
                break
            messages += [read_note.invoke(call) for call in message.tool_calls]
        print(message.text)


def stream(model: Any, messages: list[Any]) -> Any:
    """Return the sum of the chunks of a streamed response."""
    chunks = list(model.stream(messages))
    return sum(chunks[1:], start=chunks[0])


openai = {"base_url": f"{tool.URL}/v1", "api_key": tool.KEY, "model": tool.MODEL}
converse(ChatOpenAI(**openai))
converse(ChatOpenAI(**openai, use_responses_api=True, output_version="responses/v1"))
converse(ChatAnthropic(base_url=tool.URL, api_key=tool.KEY, model=tool.MODEL, max_tokens=1000))
