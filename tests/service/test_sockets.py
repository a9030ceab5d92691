"""Listening sockets on several addresses."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from sparkd.errors import ListenError
from sparkd.service.sockets import format_address, listen_tcp


@contextmanager
def listening(*addresses: tuple[str, int]) -> Iterator[list[socket.socket]]:
    listeners = listen_tcp(addresses)
    try:
        yield listeners
    finally:
        for listener in listeners:
            listener.close()


def is_open(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError:
        return False
    return True


def test_each_address_is_opened_and_a_free_port_is_the_same_for_all() -> None:
    with listening(("127.0.0.1", 0), ("::1", 0)) as listeners:
        port = listeners[0].getsockname()[1]
        assert [format_address(listener) for listener in listeners] == [f"127.0.0.1:{port}", f"[::1]:{port}"]
        assert is_open("127.0.0.1", port)
        assert is_open("::1", port)


def test_a_taken_address_is_named_and_no_other_stays_open() -> None:
    with closing(socket.create_server(("::1", 0), family=socket.AF_INET6)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match=rf"^\[::1\]:{port} is in use by another program"):
            listen_tcp((("127.0.0.1", port), ("::1", port)))
        assert not is_open("127.0.0.1", port)


def test_an_address_that_this_machine_does_not_have_is_named() -> None:
    with pytest.raises(ListenError, match=r"^cannot listen on 192\.0\.2\.1:8009: Cannot assign"):
        listen_tcp((("127.0.0.1", 0), ("192.0.2.1", 8009)))


def test_every_address_of_ipv6_includes_those_of_ipv4_unless_they_are_listed_too() -> None:
    with listening(("::", 0)) as (listener,):
        assert is_open("127.0.0.1", listener.getsockname()[1])
    with listening(("0.0.0.0", 0), ("::", 0)) as (four, six):
        assert four.getsockname()[1] == six.getsockname()[1]
        assert is_open("::1", six.getsockname()[1])
