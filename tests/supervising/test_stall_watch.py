"""A start that hangs at its beginning is noticed; one that takes long later is not."""

from __future__ import annotations

import asyncio

from sparkd.engines.engine import Cause, Milestone
from sparkd.supervising.stall_watch import StallWatch

EARLY = ("configuration", "core")


def watch(*milestones: str, timeout: float = 0.05) -> Cause | None:
    """Return why a start has stalled that reaches these milestones at once, and then no other."""

    async def scenario() -> Cause | None:
        stall = StallWatch(EARLY, timeout)
        waiting = asyncio.ensure_future(stall.wait_until_stalled())
        for phase in milestones:
            stall.record_milestone(Milestone(phase))
            await asyncio.sleep(0)
        return await asyncio.wait_for(waiting, 5)

    return asyncio.run(scenario())


def test_a_start_without_a_milestone_stalls() -> None:
    assert watch() == Cause("engine_wedged", "it made no progress for 0 seconds.")


def test_a_start_that_hangs_in_an_early_phase_stalls() -> None:
    assert watch("configuration", "core") == Cause(
        "engine_wedged", 'it made no progress for 0 seconds after "core".'
    )


def test_a_start_that_is_past_its_early_phases_is_not_watched() -> None:
    assert watch("configuration", "core", "loading weights", timeout=60.0) is None
