"""A real systemd for tests: PID 1 of new namespaces, over a temporary copy of this machine."""

from tests.lab.lab import Lab

__all__ = ["Lab"]
