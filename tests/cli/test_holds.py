"""`sparkctl hold`, `holds` and `release` against a served stand-in."""

from __future__ import annotations

import getpass
import json
import re

import pytest

from sparkd.scheduling.hold import HoldStatus
from tests.cli.running import sparkctl
from tests.control.fake_supervisor import FakeDaemon


def test_a_hold_from_its_begin_to_its_end(served: FakeDaemon) -> None:
    socket = ("--socket", served.socket)
    begun = sparkctl("hold", "coder", "--for", "1h30m", "--job", "a demo", "--reason", "guests", *socket)
    assert begun.code == 0
    assert re.fullmatch(
        r"qwen is held until [\w: ]+\. End that with `sparkctl release hold-0`\.\n", begun.out
    )
    (hold,) = served.supervisor.holds.all()
    assert (hold.owner, hold.job, hold.reason) == (getpass.getuser(), "a demo", "guests")
    lines = sparkctl("holds", *socket).out.splitlines()
    assert lines[0].split() == ["HOLD", "MODEL", "UNTIL", "LEFT", "OWNER", "JOB", "REASON"]
    assert lines[1].startswith("hold-0  qwen")
    assert lines[1].endswith("a demo  guests")
    (listed,) = json.loads(sparkctl("--json", "holds", *socket).out)
    assert 5390 < listed["seconds_left"] <= 5400
    assert sparkctl("release", "hold-0", *socket).out == "qwen is no longer held by hold-0\n"
    assert sparkctl("holds", *socket).out == "No model is held.\n"
    assert sparkctl("release", "hold-0", *socket).code == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "--for"),
        (("--for", "soon"), "2h"),
        (("--for", "0"), "2h"),
        (("--until", "soon"), "18:00"),
        (("--until", "2001-01-01T00:00"), "18:00"),
        (("--for", "1h", "--until", "18:00"), "not allowed"),
    ],
)
def test_the_time_of_a_hold_is_checked(arguments: tuple[str, ...], message: str) -> None:
    result = sparkctl("hold", "qwen", *arguments)
    assert result.code == 2
    assert message in result.err


def test_the_status_shows_for_how_long_a_model_is_held(served: FakeDaemon) -> None:
    hold = HoldStatus(id="hold-1", model="qwen", seconds_left=3600.0)
    served.supervisor.set("qwen", state="ready", holds=(hold,))
    assert "held 1 h" in sparkctl("status", "--socket", served.socket).out


def test_a_hold_of_a_model_that_does_not_exist(served: FakeDaemon) -> None:
    result = sparkctl("hold", "qwem", "--for", "1h", "--socket", served.socket)
    assert result.code == 4
    assert "qwen" in result.err
