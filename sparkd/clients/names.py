"""The names of the client programs that `sparkctl client` knows, with a line on each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

PURPOSES: Final[Mapping[str, str]] = {
    "opencode": "OpenCode, a coding agent for the terminal",
    "cline": "Cline, a coding agent for VS Code and the terminal",
    "claude-code": "Claude Code, Anthropic's coding agent",
    "codex": "Codex, OpenAI's coding agent",
    "pi": "pi, a coding agent for the terminal",
    "qwen-code": "Qwen Code, a coding agent for the terminal",
    "continue": "Continue, an extension for VS Code and JetBrains",
    "zed": "Zed, an editor with an agent",
    "aider": "aider, a pair programmer for the terminal",
    "open-webui": "Open WebUI, a chat in the browser",
    "home-assistant": "Home Assistant's voice assistant",
    "litellm": "LiteLLM's proxy",
    "n8n": "n8n, workflows",
    "vscode": "VS Code's own chat",
}
