"""Which requests for metrics need no API key: those of programs on this machine, and no others."""

from __future__ import annotations

import pytest

from sparkd.catalog.reading.keys import Keys
from sparkd.catalog.settings import Server
from sparkd.gateway.admission.access import Access
from sparkd.gateway.request_head import RequestHead


def head(remote: str = "127.0.0.1", **headers: str) -> RequestHead:
    """A request; `x_forwarded_for` is the header `x-forwarded-for`."""
    fields = {"host": "localhost:8009"} | {name.replace("_", "-"): value for name, value in headers.items()}
    return RequestHead(
        {
            "server": ("127.0.0.1", 8009),
            "client": (remote, 40000) if remote else None,
            "method": "GET",
            "raw_path": b"/metrics",
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in fields.items() if value],
        }
    )


def is_free(request: RequestHead) -> bool:
    return Access(Server(), Keys(), machine="spark").is_from_this_machine(request)


@pytest.mark.parametrize("remote", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize(
    "host", ["localhost:8009", "127.0.0.1", "[::1]:8009", "spark", "spark.local:8009", ""]
)
def test_a_program_on_this_machine_needs_no_key(remote: str, host: str) -> None:
    assert is_free(head(remote, host=host))


@pytest.mark.parametrize(
    "remote", ["192.168.1.5", "172.17.0.2", "::ffff:10.0.0.1", "fe80::1%eth0", "2001:db8::1", ""]
)
def test_another_machine_and_a_container_need_one(remote: str) -> None:
    assert not is_free(head(remote))


@pytest.mark.parametrize(
    "header", ["forwarded", "via", "x_forwarded_for", "x_forwarded_host", "x_forwarded_proto", "x_real_ip"]
)
def test_what_a_proxy_has_forwarded_needs_one(header: str) -> None:
    assert not is_free(head(**{header: "127.0.0.1"}))


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "http://localhost:3000"},
        {"origin": "null"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"host": "evil.example"},
        {"host": "evil.example:8009", "sec_fetch_site": "same-origin"},
        {"host": "a" * 400},
        {"host": "not a host"},
    ],
)
def test_a_page_in_a_browser_needs_one_also_by_a_name_that_was_rebound(headers: dict[str, str]) -> None:
    assert not is_free(head(**headers))


def test_the_owner_may_open_it_in_a_browser() -> None:
    assert is_free(head(sec_fetch_site="none"))
