"""Checks requests against vLLM's own types. A separate program, because it needs the cpu runtime's Python.

Reads `[name, path, body]` in JSON from each line of standard input, and prints the name and the error of each request
that vLLM would reject before its chat template sees it.
"""

from __future__ import annotations

import json
import sys

from pydantic import TypeAdapter, ValidationError
from vllm.entrypoints.anthropic.protocol import AnthropicMessagesRequest
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.entrypoints.openai.responses.protocol import ResponsesRequest

TYPES = {
    "/v1/chat/completions": TypeAdapter(ChatCompletionRequest),
    "/v1/responses": TypeAdapter(ResponsesRequest),
    "/v1/messages": TypeAdapter(AnthropicMessagesRequest),
}

for line in sys.stdin:
    name, path, body = json.loads(line)
    try:
        TYPES[path].validate_python(body)
    except ValidationError as error:
        print(f"{name}: {error}")
