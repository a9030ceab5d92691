"""sparkctl's output on a terminal, and the same text without one.

Rich drops colour by itself when the output is not a terminal, and when NO_COLOR is set.
"""

from __future__ import annotations

import sys
from typing import Any

from rich.console import Console

PIPE_WIDTH = 10_000


def stdout_console() -> Console:
    """A console on stdout. In a pipe or a file its lines are as long as they need to be."""
    return _PlainConsole(
        width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False, markup=False, emoji=False
    )


def stderr_console() -> Console:
    """A console on stderr, for progress."""
    return _PlainConsole(stderr=True, highlight=False, markup=False, emoji=False)


class _PlainConsole(Console):
    """Passes a broken pipe to sparkctl, which has an exit code for it. Pipes and files get no trailing blanks."""

    def print(self, *objects: Any, **options: Any) -> None:
        if self.is_terminal:
            super().print(*objects, **options)
            return
        with self.capture() as captured:
            super().print(*objects, **options)
        self.file.writelines(f"{line.rstrip()}\n" for line in captured.get().splitlines())
        self.file.flush()

    def on_broken_pipe(self) -> None:
        self.quiet = True
        raise BrokenPipeError
