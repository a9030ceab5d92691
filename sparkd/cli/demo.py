"""`sparkctl demo`: from a fresh clone to an answer of a real model on this machine.

demo_catalogue.py   what it serves
demo_models.py      where its models come from (demo_convert.py runs in the runtime)
demo_question.py    the first request
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import httpx
import psutil

import sparkd
from sparkd.catalog import Catalogue
from sparkd.cli import exits
from sparkd.cli.demo_catalogue import CHAT_ID, EMBEDDINGS_ID, write_catalogue
from sparkd.cli.demo_models import CHAT, EMBEDDINGS, prepare
from sparkd.cli.demo_question import Answer, ask
from sparkd.cli.output import note, say, say_json
from sparkd.control.client import ControlClient
from sparkd.errors import CannotDemonstrate, NoAnswer
from sparkd.runtimes import build
from sparkd.service.unix_sockets import control_socket

PORT = 8009

_START = 30.0  # seconds the daemon has to open its port
_STOP = 60.0  # seconds it has to end its engines


def run(arguments: argparse.Namespace) -> int:
    """Sets up, starts sparkd, asks, and serves until Ctrl-C; with `once` it leaves after the first answer."""
    began = time.monotonic()
    home = _clone()
    require_port(arguments.port)
    catalogue = write_catalogue(home, arguments.port)
    _prepare(catalogue)
    address = f"http://127.0.0.1:{arguments.port}"
    with _signals_as_interrupts(), _daemon(catalogue, address) as daemon:
        note(f"Asking {CHAT_ID} through {address} …")
        with ControlClient(control_socket(catalogue.folder("run"))) as control:
            answer = ask(address, control, CHAT_ID, note)
        if arguments.json:
            say_json(answer)
        else:
            _show(answer, time.monotonic() - began)
        if arguments.once:
            return exits.DONE
        if not arguments.json:
            _show_next(home, catalogue, address)
        return _serve(daemon)


def _clone() -> Path:
    home = Path(sparkd.__file__).resolve().parent.parent
    if not (home / "venvs" / "cpu").is_dir():
        raise CannotDemonstrate(
            "The demo runs in a clone of sparkd's repository: start it there with scripts/demo."
        )
    return home


def require_port(port: int) -> None:
    """Raises CannotDemonstrate, naming whoever has `port`, when it cannot be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise CannotDemonstrate(
                f"Port {port} cannot be listened on: {error.strerror}{_listener(port)}. "
                f"Choose another with --port, for example --port {port + 1}."
            ) from error


def _listener(port: int) -> str:
    """Who listens there, as far as this user may know."""
    for connection in psutil.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
            with contextlib.suppress(psutil.Error):
                if connection.pid is None:
                    return " by another user's process"
                command = " ".join(psutil.Process(connection.pid).cmdline())
                return f" by process {connection.pid} ({command[:100]})"
    return ""


def _prepare(catalogue: Catalogue) -> None:
    terminal = sys.stdout.isatty() and sys.stderr.isatty()
    runtime = build(catalogue.runtimes["cpu"], catalogue.folder("runtimes"), note, terminal=terminal)
    for model in (CHAT, EMBEDDINGS):
        prepare(model, catalogue.folder("models"), runtime, note, terminal=terminal)


@contextlib.contextmanager
def _daemon(catalogue: Catalogue, address: str) -> Iterator[subprocess.Popen[bytes]]:
    """The daemon, answering at `address`; stopped at the end. It logs to our stderr."""
    # A group of its own: Ctrl-C reaches us alone, and it is told once, by us.
    argv = (sys.executable, "-m", "sparkd", "--catalogue", str(catalogue.path))
    daemon = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=sys.stderr, process_group=0)
    try:
        _await_answer(daemon, address)
        yield daemon
    finally:
        daemon.terminate()
        try:
            daemon.wait(_STOP)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            daemon.terminate()  # the second one means: at once
            daemon.wait()


def _await_answer(daemon: subprocess.Popen[bytes], address: str) -> None:
    deadline = time.monotonic() + _START
    while time.monotonic() < deadline and daemon.poll() is None:
        try:
            httpx.get(f"{address}/healthz", timeout=1.0, trust_env=False).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.05)
        else:
            return
    raise CannotDemonstrate("sparkd did not start; its own words are above.")


@contextlib.contextmanager
def _signals_as_interrupts() -> Iterator[None]:
    """SIGTERM and a closed terminal end the demo as Ctrl-C does: with the daemon stopped."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, disposition in before.items():
            signal.signal(number, disposition)


def _serve(daemon: subprocess.Popen[bytes]) -> int:
    try:
        daemon.wait()
    except KeyboardInterrupt:
        note("Stopping …")
        return exits.DONE
    raise NoAnswer(f"sparkd ended by itself (exit code {daemon.returncode}).")


def _show(answer: Answer, whole: float) -> None:
    started = "was ready already" if answer.start is None else f"started in {answer.start:.1f} s"
    say("")
    say(f"  Question   {answer.question}")
    say(f"  Answer     {answer.answer}")
    say("")
    say(
        f"  {answer.model} {started}; first token after {answer.first_token:.2f} s, "
        f"then {answer.tokens_per_second:.0f} tokens/s ({answer.tokens} tokens)."
    )
    say(f"  From the command to the answer: {whole:.0f} s.")
    say("")


def _show_next(home: Path, catalogue: Catalogue, address: str) -> None:
    sparkctl = Path(sys.executable).with_name("sparkctl")
    idle = catalogue.settings.defaults.idle_timeout / 60
    say(f"sparkd serves on {address} until Ctrl-C. In another terminal, in {home}:")
    say("")
    say(f"  curl {address}/v1/chat/completions -H 'Content-Type: application/json' \\")
    say(
        f'    -d \'{{"model": "{CHAT_ID}", "messages": [{{"role": "user", "content": "Tell me a joke."}}]}}\''
    )
    say("")
    say("Another model, started because you name it:")
    say("")
    say(f"  curl {address}/v1/embeddings -H 'Content-Type: application/json' \\")
    say(f'    -d \'{{"model": "{EMBEDDINGS_ID}", "input": "The sun shines."}}\'')
    say("")
    say(f"What runs (a model unused for {idle:.0f} minutes is stopped):")
    say("")
    say(f"  {_below(home, sparkctl)} --catalogue {_below(home, catalogue.path)} status")
    say("")


def _below(home: Path, path: Path) -> Path:
    return path.relative_to(home) if path.is_relative_to(home) else path
