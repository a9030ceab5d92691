"""The client programs: `sparkctl client` configures each, and a command sends a prompt.

Each reads and writes only a home folder of its own, and its calls of other hosts are switched off.
"""

from __future__ import annotations

import json
import os
import platform
import tomllib
from dataclasses import dataclass
from pathlib import Path

import tomli_w

from tests.cli.running import sparkctl
from tests.clients.installing import AIDER, NODE_MODULES, find_node
from tests.clients.serving import ALTERNATING, CHANNELS, SYSTEM_FIRST

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
    """One program. `url` is sparkd's address, without `/v1`, and `catalogue` its catalogue.

    The configuration is what `sparkctl client --write` writes. A model that the catalogue does not have, or whose
    context is too short for the program, replaces another one in it: then the program learns that from sparkd.
    """

    name: str
    configuration: str
    """Its name for `sparkctl client`."""

    resumes = True
    """Whether an option of its command goes on with the last session."""

    attaches = False
    """Whether an option of its command attaches an image to a prompt."""

    reads_key = True
    """Whether it reads the key from an environment variable."""

    def __init__(
        self,
        home: Path,
        url: str,
        model: str,
        catalogue: Path,
        *,
        key: str | None = None,
        has_images: bool = False,
    ) -> None:
        self.home = home
        self.url = url
        self.model = model
        self.key = key
        self.has_images = has_images
        self.prepare()
        self._configure(catalogue)

    def prepare(self) -> None:
        """Write what the home folder has before, which keeps the program from calling other hosts."""

    def _configure(self, catalogue: Path) -> None:
        listed = self.model if self.model in (SYSTEM_FIRST, CHANNELS, ALTERNATING) else SYSTEM_FIRST
        if self.key is not None:
            catalogue = self._require_key(catalogue)
        passed = [] if self.key is None or self.reads_key else ["--key", self.key]
        arguments = ["--write", f"--url={self.url}", f"--model={listed}", f"--catalogue={catalogue}", *passed]
        environment = {"HOME": str(self.home)}
        done = sparkctl("client", self.configuration, *arguments, "--json", environment=environment)
        assert done.code == 0, done.err
        for written in json.loads(done.out):
            self.adapt(Path(written["path"]), listed)

    def _require_key(self, catalogue: Path) -> Path:
        content = tomllib.loads(catalogue.read_text())
        content.setdefault("server", {})["api_key_file"] = "keys"
        self.write("keys", f"{self.key}\n")
        self.write("models.toml", tomli_w.dumps(content))
        return self.home / "models.toml"

    def adapt(self, file: Path, listed: str) -> None:
        """Put a model that is not listed into a written file."""
        if self.model != listed:
            file.write_text(file.read_text().replace(listed, self.model))

    def environment(self) -> dict[str, str]:
        """Return the variables that only this client reads."""
        return {}

    def command(self, prompt: Prompt) -> list[str]:
        """Return the command line that sends one prompt and prints the answer."""
        raise NotImplementedError

    def write(self, path: str, content: str) -> None:
        """Write a file of the home folder, unless it exists."""
        file = self.home / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            file.write_text(content)


class OpenCode(Client):
    name = configuration = "opencode"
    attaches = True

    def prepare(self) -> None:
        settings = '{\n  // in tests\n  "autoupdate": false,\n  "share": "disabled",\n}\n'
        self.write(".config/opencode/opencode.jsonc", settings)

    def adapt(self, file: Path, listed: str) -> None:
        super().adapt(file, listed)
        if self.has_images:  # otherwise OpenCode itself leaves them out
            text = file.read_text().replace('"attachment": false', '"attachment": true')
            file.write_text(text.replace('"input": [\n', '"input": [\n"image",\n'))

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
    name = configuration = "codex"
    attaches = True

    def prepare(self) -> None:
        settings = "# in tests\ncheck_for_update_on_startup = false\n\n[analytics]\nenabled = false\n"
        self.write(".codex/config.toml", settings)

    def command(self, prompt: Prompt) -> list[str]:
        program = NODE_MODULES / "@openai" / "codex" / "bin" / "codex.js"
        options = ["--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"]
        attached = [f"--image={prompt.image}"] if prompt.image else []
        words = ["resume", "--last"] if prompt.resume else []
        return [*run_with_node(program), "exec", *options, *words, *attached, prompt.text]


class ClaudeCode(Client):
    name = "claude"
    configuration = "claude-code"

    def environment(self) -> dict[str, str]:
        off = ("DISABLE_AUTOUPDATER", "DISABLE_TELEMETRY", "DISABLE_ERROR_REPORTING")
        return {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", **dict.fromkeys(off, "1")}

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
    name = configuration = "cline"
    resumes = False  # its option --id wants a terminal
    reads_key = False

    def environment(self) -> dict[str, str]:
        return {"CLINE_TELEMETRY_DISABLED": "1", "CLINE_NO_AUTO_UPDATE": "1"}

    def command(self, prompt: Prompt) -> list[str]:
        return [str(NODE_MODULES / "@cline" / f"cli-{PLATFORM}" / "bin" / "cline"), prompt.text]


class Pi(Client):
    name = configuration = "pi"
    attaches = True

    def adapt(self, file: Path, listed: str) -> None:
        super().adapt(file, listed)
        if self.has_images:  # otherwise pi itself leaves them out
            file.write_text(file.read_text().replace('"input": [\n', '"input": [\n"image",\n'))

    def environment(self) -> dict[str, str]:
        return {"PI_OFFLINE": "1", "PI_TELEMETRY": "0", "PI_SKIP_VERSION_CHECK": "1"}

    def command(self, prompt: Prompt) -> list[str]:
        program = NODE_MODULES / "@mariozechner" / "pi-coding-agent" / "dist" / "cli.js"
        return [
            *run_with_node(program),
            *(["--continue"] if prompt.resume else []),
            "-p",
            *([f"@{prompt.image}"] if prompt.image else []),
            prompt.text,
        ]


class QwenCode(Client):
    name = "qwen"
    configuration = "qwen-code"

    def prepare(self) -> None:
        settings = {"privacy": {"usageStatisticsEnabled": False}, "general": {"enableAutoUpdate": False}}
        self.write(".qwen/settings.json", json.dumps(settings))

    def environment(self) -> dict[str, str]:
        return {"QWEN_CODE_SUPPRESS_YOLO_WARNING": "1"}

    def command(self, prompt: Prompt) -> list[str]:
        program = NODE_MODULES / "@qwen-code" / "qwen-code" / "cli.js"
        options = ["--yolo", *(["--continue"] if prompt.resume else [])]
        return [*run_with_node(program), *options, "-p", prompt.text]


class Aider(Client):
    """Sends no tools: it puts the file into the prompt."""

    name = configuration = "aider"

    def prepare(self) -> None:
        # Without this file, or with an empty one, it asks another host for the prices of models.
        self.write(".aider/caches/model_prices_and_context_window.json", '{"none": {}}')

    def environment(self) -> dict[str, str]:
        key = {} if self.key is None else {"OPENAI_API_KEY": self.key}
        return {"LITELLM_LOCAL_MODEL_COST_MAP": "True", **key}

    def command(self, prompt: Prompt) -> list[str]:
        off = ("git", "pretty", "show-model-warnings", "show-release-notes", "check-update", "gitignore")
        options = ["--yes-always", "--analytics-disable", "--map-tokens=0"]
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
        **({"SPARKD_API_KEY": client.key} if client.key else {}),
        **client.environment(),
    }
