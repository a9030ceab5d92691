"""sparkctl: the operator's commands. Commands about running models use only the daemon's control API."""

from sparkd.cli.entry import main

__all__ = ["main"]
