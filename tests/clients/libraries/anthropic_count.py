"""The Anthropic library counts the tokens of a prompt."""

from __future__ import annotations

from anthropic import Anthropic

from tests.clients.libraries import tool

client = Anthropic(base_url=tool.URL, api_key=tool.KEY)
counted = client.messages.count_tokens(model=tool.MODEL, messages=[{"role": "user", "content": tool.READ}])
print(counted.input_tokens > 0)
