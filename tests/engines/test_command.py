"""Any program as an engine, and what any engine's end says."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from sparkd.engines import ENGINES
from sparkd.engines.engine import Exit
from sparkd.errors import LaunchError
from tests.engines.examples import PORT, SOCKET, launch_context, model

engine = ENGINES["command"]


def example(*command: str, **keys: Any) -> Any:
    return model(engine="command", command=command, **keys)


def test_placeholders_are_filled_in_wherever_they_stand() -> None:
    words = ("llama-server", "-m", "{source}", "--addr={host}:{port}", "-c", "{context_length}", "{model}")
    one = example(*words, source="/weights", context_length=512, environment={"OLLAMA_HOST": "{host}:{port}"})
    command = engine.build_command(one, launch_context(address=PORT))
    assert command.argv == ("llama-server", "-m", "/weights", "--addr=127.0.0.1:20001", "-c", "512", "m")
    assert command.environment["OLLAMA_HOST"] == "127.0.0.1:20001"
    assert not engine.listens_on_socket(one)


def test_a_program_that_can_gets_a_socket() -> None:
    one = example("server", "--unix={socket}")
    assert engine.listens_on_socket(one)
    assert engine.build_command(one, launch_context()).argv == ("server", f"--unix={SOCKET.path}")


@pytest.mark.parametrize("kind", ENGINES)
def test_only_a_program_that_may_fetch_by_itself_gets_the_token_of_the_hub(kind: str) -> None:
    own = {"HF_TOKEN": "secret", "HF_TOKEN_PATH": "/secret", "HF_ENDPOINT": "http://mirror"}
    one = example("server", "{port}") if kind == "command" else model(engine=kind)
    command = ENGINES[kind].build_command(one, launch_context(address=PORT, inherited=own))
    found = {name: value for name, value in command.environment.items() if name in own}
    assert found == (own if kind == "command" else {"HF_ENDPOINT": "http://mirror"})
    assert not any("secret" in argument for argument in command.argv)


def test_other_braces_and_what_is_filled_in_stay_as_they_are() -> None:
    one = example("server", "{socket}", '{"a": {"b": 1}}', "{source}", source="/a{port}b")
    assert engine.build_command(one, launch_context()).argv[2:] == ('{"a": {"b": 1}}', "/a{port}b")


@pytest.mark.parametrize(
    ("command", "keys", "says"),
    [
        ((), {}, 'engine "command" needs a command'),
        (("server",), {}, "needs the address to listen on"),
        (("server", "{socket}", "{port}"), {}, "uses both"),
        (("server", "{port}", "{source}"), {"source": None}, "uses {source}, but it has no source"),
        (("server", "{port}", "{context_length}"), {}, "it has no context_length"),
        (("server", "{port}"), {"options": {"a": 1}}, "takes no options"),
    ],
)
def test_a_command_that_cannot_work_is_refused(command: tuple[str, ...], keys: Any, says: str) -> None:
    one = example(*command, **keys)
    [problem] = engine.find_problems(one)
    assert says in problem
    with pytest.raises(LaunchError, match="model m: "):
        engine.build_command(one, launch_context(address=PORT))


def test_its_environment_is_as_private_as_any_engines() -> None:
    inherited = {"HOME": "/home/me", "PATH": "/usr/bin", "SPARKD_KEY": "x"}
    one = example("server", "{port}", environment={"TMPDIR": "/tmp", "OWN": "{"})
    found = engine.build_command(one, launch_context(address=PORT, inherited=inherited)).environment
    assert found["HOME"] == "/home/me"
    assert found["TMPDIR"] == "/run/m.1"
    assert found["OWN"] == "{"
    assert "SPARKD_KEY" not in found


def test_nothing_is_read_into_the_lines_and_flags_of_a_program_we_do_not_know() -> None:
    assert engine.parse_milestone("Application startup complete.") is None
    assert engine.implied_footprint(example("server", "{port}"), 1) is None


@pytest.mark.parametrize(
    ("ended", "lines", "kind", "sentence"),
    [
        (
            Exit(0),
            [],
            "engine_died",
            "the engine exited by itself (exit code 0).",
        ),
        (Exit(1), [], "unknown", "the engine failed (exit code 1)."),
        (Exit(1), ["so", "long"], "unknown", "the engine failed (exit code 1): long"),
        (
            Exit(1),
            ["Traceback (most recent call last):", "builtins.KeyError: 'x'", "bye"],
            "unknown",
            "the engine failed (exit code 1): builtins.KeyError: 'x'",
        ),
        (
            Exit(1),
            ["(Core pid=3) ERROR 11-22 00:40:45 [core.py:1] ValueError: so long"],
            "unknown",
            "the engine failed (exit code 1): ValueError: so long",
        ),
        (Exit(127), ["sh: 1: exec: x: not found"], "launch_failed", "exec: x: not found"),
        (Exit(None, signal.SIGSEGV), ["so"], "engine_died", "the engine crashed (killed by SIGSEGV)."),
        (Exit(None, signal.SIGKILL), ["so"], "engine_died", "the engine was killed (SIGKILL)."),
        (Exit(None, signal.SIGILL), ["so"], "illegal_instruction", "(SIGILL)"),
        (Exit(None, 99), [], "engine_died", "signal 99"),
        (Exit(1), ["bind: Address already in use", "giving up"], "address_in_use", "is already in use."),
        (Exit(1), ["server: unrecognized arguments: --x"], "bad_option", "does not know --x."),
        (Exit(1), ["error: unknown option: -y"], "bad_option", "does not know -y."),
        (
            Exit(1),
            ["ModuleNotFoundError: No module named 'fastapi'"],
            "launch_failed",
            "module fastapi, which is missing.",
        ),
        (
            Exit(127),
            ["x: error while loading shared libraries: libcuda.so.1: cannot open shared object file"],
            "launch_failed",
            "library libcuda.so.1, which is missing.",
        ),
        (Exit(1), ["OSError: [Errno 28] No space left on device"], "disk_full", "the disk is full."),
        (Exit(None, signal.SIGABRT), ["terminate: std::bad_alloc"], "out_of_memory", "ran out of memory."),
    ],
)
def test_an_end_is_explained(ended: Exit, lines: list[str], kind: str, sentence: str) -> None:
    cause = engine.explain_exit(ended, lines)
    assert cause.kind == kind
    assert sentence in cause.sentence


def test_a_quoted_line_is_not_longer_than_a_sentence_may_be() -> None:
    assert len(engine.explain_exit(Exit(1), ["x" * 10_000]).sentence) < 400
