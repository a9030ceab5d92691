"""A person who works with one client program in one project folder."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.clients.programs import CLIENTS, Prompt, build_environment
from tests.clients.recorder import Exchange, Recorder
from tests.clients.serving import SYSTEM_FIRST

READ = "Read the note"
"""The prompt at which the model calls a tool twice; then it says what the note says."""

RECALL = "What did the note say"
"""The prompt at which the model answers from the history of the session."""

NOTE = "The place is the lighthouse.\n"


class Session:
    """Prompts of one client, each of which is one run of the program."""

    def __init__(self, folder: Path, recorder: Recorder, catalogue: Path) -> None:
        self.catalogue = catalogue
        self.home = folder / "home"
        self.project = folder / "project"
        for new in (self.home, self.project):
            new.mkdir()
        (self.project / "note.txt").write_text(NOTE)
        self.recorder = recorder

    def prompt(
        self,
        name: str,
        text: str,
        *,
        model: str = SYSTEM_FIRST,
        resume: bool = False,
        image: Path | None = None,
        key: str | None = None,
    ) -> str:
        """Send a prompt with the client `name`; return what it printed, with lines joined, however it ended."""
        client = CLIENTS[name](
            self.home, self.recorder.url, model, self.catalogue, key=key, has_images=image is not None
        )
        done = subprocess.run(
            client.command(Prompt(text, resume, image)),
            cwd=self.project,
            env=build_environment(client),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        return " ".join(done.stdout.split())

    @property
    def generations(self) -> list[Exchange]:
        """The requests that the model was asked to answer."""
        ends = ("/chat/completions", "/responses", "/messages", "/api/chat")
        return [one for one in self.recorder.exchanges if one.path.partition("?")[0].endswith(ends)]

    def assert_all_answered(self) -> None:
        """Check that sparkd and the engine accepted every request."""
        assert self.generations
        rejected = [str(one) for one in self.generations if one.status != 200]
        assert not rejected, "\n".join(rejected)


@contextmanager
def open_session(port: int, catalogue: Path) -> Iterator[Session]:
    """Yield a session with the sparkd on `port`, which reads `catalogue`. It ends what the client left running."""
    with (
        tempfile.TemporaryDirectory(prefix="client-", ignore_cleanup_errors=True) as folder,
        Recorder(port).running() as recorder,
    ):
        session = Session(Path(folder), recorder, catalogue)
        try:
            yield session
        finally:
            _end_processes(session.home)


def _end_processes(home: Path) -> None:
    # Cline leaves a daemon.
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
