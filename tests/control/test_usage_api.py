"""GET /requests, /usage and /history, as a plain HTTP client sees them."""

from __future__ import annotations

import csv
import io
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from sparkd.control.errors import EXCEPTION_HANDLERS
from sparkd.control.usage import usage_routes
from sparkd.usage.days import local_day
from sparkd.usage.reader import UsageReader
from sparkd.usage.records import Occurrence
from sparkd.usage.store import UsageStore
from tests.usage.recorded import NOW, change, request, running_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[UsageStore]:
    with running_store(tmp_path / "usage.sqlite") as store:
        yield store


@pytest.fixture
def http(store: UsageStore) -> Iterator[TestClient]:
    # What is flushed has finished after the last batch.
    routes = usage_routes(UsageReader(store.path, store), lambda: store.add_requests([]), list)
    with TestClient(Starlette(routes=routes, exception_handlers=EXCEPTION_HANDLERS)) as client:
        yield client


def test_finished_requests_are_flushed_before_they_are_read(store: UsageStore) -> None:
    finished = [request(1)]

    def flush() -> None:
        store.add_requests(finished)
        finished.clear()

    routes = usage_routes(UsageReader(store.path, store), flush, list)
    with TestClient(Starlette(routes=routes)) as http:
        assert [each["id"] for each in http.get("/requests").json()["requests"]] == ["req-000001"]
        assert http.get("/usage").json()["total"]["requests"] == 1


def test_requests_are_filtered_sorted_and_paged(store: UsageStore, http: TestClient) -> None:
    store.add_requests(
        [request(number, seconds=float(number), status=200 + number % 2 * 303) for number in range(9)]
    )
    page = http.get("/requests", params={"status": "5xx", "sort": "seconds", "limit": 3}).json()
    assert [each["seconds"] for each in page["requests"]] == [7, 5, 3]
    assert (page["matching"], page["kept"], page["latest"]) == (4, 9, 9)
    rest = http.get(
        "/requests", params={"status": "5xx", "sort": "seconds", "limit": 3, "before": page["next"]}
    ).json()
    assert [each["seconds"] for each in rest["requests"]] == [1]
    assert (rest["next"], rest["matching"]) == (None, None)


def test_times_are_seconds_or_local_dates(store: UsageStore, http: TestClient) -> None:
    store.add_requests([request(1, ended=NOW - 86400 * 3), request(2, ended=NOW)])
    for since in (str(NOW - 86400), local_day(NOW - 86400)):
        assert len(http.get("/requests", params={"from": since}).json()["requests"]) == 1


@pytest.mark.parametrize(
    ("path", "param", "message"),
    [
        ("/requests?modle=x", "modle", 'did you mean "model"?'),
        ("/requests?sort=tokens", "sort", 'did you mean "tokens_'),
        ("/requests?order=up", "order", "use one of asc, desc"),
        ("/requests?status=eror", "status", 'did you mean "error"?'),
        ("/requests?status=2000", "status", "use a number such as 429"),
        ("/requests?limit=0", "limit", "a whole number from 1 to 1000"),
        ("/requests?limit=1001", "limit", "a whole number from 1 to 1000"),
        ("/requests?limit=٣", "limit", "a whole number"),
        ("/requests?after=-1", "after", "a whole number"),
        ("/requests?before=x", "before", "Leave it out for the first page"),
        ("/requests?from=1e99", "from", "seconds since the epoch"),
        ("/requests?to=nan", "to", "seconds since the epoch"),
        ("/requests?from=soon", "from", "or a date such as"),
        ("/usage?by=week", "by", "use one of day, month"),
        ("/usage?group=modell", "group", 'did you mean "model"?'),
        ("/history?from=20&to=10", "from", "must be before"),
        ("/history/summary?since=3", "since", "the parameters are"),
    ],
)
def test_an_error_names_the_parameter_and_a_valid_value(
    http: TestClient, path: str, param: str, message: str
) -> None:
    response = http.get(path)
    assert response.status_code == 400
    error = response.json()["error"]
    assert (error["param"], error["code"]) == (param, "invalid_request")
    assert message in error["message"]


def test_csv_has_every_page_and_no_formulas(store: UsageStore, http: TestClient) -> None:
    evil = ["=1+1", "+x", "-2", "@a", "\tx", 'quo"te', "com,ma", "new\nline", "ünï"]
    store.add_requests([request(number, asked=name) for number, name in enumerate(evil)])
    store.add_requests([request(number) for number in range(100, 2300)])
    response = http.get("/requests.csv", params={"order": "asc"})
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.headers["content-disposition"] == 'attachment; filename="sparkd-requests.csv"'
    rows = list(csv.reader(io.StringIO(response.text, newline="")))
    assert response.text.count("\r\n") >= len(rows) == 2210
    column = rows[0].index("asked")
    read = [row[column] for row in rows[1:10]]
    assert read == ["'=1+1", "'+x", "'-2", "'@a", "'\tx", 'quo"te', "com,ma", "new\nline", "ünï"]
    assert {len(row) for row in rows} == {len(rows[0])}
    assert rows[1][rows[0].index("tokens_in")] == ""


def test_usage_is_grouped_and_exported(store: UsageStore, http: TestClient) -> None:
    store.add_requests([request(1, client="owner", tokens_in=3, tokens_out=4), request(2)])
    report = http.get("/usage?by=month&group=client,model").json()
    assert report["group"] == ["model", "client"]
    assert {(row["client"], row["tokens_in"]) for row in report["rows"]} == {
        ("owner", 3),
        ("anonymous", None),
    }
    assert report["total"]["tokens_in"] == 3
    rows = list(csv.DictReader(io.StringIO(http.get("/usage.csv?group=client").text)))
    assert {(row["client"], row["tokens_in"]) for row in rows} == {("owner", "3"), ("anonymous", "")}


def test_the_history_has_lanes_sessions_and_what_else_happened(store: UsageStore, http: TestClient) -> None:
    began = store.session.began
    store.add_change(change(began + 0.001, "org/qwen", "starting", before="stopped"))
    store.add_change(change(began + 0.002, "org/qwen", "ready", before="starting", after=0.5))
    store.add_occurrence(Occurrence(at=began + 0.003, kind="downloaded", model="org/qwen"))
    history = http.get("/history").json()
    assert [span["state"] for span in history["lanes"][0]["spans"]] == [
        "unknown",
        "stopped",
        "starting",
        "ready",
    ]
    assert [each["end"] for each in history["sessions"]] == ["running"]
    one = http.get("/history/org/qwen").json()
    assert one == http.get("/history?model=org/qwen").json() | {
        "since": one["since"],
        "until": one["until"],
    } | {"spans": one["spans"]}
    assert (one["loads"]["loads"], one["loads"]["median_seconds"]) == (1, 0.5)
    assert one["occurrences"][0]["kind"] == "downloaded"
    summary = http.get("/history/summary").json()
    assert [day["loads"] for day in summary["days"]] == [1]
    assert http.get("/history/never-ran").json()["loads"]["loads"] == 0


def test_a_file_that_cannot_be_read_is_a_temporary_error(store: UsageStore, http: TestClient) -> None:
    store.add_requests([request(1)])
    assert http.get("/requests").status_code == 200
    with closing(sqlite3.connect(store.path)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    store.path.write_bytes(b"not a database" * 10_000)
    response = http.get("/requests")
    assert response.status_code == 503
    assert response.json()["error"]["code"] == "usage_unreadable"
