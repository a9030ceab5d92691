"""Loopback ports for engines without a Unix socket."""

from __future__ import annotations

import socket

from sparkd.processes.ports import EPHEMERAL_RANGE, LOOPBACK, free_port


def test_no_port_comes_twice_though_nobody_has_bound_the_first_yet() -> None:
    ports = [free_port() for _ in range(300)]
    assert len(set(ports)) == 300


def test_the_kernel_gives_none_of_them_to_a_connection_of_somebody_else() -> None:
    assert free_port() < int(EPHEMERAL_RANGE.read_text().split()[0])


def test_a_port_in_use_is_passed_over() -> None:
    taken = free_port() + 1
    with socket.socket() as listening:
        listening.bind((LOOPBACK, taken))
        listening.listen()
        assert free_port() != taken
