"""sparkctl: an operator's commands. Those about running models talk to the daemon's control API only."""

from sparkd.cli.entry import main

__all__ = ["main"]
