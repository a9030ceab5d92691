"""The programs in `libraries/`, each started once for all rounds of the tests."""

from __future__ import annotations

import json
import os
import queue
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

from tests.clients.installing import CLONE, JAVASCRIPT, LIBRARIES, OLLAMA, find_node
from tests.clients.waiting.clock import BYTE_TIMEOUT, CHUNK_TIMEOUT

PROGRAMS: Final = Path(__file__).parent / "libraries"
LOCKS: Final = Path(__file__).parent.parent / "locks"
PATIENCE: Final = 240.0
"""Seconds to wait for a line of a program; this only limits a hang."""


class Timeouts(NamedTuple):
    """When clients give up: after seconds without a byte, and without a chunk."""

    timeout: float = BYTE_TIMEOUT
    chunk_timeout: float = CHUNK_TIMEOUT


NEVER: Final = Timeouts(PATIENCE, PATIENCE)

Outcomes = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class Library:
    """A client library: its program, and the package that is named with its version."""

    title: str
    program: str
    package: str
    folder: Path = LIBRARIES
    """The virtualenv of a library in Python. Its lock file has the same name."""

    @property
    def is_javascript(self) -> bool:
        return self.program.endswith(".mjs")

    @property
    def version(self) -> str:
        """The version that its lock file pins."""
        if self.is_javascript:
            pins = json.loads((LOCKS / "javascript" / "package.json").read_text())["dependencies"]
            return str(pins[self.package])
        lock = (LOCKS / f"{self.folder.name}.lock").read_text()
        found = re.search(rf"^{re.escape(self.package)}==(\S+)", lock, re.MULTILINE)
        assert found, f"{self.package} is not in the lock file"
        return found[1]


OPENAI_PYTHON = Library("OpenAI, Python", "openai_library", "openai")
ANTHROPIC_PYTHON = Library("Anthropic, Python", "anthropic_library", "anthropic")
LANGCHAIN = Library("LangChain, Python", "langchain_library", "langchain-openai")
LITELLM = Library("LiteLLM", "litellm_library", "litellm")
OPENAI_NODE = Library("OpenAI, Node.js", "openai_library.mjs", "openai")
ANTHROPIC_NODE = Library("Anthropic, Node.js", "anthropic_library.mjs", "@anthropic-ai/sdk")
AI_SDK = Library("AI SDK", "ai_sdk.mjs", "ai")
LANGCHAIN_NODE = Library("LangChain, Node.js", "langchain_library.mjs", "@langchain/openai")
OLLAMA_PYTHON = Library("Ollama, Python", "ollama_library", "ollama", OLLAMA)
OLLAMA_NODE = Library("Ollama, Node.js", "ollama_library.mjs", "ollama")

ALL: Final = (
    OPENAI_PYTHON,
    ANTHROPIC_PYTHON,
    LANGCHAIN,
    LITELLM,
    OPENAI_NODE,
    ANTHROPIC_NODE,
    AI_SDK,
    LANGCHAIN_NODE,
    OLLAMA_PYTHON,
    OLLAMA_NODE,
)


class Program:
    """A running program."""

    def __init__(self, library: Library, folder: Path) -> None:
        self.library = library
        self._log = folder / f"{library.program}.log"
        off = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False", "DO_NOT_TRACK": "1"}
        environment = {"PATH": os.defpath, "HOME": str(folder), "NO_PROXY": "127.0.0.1", **off}
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                self._build_command(folder),
                cwd=CLONE,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True).start()

    def _build_command(self, folder: Path) -> list[str]:
        if self.library.is_javascript:
            return [str(find_node() / "bin" / "node"), str(folder / self.library.program)]
        module = f"tests.clients.waiting.libraries.{self.library.program}"
        return [str(self.library.folder / "bin" / "python"), "-m", module]

    def _read(self, output: IO[str]) -> None:
        for line in output:
            self._lines.put(line)
        self._lines.put("")

    def read(self, field: str) -> Any:
        """Return that field of the next line. Other lines than JSON are the library's own."""
        while True:
            line = self._lines.get(timeout=PATIENCE)
            assert line, f"{self.library.title} ended: {self._log.read_text()}"
            if line.startswith("{"):
                return json.loads(line)[field]

    def ask(self, url: str, model: str, prompts: list[str], timeouts: Timeouts) -> None:
        """Have it start all of its cases with all prompts. Returns when they have started."""
        assert self.process.stdin
        wanted = {"url": url, "model": model, "prompts": prompts, **timeouts._asdict()}
        self.process.stdin.write(json.dumps(wanted) + "\n")
        self.process.stdin.flush()
        self.read("asked")

    def close(self) -> None:
        """End it. It keeps nothing that it could lose."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream
            stream.close()


@contextmanager
def running_programs(folder: Path, libraries: tuple[Library, ...] = ALL) -> Iterator[list[Program]]:
    """Start a program for each library; yield them when all have imported their library."""
    for script in PROGRAMS.glob("*.mjs"):
        shutil.copy(script, folder)
    # Node.js looks for packages beside the script.
    (folder / "node_modules").symlink_to(JAVASCRIPT / "node_modules")
    with ExitStack() as stack:
        programs = []
        for library in libraries:
            program = Program(library, folder)
            stack.callback(program.close)
            programs.append(program)
        for program in programs:
            program.read("cases")
        yield programs
