"""`python -m tests.clients.waiting.record`: records what a real vLLM streams, for the stand-in engine to repeat.

The recordings have the real frames, with one id instead of the request's own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import httpx

from tests.clients.serving import SYSTEM_FIRST, run_sparkd
from tests.clients.waiting.libraries.prompts import NAME, PARAMETERS, TEXT, TOOL

FOLDER: Final = Path(__file__).parent / "recorded"
REQUEST_ID: Final = "recorded-request"
RESPONSE_ID: Final = "resp_recorded"

FUNCTION: Final = {"name": NAME, "description": "Reads a note.", "parameters": PARAMETERS}


def build_requests(prompt: str) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return the path and the body of each API's request."""
    messages = [{"role": "user", "content": prompt}]
    usage = {"stream_options": {"include_usage": True}}
    shared = {"model": SYSTEM_FIRST, "stream": True}
    chat_tools = [{"type": "function", "function": FUNCTION}]
    block_tools = [{"name": NAME, "description": "Reads a note.", "input_schema": PARAMETERS}]
    item_tools = [{"type": "function", **FUNCTION}]
    return {
        "chat": ("/v1/chat/completions", {**shared, **usage, "messages": messages, "tools": chat_tools}),
        "messages": (
            "/v1/messages",
            {**shared, "max_tokens": 100, "messages": messages, "tools": block_tools},
        ),
        "responses": (
            "/v1/responses",
            {**shared, "request_id": RESPONSE_ID, "input": prompt, "tools": item_tools, "store": False},
        ),
        "completions": ("/v1/completions", {**shared, **usage, "prompt": "<|play:hello|>", "max_tokens": 5}),
    }


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with run_sparkd() as sparkd:
        for kind, prompt in (("text", TEXT), ("tool", TOOL)):
            for api, (path, body) in build_requests(prompt).items():
                headers = {"x-request-id": REQUEST_ID}
                response = httpx.post(f"{sparkd.url}{path}", json=body, headers=headers, timeout=300)
                assert response.status_code == 200, response.text
                (FOLDER / f"{api}-{kind}.sse").write_bytes(response.content)


if __name__ == "__main__":
    main()
