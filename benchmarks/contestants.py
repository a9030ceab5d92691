"""The contestants: each is a context manager that starts one proxy in front of an engine and yields it running."""

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
ROOT = HERE.parent
CORES = sorted(os.sched_getaffinity(0))
PROXY_CORE, OTHER_CORE = CORES[0], CORES[-1]


class Unavailable(Exception):
    """This contestant cannot run on this machine."""


@dataclass(frozen=True)
class Bench:
    """What all contestants share: a temporary folder, and the programs compiled there."""

    folder: Path
    engine: Path
    load: Path


@dataclass(frozen=True)
class Running:
    """A running contestant.

    `processes` are its own, without the engine's. `start` is the time from launch to the first response, in seconds;
    `idle` the resident memory at that moment, in bytes.
    """

    port: int
    headers: str = ""
    processes: tuple[psutil.Process, ...] = ()
    start: float = 0.0
    idle: int = 0

    def cpu(self) -> float:
        """CPU time used so far, in seconds (nanosecond resolution)."""
        tasks = (task for process in self.processes for task in Path(f"/proc/{process.pid}/task").iterdir())
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def peak(self) -> int:
        """Peak resident memory, in bytes."""
        status = "".join(Path(f"/proc/{process.pid}/status").read_text() for process in self.processes)
        return sum(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def find_free_port() -> int:
    """Find a port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def _program(argv: list[str | Path], core: int, folder: Path = ROOT) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program on one core, in `folder`.

    The core is set before exec: set later, it applies to the first thread only, and the threads that Go's runtime
    has started by then stay on every core.
    """
    process = subprocess.Popen(
        argv,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),  # noqa: PLW1509  # no other thread runs here
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()


@contextmanager
def direct(bench: Bench) -> Iterator[Running]:
    """The engine itself over TCP: the baseline."""
    port = find_free_port()
    with _program([bench.engine, str(port)], OTHER_CORE):
        _first_answer(port, "")
        yield Running(port)


@contextmanager
def _proxy(
    argv: Callable[[int], list[str | Path]], headers: str = "", folder: Path = ROOT
) -> Iterator[Running]:
    """Start a proxy on its core; move the engines that it started to the other core."""
    port = find_free_port()
    command = argv(port)
    began = time.perf_counter()
    with _program(command, PROXY_CORE, folder) as process:
        _first_answer(port, headers)
        start = time.perf_counter() - began
        proxy = psutil.Process(process.pid)
        own = [proxy]
        for child in proxy.children(recursive=True):
            if child.name() == "engine":
                child.cpu_affinity([OTHER_CORE])
            else:
                own.append(child)
        yield Running(port, headers, tuple(own), start, sum(one.memory_info().rss for one in own))


def _first_answer(port: int, headers: str) -> None:
    body = b'{"model":"m"}'
    lines = "".join(f"{line}\r\n" for line in headers.split("|") if line)
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{lines}"
    )
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
    raise Unavailable("it did not respond within 20 seconds")


@contextmanager
def sparkd(bench: Bench) -> Iterator[Running]:
    """This checkout's whole daemon: API keys, leases, rewriting, an engine that it started on a Unix socket."""
    with _daemon(bench, "sparkd", Path(sys.executable), ROOT) as running:
        yield running


@contextmanager
def before(bench: Bench) -> Iterator[Running]:
    """The daemon of another checkout, with the virtual environment in it; SPARKD_BEFORE names its folder."""
    folder = os.environ.get("SPARKD_BEFORE")
    if not folder:
        raise Unavailable("SPARKD_BEFORE does not name a checkout")
    checkout = Path(folder).resolve()
    python = checkout / ".venv" / "bin" / "python"
    version = subprocess.run(
        [python, "-c", "import sys; print(sys.version)"], check=True, capture_output=True, text=True
    ).stdout.strip()
    if version != sys.version:
        raise Unavailable(
            f"{python} is Python {version}, and this one is {sys.version}: builds differ in speed"
        )
    with _daemon(bench, "before", python, checkout) as running:
        yield running


@contextmanager
def asked(bench: Bench) -> Iterator[Running]:
    """This checkout's daemon, which also asks for the usage of each stream and takes it out again."""
    with _daemon(bench, "asked", Path(sys.executable), ROOT, keys="ask_usage = true\n") as running:
        yield running


@contextmanager
def unrecorded(bench: Bench) -> Iterator[Running]:
    """This checkout's daemon, without the measurement of requests."""
    with _daemon(bench, "unrecorded", Path(sys.executable), ROOT, "benchmarks.unrecorded") as running:
        yield running


@contextmanager
def _daemon(
    bench: Bench, name: str, python: Path, checkout: Path, module: str = "sparkd", *, keys: str = ""
) -> Iterator[Running]:
    """A daemon whose model has these keys, too."""
    # Installed programs have their bytecode: `start` must not include compiling it.
    subprocess.run([python, "-m", "compileall", "-q", checkout / "sparkd"], check=True)
    folder = bench.folder / name
    folder.mkdir()
    (folder / "keys").write_text("bench: sk-bench\n")

    def argv(port: int) -> list[str | Path]:
        (folder / "models.toml").write_text(
            f'[server]\nlisten = "127.0.0.1:{port}"\napi_key_file = "keys"\n'
            '[memory]\ntotal = "8 GiB"\nreserve = "1 GiB"\n'
            f'[models.m]\nengine = "command"\ncommand = ["{bench.engine}", "{{socket}}"]\nmemory = "1 GiB"\n'
            f"{keys}"
        )
        return [python, "-m", module, "--catalogue", folder / "models.toml", "--log-level", "error"]

    with _proxy(argv, "authorization: Bearer sk-bench", checkout) as running:
        yield running


@contextmanager
def plain(bench: Bench) -> Iterator[Running]:
    """A proxy of Starlette and httpx, written the obvious way."""
    with (
        direct(bench) as engine,
        _proxy(
            lambda port: [sys.executable, HERE / "plain_proxy.py", str(port), str(engine.port)]
        ) as running,
    ):
        yield running


@contextmanager
def pipe(bench: Bench) -> Iterator[Running]:
    """A byte pipe on uvloop that parses nothing: the fastest that Python can be."""
    with (
        direct(bench) as engine,
        _proxy(lambda port: [sys.executable, HERE / "byte_pipe.py", str(port), str(engine.port)]) as running,
    ):
        yield running


@contextmanager
def nginx(bench: Bench) -> Iterator[Running]:
    """nginx with keep-alive connections and without buffering."""
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise Unavailable("nginx is not installed")
    folder = bench.folder / "nginx"
    folder.mkdir()
    with direct(bench) as engine:

        def argv(port: int) -> list[str | Path]:
            text = (HERE / "nginx.conf").read_text()
            (folder / "nginx.conf").write_text(
                text.replace("PORT", str(port)).replace("ENGINE", str(engine.port))
            )
            return [program, "-p", folder, "-c", "nginx.conf", "-e", "stderr"]

        with _proxy(argv) as running:
            yield running


@contextmanager
def llama_swap(bench: Bench) -> Iterator[Running]:
    """llama-swap; LLAMA_SWAP names its program. It starts the engine itself, as sparkd does.

    Without `concurrencyLimit` it rejects more than 10 requests at once with 429. At its default log level it writes
    a line per request, which sparkd does not.
    """
    program = os.environ.get("LLAMA_SWAP")
    if not program:
        raise Unavailable("LLAMA_SWAP does not name a program")
    config = bench.folder / "llama-swap.yaml"
    config.write_text(
        f"logLevel: error\nstartPort: {find_free_port()}\nmodels:\n  m:\n    cmd: {bench.engine} ${{PORT}}\n"
        "    proxy: http://127.0.0.1:${PORT}\n    checkEndpoint: /health\n    concurrencyLimit: 1000\n"
    )
    with _proxy(lambda port: [program, "--config", config, "--listen", f"127.0.0.1:{port}"]) as running:
        yield running


CONTESTANTS: tuple[Callable[[Bench], AbstractContextManager[Running]], ...] = (
    direct,
    sparkd,
    before,
    llama_swap,
    nginx,
    plain,
    pipe,
)
