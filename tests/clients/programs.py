"""The client programs: how each is configured for sparkd, and which command sends a prompt.

Each reads and writes only a home folder of its own, and its calls of other hosts are switched off.
"""

from __future__ import annotations

import json
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from tests.clients.installing import AIDER, NODE_MODULES, find_node

CONTEXT = 131072
PLATFORM = "linux-arm64" if platform.machine() == "aarch64" else "linux-x64"


def run_with_node(program: Path) -> list[str]:
    """Return the start of the command line of a program in JavaScript."""
    return [str(find_node() / "bin" / "node"), str(program)]


@dataclass(frozen=True)
class Prompt:
    """What a person asks a client."""

    text: str
    resume: bool = False
    """Whether it goes on with the last session."""
    image: Path | None = None


class Client:
    """One program. `url` is sparkd's address, without `/v1`."""

    name: str
    resumes = True
    """Whether an option of its command goes on with the last session."""

    attaches = False
    """Whether an option of its command attaches an image to a prompt."""

    def __init__(self, home: Path, url: str, model: str) -> None:
        self.home = home
        self.url = url
        self.model = model
        self.configure()

    def configure(self) -> None:
        """Write the files of the home folder."""

    def environment(self) -> dict[str, str]:
        """Return the variables that only this client reads."""
        return {}

    def command(self, prompt: Prompt) -> list[str]:
        """Return the command line that sends one prompt and prints the answer."""
        raise NotImplementedError

    def write(self, path: str, content: str) -> None:
        """Write a file of the home folder."""
        file = self.home / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)


class OpenCode(Client):
    name = "opencode"
    attaches = True

    def configure(self) -> None:
        limits: dict[str, Any] = {"limit": {"context": CONTEXT, "output": 8192}, "attachment": True}
        limits["modalities"] = {"input": ["text", "image"], "output": ["text"]}
        provider = {
            "npm": "@ai-sdk/openai-compatible",
            "name": "sparkd",
            "options": {"baseURL": f"{self.url}/v1", "apiKey": "none"},
            "models": {self.model: limits},
        }
        settings = {
            "autoupdate": False,
            "share": "disabled",
            "provider": {"sparkd": provider},
            "model": f"sparkd/{self.model}",
            "small_model": f"sparkd/{self.model}",
        }
        self.write(".config/opencode/opencode.json", json.dumps(settings))

    def environment(self) -> dict[str, str]:
        names = ("AUTOUPDATE", "MODELS_FETCH", "LSP_DOWNLOAD", "DEFAULT_PLUGINS", "SHARE")
        return {f"OPENCODE_DISABLE_{name}": "1" for name in names}

    def command(self, prompt: Prompt) -> list[str]:
        program = NODE_MODULES / f"opencode-{PLATFORM}" / "bin" / "opencode"
        options = [
            *(["--continue"] if prompt.resume else []),
            *([f"--file={prompt.image}"] if prompt.image else []),
        ]
        return [str(program), "run", *options, "--", prompt.text]


class Codex(Client):
    name = "codex"
    attaches = True

    def configure(self) -> None:
        provider = {"name": "sparkd", "base_url": f"{self.url}/v1", "wire_api": "responses"}
        settings = {
            "model": self.model,
            "model_provider": "sparkd",
            "model_context_window": CONTEXT,
            "check_for_update_on_startup": False,
            "analytics": {"enabled": False},
            "model_providers": {"sparkd": provider},
        }
        self.write(".codex/config.toml", tomli_w.dumps(settings))

    def command(self, prompt: Prompt) -> list[str]:
        program = NODE_MODULES / "@openai" / "codex" / "bin" / "codex.js"
        options = ["--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"]
        attached = [f"--image={prompt.image}"] if prompt.image else []
        words = ["resume", "--last"] if prompt.resume else []
        return [*run_with_node(program), "exec", *options, *words, *attached, prompt.text]


class ClaudeCode(Client):
    name = "claude"

    def environment(self) -> dict[str, str]:
        off = ("DISABLE_AUTOUPDATER", "DISABLE_TELEMETRY", "DISABLE_ERROR_REPORTING")
        return {
            "ANTHROPIC_BASE_URL": self.url,
            "ANTHROPIC_AUTH_TOKEN": "none",
            "ANTHROPIC_MODEL": self.model,
            "ANTHROPIC_SMALL_FAST_MODEL": self.model,
            "CLAUDE_CODE_MAX_CONTEXT_TOKENS": str(CONTEXT),
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            **dict.fromkeys(off, "1"),
        }

    def command(self, prompt: Prompt) -> list[str]:
        program = NODE_MODULES / "@anthropic-ai" / f"claude-code-{PLATFORM}" / "claude"
        return [
            str(program),
            "-p",
            *(["--continue"] if prompt.resume else []),
            "--allowedTools=Bash",
            prompt.text,
        ]


class Cline(Client):
    name = "cline"
    resumes = False  # its option --id wants a terminal

    def configure(self) -> None:
        provider = {
            "settings": {
                "provider": "openai-compatible",
                "apiKey": "none",
                "model": self.model,
                "baseUrl": f"{self.url}/v1",
            },
            "updatedAt": "2026-01-01T00:00:00.000Z",
            "tokenSource": "manual",
        }
        settings = {
            "version": 1,
            "lastUsedProvider": "openai-compatible",
            "providers": {"openai-compatible": provider},
        }
        self.write(".cline/data/settings/providers.json", json.dumps(settings))

    def environment(self) -> dict[str, str]:
        return {"CLINE_TELEMETRY_DISABLED": "1", "CLINE_NO_AUTO_UPDATE": "1"}

    def command(self, prompt: Prompt) -> list[str]:
        program = NODE_MODULES / "@cline" / f"cli-{PLATFORM}" / "bin" / "cline"
        return [str(program), "--provider=openai-compatible", f"--model={self.model}", prompt.text]


class Pi(Client):
    name = "pi"
    attaches = True

    def configure(self) -> None:
        model = {"id": self.model, "reasoning": True, "contextWindow": CONTEXT, "maxTokens": 8192}
        provider = {
            "baseUrl": f"{self.url}/v1",
            "api": "openai-completions",
            "apiKey": "none",
            "models": [{**model, "input": ["text", "image"]}],
        }
        self.write(".pi/agent/models.json", json.dumps({"providers": {"sparkd": provider}}))

    def environment(self) -> dict[str, str]:
        return {"PI_OFFLINE": "1", "PI_TELEMETRY": "0", "PI_SKIP_VERSION_CHECK": "1"}

    def command(self, prompt: Prompt) -> list[str]:
        program = NODE_MODULES / "@mariozechner" / "pi-coding-agent" / "dist" / "cli.js"
        options = ["--provider", "sparkd", "--model", self.model, *(["--continue"] if prompt.resume else [])]
        return [
            *run_with_node(program),
            *options,
            "-p",
            *([f"@{prompt.image}"] if prompt.image else []),
            prompt.text,
        ]


class QwenCode(Client):
    name = "qwen"

    def configure(self) -> None:
        settings = {"privacy": {"usageStatisticsEnabled": False}, "general": {"enableAutoUpdate": False}}
        self.write(".qwen/settings.json", json.dumps(settings))

    def environment(self) -> dict[str, str]:
        return {
            "OPENAI_API_KEY": "none",
            "OPENAI_BASE_URL": f"{self.url}/v1",
            "OPENAI_MODEL": self.model,
            "QWEN_CODE_SUPPRESS_YOLO_WARNING": "1",
        }

    def command(self, prompt: Prompt) -> list[str]:
        program = NODE_MODULES / "@qwen-code" / "qwen-code" / "cli.js"
        options = ["--yolo", "--auth-type", "openai", *(["--continue"] if prompt.resume else [])]
        return [*run_with_node(program), *options, "-p", prompt.text]


class Aider(Client):
    """Sends no tools: it puts the file into the prompt."""

    name = "aider"

    def configure(self) -> None:
        # Without this file, or with an empty one, it asks another host for the prices of models.
        self.write(".aider/caches/model_prices_and_context_window.json", '{"none": {}}')

    def environment(self) -> dict[str, str]:
        return {
            "OPENAI_API_KEY": "none",
            "OPENAI_API_BASE": f"{self.url}/v1",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        }

    def command(self, prompt: Prompt) -> list[str]:
        off = ("git", "pretty", "show-model-warnings", "show-release-notes", "check-update", "gitignore")
        options = [f"--model=openai/{self.model}", "--yes-always", "--analytics-disable", "--map-tokens=0"]
        options += [f"--no-{name}" for name in off]
        options += ["--restore-chat-history"] if prompt.resume else []
        return [str(AIDER / "bin" / "aider"), *options, f"--message={prompt.text}", "note.txt"]


CLIENTS: dict[str, type[Client]] = {
    client.name: client for client in (OpenCode, Codex, ClaudeCode, Cline, Pi, QwenCode, Aider)
}


def build_environment(client: Client) -> dict[str, str]:
    """Return all variables of a client. Requests to other hosts go to a proxy that does not exist."""
    proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9")
    return {
        "PATH": f"{find_node() / 'bin'}:{os.defpath}",
        "HOME": str(client.home),
        "TMPDIR": str(client.home),
        "TERM": "dumb",
        "NO_COLOR": "1",
        "DO_NOT_TRACK": "1",
        **proxies,
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        **client.environment(),
    }
