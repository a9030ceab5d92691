"""Which requests are convicted of making an engine fail, and which never are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sparkd.scheduling.suspects import (
    MAX_CONVICTIONS,
    MAX_CRASHES,
    MAX_SUSPECTS,
    MEMORY,
    Conviction,
    CrashRecord,
    Suspect,
)

HOUR = 3600.0


def a_record(suspect_after: int = 2) -> CrashRecord:
    return CrashRecord(suspect_after, HOUR)


def plain(name: str) -> Suspect:
    """An ordinary request: it has no shape."""
    return Suspect(name.encode(), len(name), request_id=name)


def shaped(name: str, shape: str = "grammar") -> Suspect:
    return Suspect(name.encode(), len(name), shape.encode(), (shape,), request_id=name)


def digests(convictions: list[Conviction]) -> list[bytes]:
    return [each.digest for each in convictions]


def is_rejected(record: CrashRecord, suspect: Suspect) -> bool:
    return record.find_conviction(suspect.exact, suspect.shape) is not None


def test_a_request_alone_at_two_failures_is_convicted() -> None:
    record, poison = a_record(), plain("poison")
    assert record.record_crash([poison], 0.0) == []
    (conviction,) = record.record_crash([poison], 10.0)
    assert (conviction.digest, conviction.level, conviction.crashes) == (b"poison", "exact", 2)
    assert is_rejected(record, poison)
    assert not is_rejected(record, plain("other"))


def test_a_hundred_copies_of_one_request_are_alone() -> None:
    record = a_record()
    record.record_crash([plain("poison")] * 100, 0.0)
    assert digests(record.record_crash([plain("poison")] * 100, 1.0)) == [b"poison"]


def test_one_failure_convicts_nothing() -> None:
    record = a_record()
    assert record.record_crash([plain("innocent")], 0.0) == []
    assert not is_rejected(record, plain("innocent"))


def test_failures_with_different_requests_convict_nothing() -> None:
    """An engine that fails by itself, or that someone kills again and again."""
    record = a_record()
    assert not any(record.record_crash([plain(f"chat {number}")], number) for number in range(100))


def test_the_only_request_that_was_always_there_is_convicted() -> None:
    record = a_record()
    record.record_crash([plain("poison"), plain("a"), plain("b")], 0.0)
    assert digests(record.record_crash([plain("poison"), plain("c")], 1.0)) == [b"poison"]


def test_two_requests_that_were_always_there_are_not_convicted() -> None:
    record, both = a_record(), [plain("poison"), plain("innocent")]
    assert not any(record.record_crash(both, number) for number in range(5))


def test_an_answer_acquits_and_leaves_the_other_one() -> None:
    record, both = a_record(), [plain("poison"), plain("innocent")]
    record.record_crash(both, 0.0)
    assert record.is_suspect(b"innocent")
    record.acquit(b"innocent", None)
    assert not record.is_suspect(b"innocent")
    assert digests(record.record_crash(both, 1.0)) == [b"poison"]


def test_a_request_that_was_answered_in_between_is_not_convicted() -> None:
    record, innocent = a_record(), plain("innocent")
    for number in range(10):
        assert record.record_crash([innocent], number) == []
        record.acquit(innocent.exact, None)


def test_a_client_that_changes_the_wording_is_no_reason_to_convict_who_repeats() -> None:
    record = a_record()
    record.record_crash([shaped("poison 1"), plain("innocent")], 0.0)
    assert record.record_crash([shaped("poison 2"), plain("innocent")], 1.0) == []
    assert digests(record.record_crash([shaped("poison 3"), plain("innocent")], 2.0)) == [b"grammar"]


def test_a_shape_needs_one_failure_more() -> None:
    record = a_record()
    assert record.record_crash([shaped("poison 1")], 0.0) == []
    assert record.record_crash([shaped("poison 2")], 1.0) == []
    (conviction,) = record.record_crash([shaped("poison 3")], 2.0)
    assert (conviction.level, conviction.fields) == ("shape", ("grammar",))
    assert is_rejected(record, shaped("poison 4"))
    assert not is_rejected(record, shaped("chat", "tools"))
    assert not is_rejected(record, plain("chat"))


def test_a_shape_that_was_answered_is_not_convicted() -> None:
    record = a_record()
    for number in range(10):
        assert record.record_crash([shaped(f"agent {number}", "tools")], number) == []
        record.acquit(b"another", b"tools")


def test_an_unknown_request_in_flight_proves_nothing() -> None:
    record = a_record()
    assert not any(record.record_crash([plain("a")], number, is_complete=False) for number in range(5))


def test_a_failure_and_a_conviction_are_forgotten_after_an_hour() -> None:
    record, poison = a_record(), plain("poison")
    record.record_crash([poison], 0.0)
    assert record.record_crash([poison], MEMORY) == []
    record.record_crash([poison], MEMORY + 1.0)
    assert is_rejected(record, poison)
    assert not record.expire(MEMORY + HOUR)
    assert record.expire(MEMORY + HOUR + 1.0)
    assert not is_rejected(record, poison)


def test_a_failure_is_forgiven_again_only_after_an_answer() -> None:
    """If every request ends the engine, the model must get into quarantine."""
    record = a_record()
    assert record.forgive()
    assert not record.forgive()
    record.record_answer()
    assert record.forgive()


def test_after_one_failure_if_the_owner_says_so() -> None:
    assert digests(a_record(1).record_crash([plain("poison")], 0.0)) == [b"poison"]
    assert a_record(1).record_crash([plain("poison"), plain("innocent")], 0.0) == []


def test_memory_is_bounded() -> None:
    record = a_record(1)
    for number in range(MAX_CONVICTIONS * 2):
        record.record_crash([plain(f"poison {number}")], 0.0)
    assert len(list(record.convictions)) == MAX_CONVICTIONS
    crowd = [plain(f"chat {number}") for number in range(MAX_SUSPECTS + 1)]
    assert not any(record.record_crash(crowd, 0.0) for _ in range(2 * MAX_CRASHES))
    assert not record.is_suspect(crowd[-1].exact)


@given(
    rounds=st.lists(
        st.tuples(st.sets(st.integers(0, 5), max_size=4), st.booleans(), st.sets(st.integers(0, 5))),
        max_size=30,
    ),
    suspect_after=st.integers(1, 4),
)
def test_whatever_happens_innocents_that_are_answered_are_never_convicted(
    rounds: list[tuple[set[int], bool, set[int]]], suspect_after: int
) -> None:
    """Clients repeat what was in flight at a failure. Innocents are answered in the end, the poison never is."""
    record = a_record(suspect_after)
    poison = plain("poison")
    failures: dict[bytes, int] = {}
    for now, (present, is_poisoned, answered) in enumerate(rounds):
        if is_poisoned and not is_rejected(record, poison):
            suspects = [plain(str(number)) for number in sorted(present)] + [poison]
            for each in suspects:
                failures[each.exact] = failures.get(each.exact, 0) + 1
            for conviction in record.record_crash(suspects, float(now)):
                assert failures[conviction.digest] >= suspect_after
        for number in answered:
            failures.pop(str(number).encode(), None)
            record.acquit(str(number).encode(), None)
    convicted = {each.digest for each in record.convictions}
    assert all(failures.get(digest, 0) >= suspect_after for digest in convicted - {b"poison"})


@given(crowd=st.sets(st.integers(0, 20)), newcomers=st.sets(st.integers(30, 50)), is_early=st.booleans())
def test_suspects_that_run_one_at_a_time_leave_only_the_poison(
    crowd: set[int], newcomers: set[int], is_early: bool
) -> None:
    """What the supervisor does after a failure: each suspect is repeated alone among the suspects."""
    record, poison = a_record(), plain("poison")
    record.record_crash([plain(str(number)) for number in sorted(crowd)] + [poison], 0.0)
    for number in () if is_early else sorted(crowd):  # their turns come before the poison's
        record.acquit(str(number).encode(), None)
    convicted = record.record_crash([poison, *(plain(str(number)) for number in sorted(newcomers))], 1.0)
    assert digests(convicted) == [b"poison"]
