"""Pages of requests agree with a plain list: every filter, every order, every page."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from sparkd.usage.reader import UsageReader
from sparkd.usage.records import RequestRecord
from sparkd.usage.request_query import InvalidCursor, RequestQuery, sortable_columns
from tests.usage.recorded import NOW, ids, request, running_store

NAMES = ("qwen", "Qwen/Q2", "ünïcode", "50%_off", "")
records = st.builds(
    request,
    number=st.integers(0, 20),
    model=st.sampled_from(NAMES),
    client=st.sampled_from(("anonymous", "owner")),
    program=st.sampled_from(("", "cline")),
    status=st.sampled_from((200, 302, 404, 429, 499, 503)),
    tokens_in=st.none() | st.integers(0, 5),
    first_token_seconds=st.none() | st.floats(0, 2),
    seconds=st.floats(0, 3),
    rewrites=st.sampled_from(((), ("a",), ("a", "b"))),
)
queries = st.builds(
    RequestQuery,
    model=st.sampled_from(("", *NAMES)),
    client=st.sampled_from(("", "owner", "nobody")),
    status=st.sampled_from(("", "200", "error", "4xx", "5xx", "ok", "disconnected")),
    text=st.sampled_from(("", "q", "QWEN", "%", "_", "ünï", "req-0000", "owner")),
    since=st.none() | st.integers(0, 20).map(lambda number: NOW - 1000 + number),
    until=st.none() | st.integers(0, 20).map(lambda number: NOW - 1000 + number),
    sort=st.sampled_from(sortable_columns()),
    order=st.sampled_from(("asc", "desc")),
    limit=st.integers(1, 7),
)

CLASSES = {
    "error": lambda status: status >= 400 and status != 499,
    "4xx": lambda status: 400 <= status < 500,
    "5xx": lambda status: 500 <= status < 600,
    "ok": lambda status: status < 400,
    "disconnected": lambda status: status == 499,
}


def lower_ascii(text: str) -> str:
    """SQLite's lower() knows ASCII only."""
    return "".join(each.lower() if each.isascii() else each for each in text)


def matches(record: RequestRecord, query: RequestQuery) -> bool:
    names = (record.id, record.model, record.asked, record.client, record.program)
    return (
        (not query.model or record.model == query.model)
        and (not query.client or record.client == query.client)
        and (query.since is None or record.ended >= query.since)
        and (query.until is None or record.ended < query.until)
        and (not query.text or query.text.lower() in lower_ascii(" ".join(names)))
        and (
            not query.status
            or (
                CLASSES[query.status](record.status)
                if query.status in CLASSES
                else record.status == int(query.status)
            )
        )
    )


def expected(written: list[RequestRecord], query: RequestQuery) -> list[RequestRecord]:
    """The matching records in order, unknown values last."""

    def value(number: int) -> Any:
        found = getattr(written[number], query.sort)
        return " ".join(found) if isinstance(found, tuple) else found

    numbers = [number for number, record in enumerate(written) if matches(record, query)]
    known = sorted(
        (number for number in numbers if value(number) is not None),
        key=lambda number: (
            value(number).encode() if isinstance(value(number), str) else value(number),
            number,
        ),
        reverse=query.order == "desc",
    )
    unknown = sorted((number for number in numbers if value(number) is None), reverse=query.order == "desc")
    return [written[number] for number in [*known, *unknown]]


def read_all(reader: UsageReader, query: RequestQuery) -> tuple[list[RequestRecord], int | None]:
    """Every page; and the number of matches that the first one has."""
    page = reader.requests(query)
    found, matching = list(page.requests), page.matching
    while page.next:
        page = reader.requests(replace(query, before=page.next))
        assert page.requests
        found += page.requests
    return found, matching


@given(st.lists(records, max_size=25), st.lists(queries, min_size=5, max_size=10))
@settings(max_examples=40)
def test_all_pages_together_are_the_matching_requests_in_order(
    written: list[RequestRecord], asked: list[RequestQuery]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "usage.sqlite"
        with running_store(path) as store:
            store.add_requests(written)
            reader = UsageReader(path, store)
            for query in asked:
                found, matching = read_all(reader, query)
                assert found == expected(written, query)
                assert matching == len(found)


@pytest.fixture(scope="module")
def reader() -> Iterator[UsageReader]:
    with tempfile.TemporaryDirectory() as folder, running_store(Path(folder) / "usage.sqlite") as store:
        store.add_requests([request(number, seconds=number % 3) for number in range(10)])
        yield UsageReader(store.path, store)


def test_new_requests_do_not_move_the_pages(tmp_path: Path) -> None:
    with running_store(tmp_path / "usage.sqlite") as store:
        reader = UsageReader(store.path, store)
        store.add_requests([request(number) for number in range(6)])
        first = reader.requests(RequestQuery(limit=3))
        store.add_requests([request(number) for number in range(6, 9)])
        second = reader.requests(RequestQuery(limit=3, before=first.next or ""))
        assert [each.id for each in second.requests] == ["req-000002", "req-000001", "req-000000"]
        later = reader.requests(RequestQuery(after=first.latest, order="asc"))
        assert [each.id for each in later.requests] == ["req-000006", "req-000007", "req-000008"]


@pytest.mark.parametrize(
    "cursor", ["x", "!!!!", "W10", "WyJlbmRlZCIsImRlc2MiLDEsMTAwMDAwMDAwMDAwMDAwMDAwMDAwXQ"]
)
def test_a_cursor_that_no_page_had_is_rejected(reader: UsageReader, cursor: str) -> None:
    with pytest.raises(InvalidCursor):
        reader.requests(RequestQuery(before=cursor))


def test_a_cursor_of_another_order_is_rejected(reader: UsageReader) -> None:
    page = reader.requests(RequestQuery(limit=2, sort="seconds"))
    with pytest.raises(InvalidCursor):
        reader.requests(RequestQuery(limit=2, sort="ended", before=page.next or ""))


def test_requests_with_equal_values_are_on_one_page_each(reader: UsageReader) -> None:
    query = RequestQuery(sort="model", limit=1)
    found, _ = read_all(reader, query)
    assert len({each.id for each in found}) == 10


def test_a_search_text_is_not_a_pattern(reader: UsageReader) -> None:
    assert ids(reader, text="req-00000") != []
    assert ids(reader, text="%") == []
    assert ids(reader, text="' OR 1=1 --") == []
