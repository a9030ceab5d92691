"""A person who works with one client program in one project folder."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

import psutil

from tests.clients.programs import CLIENTS, build_environment
from tests.clients.recorder import Exchange, Recorder

READ = "Read the note"
"""The prompt at which the model calls a tool twice; then it says what the note says."""

RECALL = "What did the note say"
"""The prompt at which the model answers from the history of the session."""

NOTE = "The place is the lighthouse.\n"


class Session:
    """Prompts of one client, each of which is one run of the program."""

    def __init__(self, folder: Path, recorder: Recorder) -> None:
        self.home = folder / "home"
        self.project = folder / "project"
        for new in (self.home, self.project):
            new.mkdir()
        (self.project / "note.txt").write_text(NOTE)
        self.recorder = recorder

    def prompt(
        self, name: str, text: str, *, model: str = "qwen", resume: bool = False, image: Path | None = None
    ) -> str:
        """Send a prompt with the client `name`; return what it printed, however it ended."""
        client = CLIENTS[name](self.home, self.recorder.url, model)
        done = subprocess.run(
            client.command(text, resume=resume, image=image),
            cwd=self.project,
            env=build_environment(client),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        return f"{done.stdout}\n(exit code {done.returncode})\n"

    @property
    def generations(self) -> list[Exchange]:
        """The requests that the model was asked to answer."""
        ends = ("/chat/completions", "/responses", "/messages")
        return [one for one in self.recorder.exchanges if one.path.partition("?")[0].endswith(ends)]

    def assert_all_answered(self) -> None:
        """Check that sparkd and the engine accepted every request."""
        assert self.generations
        rejected = [str(one) for one in self.generations if one.status != 200]
        assert not rejected, "\n".join(rejected)


def end_processes(home: Path) -> None:
    """End the processes that work with this home folder: some clients leave a daemon."""
    left = [process for process in psutil.process_iter() if _works_for(process, home)]
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left)


def _works_for(process: psutil.Process, home: Path) -> bool:
    try:
        return process.environ().get("HOME") == str(home)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
