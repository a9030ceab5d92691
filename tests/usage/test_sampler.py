"""Measurements over time: 5 seconds in memory, minutes in the database, and gaps that stay gaps."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest

from sparkd.usage.columns import recent_columns
from sparkd.usage.recent import Clock
from sparkd.usage.records import Measurement, RequestRecord
from sparkd.usage.sampler import Sampler
from sparkd.usage.token_rates import RunningRequest
from tests.usage.measured import Laboratory, Machine, MinuteTable


@pytest.fixture
def lab(tmp_path: Path) -> Laboratory:
    return Laboratory(tmp_path)


def available(lab: Laboratory, span: float = 1200) -> list[float | None]:
    return list(recent_columns(lab.sampler.recent, lab.clock, span).available)


def finished(lab: Laboratory, **values: object) -> RequestRecord:
    fields: dict[str, object] = {
        "ended": lab.clock.epoch, "id": "a", "model": "m", "asked": "m", "endpoint": "/v1/chat/completions",
        "status": 200, "seconds": 10.0, "first_token_seconds": 0.0, "tokens_in": 0, "tokens_out": 100,
    }  # fmt: skip
    return RequestRecord(**(fields | values))  # type: ignore[arg-type]


def test_twenty_minutes_are_kept_in_steps_of_five_seconds(lab: Laboratory) -> None:
    lab.pass_time(1300)
    columns = recent_columns(lab.sampler.recent, lab.clock, 1200)
    assert len(columns.at) == 240
    assert {after - before for before, after in pairwise(columns.at)} == {5.0}
    assert columns.at[-1] == lab.clock.epoch
    assert columns.available == [8_000_000_000] * 240
    assert columns.gpu == [None] * 240
    assert lab.sampler.recent.at(int(lab.clock.steady // 5) - 240, lab.clock) is None


def test_each_minute_is_kept_as_means_of_what_is_known(lab: Laboratory) -> None:
    lab.sleep(60 - lab.clock.epoch % 60)
    lab.sampler.take()
    lab.pass_time(30)
    lab.machine.shown = Measurement(at=0.0, available=4e9, power=30.0)
    lab.pass_time(95)
    minute = lab.clock.epoch // 60 * 60
    assert lab.store.column("available")[minute - 60] == pytest.approx(6e9)
    assert lab.store.column("power") == {minute - 120: None, minute - 60: 30.0, minute: 30.0}


def test_a_machine_that_slept_and_a_blocked_program_leave_gaps(lab: Laboratory) -> None:
    lab.pass_time(60)
    lab.sleep(100)
    lab.pass_time(30)
    assert available(lab, 190) == [8_000_000_000] * 12 + [None] * 20 + [8_000_000_000] * 6
    lab.sleep(3.0)
    lab.sampler.take()  # too late: what it measures belongs to the next interval
    lab.sleep(2.0)
    lab.sampler.take()
    assert available(lab, 10) == [8_000_000_000] * 2


def test_a_clock_that_is_set_moves_the_labels_and_nothing_else(lab: Laboratory) -> None:
    lab.pass_time(100)
    for seconds in (-3600.0, 7200.0, 86400.0 * 365, -86400.0 * 365):
        lab.set_clock(seconds)
        lab.pass_time(10)
        columns = recent_columns(lab.sampler.recent, lab.clock, 100)
        assert columns.available == [8_000_000_000] * 20
        assert columns.at[-1] == pytest.approx(lab.clock.epoch)
    lab.set_clock(-3600)
    lab.pass_time(120)
    assert lab.clock.epoch // 60 * 60 in lab.store.column("available")


def test_a_long_response_that_ends_corrects_minutes_that_were_already_kept(lab: Laboratory) -> None:
    lab.sleep(60 - lab.clock.epoch % 60)
    lab.pass_time(180)
    kept = lab.store.column("tokens_out")
    assert set(kept.values()) == {0.0}
    lab.sampler.on_finished([finished(lab, seconds=180.0, tokens_out=1800)])
    lab.pass_time(60)
    assert list(lab.store.column("tokens_out").values())[-3:] == pytest.approx([10.0] * 3)
    assert max(lab.store.column("peak_out").values(), key=lambda value: value or 0) == pytest.approx(10.0)


def test_running_requests_are_seen_before_they_end(lab: Laboratory) -> None:
    for tokens in (100, 200, 300):
        lab.machine.requests = [RunningRequest("a", tokens)]
        lab.pass_time(5)
    assert recent_columns(lab.sampler.recent, lab.clock, 15).tokens_out == [20.0] * 3
    lab.machine.requests = []
    lab.sampler.on_finished([finished(lab, seconds=15.0, tokens_out=330)])
    assert recent_columns(lab.sampler.recent, lab.clock, 15).tokens_out == pytest.approx([22.0] * 3)


def test_a_replaced_program_continues_and_leaves_no_gap_but_its_own(lab: Laboratory) -> None:
    lab.sleep(60 - lab.clock.epoch % 60)
    lab.pass_time(35)
    lab.sampler.on_finished([finished(lab, seconds=5.0, tokens_out=50)])
    before = recent_columns(lab.sampler.recent, lab.clock, 35)
    lab.sampler.close()
    assert lab.file.exists()
    lab.restart("boot")
    assert not lab.file.exists()
    assert recent_columns(lab.sampler.recent, lab.clock, 35) == before
    lab.sleep(10)
    lab.pass_time(20)
    assert available(lab, 30) == [None, None, *[8_000_000_000] * 4]
    # The minute in which it was replaced is kept as a whole.
    assert list(lab.store.column("tokens_out").values())[-1] == pytest.approx(50 / 5 / 10)


def test_another_boot_and_a_damaged_file_begin_anew(lab: Laboratory) -> None:
    lab.pass_time(60)
    lab.sampler.close()
    lab.restart("another boot")
    assert set(available(lab)) == {None}
    lab.file.write_bytes(b"\x00nonsense")
    lab.restart("boot")
    assert set(available(lab)) == {None}


def test_a_folder_that_cannot_be_written_to_is_no_failure(tmp_path: Path) -> None:
    lab = Laboratory(tmp_path / "missing")
    lab.pass_time(5)
    lab.sampler.close()


def test_it_measures_at_the_end_of_each_interval(tmp_path: Path) -> None:
    now = Clock(1002.0, 1_790_000_002.0)
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        nonlocal now
        pauses.append(seconds)
        if len(pauses) > 3:
            raise asyncio.CancelledError
        now = Clock(now.steady + seconds, now.epoch + seconds)

    sampler = Sampler(Machine(), MinuteTable(), tmp_path / "recent", "b", clock=lambda: now, sleep=sleep)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(sampler.run())
    assert pauses == [3.0, 5.0, 5.0, 5.0]
    assert recent_columns(sampler.recent, now, 20).available == [None, *[8_000_000_000] * 3]
