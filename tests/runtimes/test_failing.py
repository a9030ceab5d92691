from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparkd.errors import RuntimeBuildError
from sparkd.runtimes import find_installed
from tests.runtimes.tiny import Tiny, hash_of, make_wheel


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Tiny]:
    tiny = Tiny(tmp_path)
    yield tiny
    assert find_installed(tiny.runtime, tiny.root) is None
    assert not list(tiny.root.glob("tiny-*")), "a failed build leaves nothing"


def failure(tiny: Tiny, *, terminal: bool = False, **environment: str) -> str:
    with pytest.raises(RuntimeBuildError) as caught:
        tiny.build(terminal=terminal, **environment)
    return caught.value.message


def test_no_suitable_python_names_the_package_to_install(tiny: Tiny) -> None:
    tiny.define(tiny.lock, python=">=3.99")
    assert failure(tiny) == (
        "Runtime 'tiny' needs Python >=3.99, and this machine has none. "
        "Install one, for example with `sudo apt-get install python3.99`."
    )


def test_a_disk_that_is_too_small_is_reported_first(tiny: Tiny) -> None:
    tiny.define(tiny.lock, disk=2**60)
    assert "needs 1073741824.0 GiB on the disk" in failure(tiny)
    assert not tiny.lines


def test_a_file_that_is_not_the_pinned_one_is_refused(tiny: Tiny) -> None:
    other = make_wheel(tiny.place / "elsewhere", "tiny", "1.0", module="print('not what was locked')")
    tiny.define(f"tiny==1.0 --hash={hash_of(other)}\n")
    message = failure(tiny)
    assert message.startswith(
        "Cannot install the packages of runtime 'tiny': a file does not have the hash in the lock"
    )
    assert hash_of(other) in message


def test_a_hash_counts_even_beside_a_requirement_without_one(tiny: Tiny) -> None:
    make_wheel(tiny.wheels, "plain", "1.0")
    other = make_wheel(tiny.place / "elsewhere", "tiny", "1.0", module="print('not what was locked')")
    tiny.define(f"plain==1.0\ntiny==1.0 --hash={hash_of(other)}\n")
    assert "a file does not have the hash" in failure(tiny)


def test_an_unreachable_index_is_reported_as_a_missing_network(tiny: Tiny) -> None:
    tiny.define("absent==1.0\n")
    message = failure(tiny, UV_OFFLINE="0", UV_HTTP_RETRIES="0", PIP_INDEX_URL="http://127.0.0.1:1/simple")
    assert "cannot reach the package index; check the network" in message
    assert "127.0.0.1:1" in message


def test_a_package_that_is_nowhere_is_named(tiny: Tiny) -> None:
    tiny.define("tiny==7.0\n")
    assert "tiny==7.0" in failure(tiny)


def test_a_version_that_is_not_the_claimed_one_fails_the_build(tiny: Tiny) -> None:
    tiny.define(tiny.lock, versions={"tiny": "2.0", "torch": "1.0"})
    assert failure(tiny) == "Runtime 'tiny' is not valid: tiny is 1.0, not 2.0; torch is missing, not 1.0."


def test_a_module_that_does_not_import_fails_the_build(tiny: Tiny) -> None:
    tiny.define(tiny.lock, imports=("tiny", "absent"))
    message = failure(tiny)
    assert "cannot import tiny, absent" in message
    assert "ModuleNotFoundError: No module named 'absent'" in message


def test_a_smoke_command_that_fails_shows_its_last_lines(tiny: Tiny) -> None:
    tiny.define(tiny.lock, smoke=(("tiny", "--fail"),))
    assert failure(tiny) == (
        "Runtime 'tiny' was built, but `tiny --fail` failed: tiny failed (exit code 3)\n"
        "    first I looked\n    then I fell"
    )


def test_a_smoke_command_that_is_not_there_fails_the_build(tiny: Tiny) -> None:
    tiny.define(tiny.lock, smoke=(("absent",),))
    assert "(No such file or directory)" in failure(tiny)


def test_a_definition_without_its_lock_is_not_complete(tiny: Tiny) -> None:
    (tiny.runtime.folder / "requirements.lock").unlink()
    assert "is incomplete: cannot read" in failure(tiny)


def test_what_was_drawn_on_a_terminal_is_understood_as_well(tiny: Tiny) -> None:
    other = make_wheel(tiny.place / "elsewhere", "tiny", "1.0", module="print('not what was locked')")
    tiny.define(f"tiny==1.0 --hash={hash_of(other)}\n")
    message = failure(tiny, terminal=True, CLICOLOR_FORCE="1")
    assert "a file does not have the hash" in message
    assert "\x1b" not in message


def test_a_smoke_command_that_leaves_a_child_behind_does_not_block(tiny: Tiny) -> None:
    tiny.define(tiny.lock, smoke=(("tiny", "--leave"), ("tiny", "--fail")))
    assert "then I fell" in failure(tiny)


def test_ctrl_c_leaves_nothing(tiny: Tiny) -> None:
    tiny.define(tiny.lock, smoke=(("tiny",),))

    def interrupt(line: str) -> None:
        if line.startswith("Checking"):
            os.kill(os.getpid(), 2)

    tiny.lines = _Interrupting(interrupt)
    with pytest.raises(KeyboardInterrupt):
        tiny.build()


class _Interrupting(list[str]):
    def __init__(self, then: object) -> None:
        self.then = then

    def append(self, line: str) -> None:
        assert callable(self.then)
        self.then(line)
