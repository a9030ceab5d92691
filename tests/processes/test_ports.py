"""Loopback ports for engines without a Unix socket."""

from __future__ import annotations

import socket

from sparkd.processes.ports import EPHEMERAL_RANGE, LOOPBACK, find_free_port


def test_no_port_is_returned_twice_even_before_it_is_bound() -> None:
    ports = [find_free_port() for _ in range(300)]
    assert len(set(ports)) == 300


def test_the_kernel_assigns_none_of_them_to_an_outgoing_connection() -> None:
    assert find_free_port() < int(EPHEMERAL_RANGE.read_text().split()[0])


def test_a_port_in_use_is_skipped() -> None:
    taken = find_free_port() + 1
    with socket.socket() as listening:
        listening.bind((LOOPBACK, taken))
        listening.listen()
        assert find_free_port() != taken
