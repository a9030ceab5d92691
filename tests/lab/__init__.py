"""A real systemd for tests: PID 1 of fresh namespaces over a copy of this machine that is thrown away."""

from tests.lab.lab import Lab

__all__ = ["Lab"]
