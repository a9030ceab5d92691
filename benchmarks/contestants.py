"""Who is compared. Each is a context manager that starts it in front of an engine and yields where it listens."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

HERE = Path(__file__).parent
CORES = sorted(os.sched_getaffinity(0))
PROXY_CORE, OTHER_CORE = CORES[0], CORES[-1]


class Unavailable(Exception):
    """This contestant is not on this machine."""


@dataclass(frozen=True)
class Ground:
    """What all share: a folder, and the programs compiled there."""

    folder: Path
    engine: Path
    load: Path


@dataclass(frozen=True)
class Running:
    """A contestant at work. `processes` are its own, without the engine; `start` is seconds to its first answer."""

    port: int
    headers: str = ""
    processes: tuple[psutil.Process, ...] = ()
    start: float = 0.0
    idle: int = 0

    def cpu(self) -> float:
        """Seconds of processor time so far, to the nanosecond."""
        tasks = (task for process in self.processes for task in Path(f"/proc/{process.pid}/task").iterdir())
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def peak(self) -> int:
        """Most bytes of memory it has taken."""
        status = "".join(Path(f"/proc/{process.pid}/status").read_text() for process in self.processes)
        return sum(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def free_port() -> int:
    """A port nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def _program(argv: list[str | Path], **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(argv, env=os.environ | environment, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()


@contextmanager
def direct(ground: Ground) -> Iterator[Running]:
    """The engine itself, by TCP; the others' ground truth."""
    port = free_port()
    with _program([ground.engine, str(port)]) as process:
        os.sched_setaffinity(process.pid, {OTHER_CORE})
        _first_answer(port, "")
        yield Running(port)


@contextmanager
def _proxy(
    argv: Callable[[int], list[str | Path]], headers: str = "", **environment: str
) -> Iterator[Running]:
    """Start a proxy on one core; engines that it started go to the other one."""
    port = free_port()
    began = time.perf_counter()
    with _program(argv(port), **environment) as process:
        os.sched_setaffinity(process.pid, {PROXY_CORE})
        _first_answer(port, headers)
        start = time.perf_counter() - began
        whole = psutil.Process(process.pid)
        own = [whole]
        for child in whole.children(recursive=True):
            if child.name() == "engine":
                child.cpu_affinity([OTHER_CORE])
            else:
                own.append(child)
        for one in own:
            one.cpu_affinity([PROXY_CORE])
        yield Running(port, headers, tuple(own), start, sum(one.memory_info().rss for one in own))


def _first_answer(port: int, headers: str) -> None:
    body = b'{"model":"m"}'
    lines = "".join(f"{line}\r\n" for line in headers.split("|") if line)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{lines}"
    raw = f"{head}connection: close\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as client:
                client.sendall(raw)
                if b" 200 " in client.recv(4096):
                    return
        except OSError:
            pass
        time.sleep(0.01)
    raise Unavailable("it does not answer")


@contextmanager
def sparkd(ground: Ground) -> Iterator[Running]:
    """The whole daemon: keys, leases, rewriting, an engine it started itself on a Unix socket."""
    folder = ground.folder / "sparkd"
    folder.mkdir()
    (folder / "keys").write_text("bench: sk-bench\n")

    def argv(port: int) -> list[str | Path]:
        (folder / "models.toml").write_text(
            f'[server]\nlisten = "127.0.0.1:{port}"\napi_key_file = "keys"\n'
            '[memory]\ntotal = "8 GiB"\nreserve = "1 GiB"\n'
            f'[models.m]\nengine = "command"\ncommand = ["{ground.engine}", "{{socket}}"]\nmemory = "1 GiB"\n'
        )
        return [sys.executable, "-m", "sparkd", "--catalogue", folder / "models.toml", "--log-level", "error"]

    with _proxy(argv, "authorization: Bearer sk-bench") as running:
        yield running


@contextmanager
def plain(ground: Ground) -> Iterator[Running]:
    """Starlette and httpx, as one would write it first."""
    with (
        direct(ground) as engine,
        _proxy(
            lambda port: [sys.executable, HERE / "plain_proxy.py", str(port), str(engine.port)]
        ) as running,
    ):
        yield running


@contextmanager
def pipe(ground: Ground) -> Iterator[Running]:
    """Bytes from socket to socket on uvloop, unread: as fast as Python gets."""
    with (
        direct(ground) as engine,
        _proxy(lambda port: [sys.executable, HERE / "byte_pipe.py", str(port), str(engine.port)]) as running,
    ):
        yield running


@contextmanager
def nginx(ground: Ground) -> Iterator[Running]:
    """nginx with connections kept alive and nothing buffered."""
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise Unavailable("no nginx on this machine")
    folder = ground.folder / "nginx"
    folder.mkdir()
    with direct(ground) as engine:

        def argv(port: int) -> list[str | Path]:
            text = (HERE / "nginx.conf").read_text()
            (folder / "nginx.conf").write_text(
                text.replace("PORT", str(port)).replace("ENGINE", str(engine.port))
            )
            return [program, "-p", folder, "-c", "nginx.conf", "-e", "stderr"]

        with _proxy(argv) as running:
            yield running


@contextmanager
def llama_swap(ground: Ground) -> Iterator[Running]:
    """llama-swap, where LLAMA_SWAP names its program; it starts the engine itself, as sparkd does."""
    program = os.environ.get("LLAMA_SWAP")
    if not program:
        raise Unavailable("LLAMA_SWAP does not name a program")
    config = ground.folder / "llama-swap.yaml"
    config.write_text(
        f"models:\n  m:\n    cmd: {ground.engine} ${{PORT}}\n    checkEndpoint: /health\n"
        f"    proxy: http://127.0.0.1:${{PORT}}\nstartPort: {free_port()}\n"
    )
    with _proxy(lambda port: [program, "--config", config, "--listen", f"127.0.0.1:{port}"]) as running:
        yield running


CONTESTANTS: tuple[Callable[[Ground], AbstractContextManager[Running]], ...] = (
    direct,
    sparkd,
    llama_swap,
    nginx,
    plain,
    pipe,
)
