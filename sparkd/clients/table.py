"""How each client program is configured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from sparkd.clients import (
    aider,
    by_hand,
    claude_code,
    cline,
    codex,
    continue_dev,
    litellm,
    opencode,
    pi,
    qwen_code,
    vscode,
    zed,
)
from sparkd.clients.configuration import Configuration
from sparkd.clients.offer import Offer

CONFIGURE: Final[Mapping[str, Callable[[Offer], Configuration]]] = {
    "opencode": opencode.configure,
    "cline": cline.configure,
    "claude-code": claude_code.configure,
    "codex": codex.configure,
    "pi": pi.configure,
    "qwen-code": qwen_code.configure,
    "continue": continue_dev.configure,
    "zed": zed.configure,
    "aider": aider.configure,
    "open-webui": by_hand.configure_open_webui,
    "home-assistant": by_hand.configure_home_assistant,
    "litellm": litellm.configure,
    "n8n": by_hand.configure_n8n,
    "vscode": vscode.configure,
}
