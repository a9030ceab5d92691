"""`sparkctl demo`: from a fresh clone to a response from a real model on this machine.

catalogue.py       what it serves
models.py          its models (convert_gguf.py runs in the runtime)
first_request.py   the first request
"""

from __future__ import annotations

import argparse
import contextlib
import signal
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
from sparkd.cli import exit_codes
from sparkd.cli.demo.catalogue import CHAT_ID, EMBEDDINGS_ID, write_catalogue
from sparkd.cli.demo.first_request import DemoAnswer, ask_question
from sparkd.cli.demo.models import CHAT, EMBEDDINGS, prepare_model
from sparkd.cli.doctor.addresses import inspect_ports
from sparkd.cli.output.messages import print_json, print_line, print_note
from sparkd.control.client import ControlClient
from sparkd.errors import DemoError, NoAnswer
from sparkd.runtimes import build
from sparkd.service.unix_sockets import control_socket

PORT = 8009

_START_TIMEOUT = 30.0  # seconds the daemon has to open its port
_STOP_TIMEOUT = 60.0  # seconds it has to end its engines


def run(arguments: argparse.Namespace) -> int:
    """Set up, start sparkd, send a request, and serve until Ctrl-C. With `once`, exit after the first response."""
    started_at = time.monotonic()
    home = _find_repository()
    require_free_port(arguments.port)
    catalogue = write_catalogue(home, arguments.port)
    _prepare_models(catalogue)
    address = f"http://127.0.0.1:{arguments.port}"
    with _interrupt_on_signals(), _run_daemon(catalogue, address) as daemon:
        print_note(f"Sending a request to {CHAT_ID} at {address} …")
        with ControlClient(control_socket(catalogue.folder("run"))) as control:
            answer = ask_question(address, control, CHAT_ID, print_note)
        if arguments.json:
            print_json(answer)
        else:
            _print_answer(answer, time.monotonic() - started_at)
        if arguments.once:
            return exit_codes.SUCCESS
        if not arguments.json:
            _print_next_steps(home, catalogue, address)
        return _wait_for_interrupt(daemon)


def _find_repository() -> Path:
    home = Path(sparkd.__file__).resolve().parent.parent
    if not (home / "venvs" / "cpu").is_dir():
        raise DemoError("The demo needs a clone of sparkd's repository. Run scripts/demo there.")
    return home


def require_free_port(port: int) -> None:
    """Raise DemoError, with the program that uses it, if `port` cannot be opened."""
    for state in inspect_ports(f"localhost:{port}"):
        if state.problem:
            raise DemoError(
                f"Cannot listen on port {port}: {state.problem}{_describe_listener(port)}. "
                f"Choose another with --port, for example --port {port + 1}."
            )


def _describe_listener(port: int) -> str:
    """The program that listens there, if this user may see it."""
    for connection in psutil.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
            with contextlib.suppress(psutil.Error):
                if connection.pid is None:
                    return " by another user's process"
                command = " ".join(psutil.Process(connection.pid).cmdline())
                return f" by process {connection.pid} ({command[:100]})"
    return ""


def _prepare_models(catalogue: Catalogue) -> None:
    terminal = sys.stdout.isatty() and sys.stderr.isatty()
    runtime = build(catalogue.runtimes["cpu"], catalogue.folder("runtimes"), print_note, terminal=terminal)
    for model in (CHAT, EMBEDDINGS):
        prepare_model(model, catalogue.folder("models"), runtime, print_note, terminal=terminal)


@contextlib.contextmanager
def _run_daemon(catalogue: Catalogue, address: str) -> Iterator[subprocess.Popen[bytes]]:
    """The daemon, ready at `address`; stopped at the end. It logs to our stderr."""
    # A process group of its own: Ctrl-C reaches only us, and we forward it once.
    argv = (sys.executable, "-m", "sparkd", "--catalogue", str(catalogue.path))
    daemon = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=sys.stderr, process_group=0)
    try:
        _wait_until_healthy(daemon, address)
        yield daemon
    finally:
        daemon.terminate()
        try:
            daemon.wait(_STOP_TIMEOUT)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            daemon.terminate()  # the second one means: at once
            daemon.wait()


def _wait_until_healthy(daemon: subprocess.Popen[bytes], address: str) -> None:
    deadline = time.monotonic() + _START_TIMEOUT
    while time.monotonic() < deadline and daemon.poll() is None:
        try:
            httpx.get(f"{address}/healthz", timeout=1.0, trust_env=False).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.05)
        else:
            return
    raise DemoError("sparkd did not start. Its log is above.")


@contextlib.contextmanager
def _interrupt_on_signals() -> Iterator[None]:
    """SIGTERM and a closed terminal end the demo like Ctrl-C, and stop the daemon."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    previous_handlers = {
        number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, disposition in previous_handlers.items():
            signal.signal(number, disposition)


def _wait_for_interrupt(daemon: subprocess.Popen[bytes]) -> int:
    try:
        daemon.wait()
    except KeyboardInterrupt:
        print_note("Stopping …")
        return exit_codes.SUCCESS
    raise NoAnswer(f"sparkd exited by itself (exit code {daemon.returncode}).")


def _print_answer(answer: DemoAnswer, elapsed: float) -> None:
    started = "was already ready" if answer.start is None else f"started in {answer.start:.1f} s"
    print_line("")
    print_line(f"  Question   {answer.question}")
    print_line(f"  Answer     {answer.answer}")
    print_line("")
    print_line(
        f"  {answer.model} {started}; first token after {answer.first_token:.2f} s, "
        f"then {answer.tokens_per_second:.0f} tokens/s ({answer.tokens} tokens)."
    )
    print_line(f"  Time from the command to the answer: {elapsed:.0f} s.")
    print_line("")


def _print_next_steps(home: Path, catalogue: Catalogue, address: str) -> None:
    sparkctl = Path(sys.executable).with_name("sparkctl")
    idle = catalogue.settings.defaults.idle_timeout / 60
    print_line(f"sparkd serves at {address} until Ctrl-C. Try this in another terminal, in {home}:")
    print_line("")
    print_line(f"  curl {address}/v1/chat/completions -H 'Content-Type: application/json' \\")
    print_line(
        f'    -d \'{{"model": "{CHAT_ID}", "messages": [{{"role": "user", "content": "Tell me a joke."}}]}}\''
    )
    print_line("")
    print_line("Another model, which starts when you name it:")
    print_line("")
    print_line(f"  curl {address}/v1/embeddings -H 'Content-Type: application/json' \\")
    print_line(f'    -d \'{{"model": "{EMBEDDINGS_ID}", "input": "The sun shines."}}\'')
    print_line("")
    print_line(f"Watch it in a browser: {address}/ui/")
    print_line("")
    print_line(f"Show what runs (a model is stopped after {idle:.0f} minutes without requests):")
    print_line("")
    print_line(f"  {_relative_to(home, sparkctl)} --catalogue {_relative_to(home, catalogue.path)} status")
    print_line("")


def _relative_to(home: Path, path: Path) -> Path:
    return path.relative_to(home) if path.is_relative_to(home) else path
