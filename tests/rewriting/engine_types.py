"""Checks bodies as vLLM does, without an engine. A separate program, because it needs the cpu runtime's Python.

Reads a JSON list of `[api, template, body]` from stdin, and prints a JSON list: null for each body that vLLM's own
types accept, whose conversation it can convert, and that the chat template renders; otherwise what went wrong.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import jinja2.sandbox
from vllm.entrypoints.anthropic.protocol import AnthropicMessagesRequest
from vllm.entrypoints.anthropic.serving import AnthropicServingMessages
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.entrypoints.openai.parser.harmony_utils import parse_chat_input_to_harmony_message
from vllm.entrypoints.openai.responses.harmony import response_input_to_harmony
from vllm.entrypoints.openai.responses.protocol import ResponsesRequest
from vllm.entrypoints.openai.responses.utils import construct_input_messages
from vllm.renderers import chat_utils

TEMPLATES = Path(__file__).parent / "templates"


class Parser:
    """Accepts every image, as vLLM's parser of a model with vision."""

    model_config: Any = type("Config", (), {"enable_prompt_embeds": False})()

    def parse_image(self, url: str | None, uuid: str | None) -> None:
        assert url, uuid


def read_messages(api: str, body: dict[str, Any]) -> list[Any]:
    """The messages of a chat that vLLM makes of a body."""
    if api == "chat":
        return list(ChatCompletionRequest.model_validate(body).messages)
    if api == "messages":
        request = AnthropicMessagesRequest.model_validate(body)
        return list(AnthropicServingMessages.to_chat_completion_request(request).messages)
    request = ResponsesRequest.model_validate(body)
    previous: list[Any] = []
    for item in [] if isinstance(request.input, str) else request.input:
        response_input_to_harmony(item, previous)
        previous.append(item)
    messages: list[Any] = construct_input_messages(
        request_instructions=request.instructions, request_input=request.input
    )
    return messages


def flatten(message: dict[str, Any]) -> dict[str, Any]:
    """A message as a chat template gets it, with a text as content."""
    content = message.get("content")
    parts = [content] if isinstance(content, str) else list(content or ())
    texts = []
    for part in parts:
        text = chat_utils._parse_chat_message_content_part(
            part, Parser(), wrap_dicts=False, interleave_strings=True
        )
        texts.append(text or "")
    return {**message, "content": "\n".join(texts)}


def check(api: str, template: str, body: dict[str, Any]) -> str | None:
    """What is wrong with a body; None if nothing is."""
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.globals["raise_exception"] = raise_exception
    try:
        messages = [flatten(dict(message)) for message in read_messages(api, body)]
        if template == "harmony":
            for message in messages:
                parse_chat_input_to_harmony_message(message)
            return None
        chat_utils._postprocess_messages(messages)
        environment.from_string((TEMPLATES / f"{template}.jinja").read_text()).render(
            messages=messages, add_generation_prompt=True
        )
    except Exception as error:  # noqa: BLE001  # whatever it is, it is the verdict
        return f"{type(error).__name__}: {error}"[:400]
    return None


def raise_exception(text: str) -> None:
    """As in chat templates."""
    raise jinja2.TemplateError(text)


if __name__ == "__main__":
    print(json.dumps([check(*case) for case in json.load(sys.stdin)]))
