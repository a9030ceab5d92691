"""From a command line to an exit code."""

from __future__ import annotations

import io
import os
import sys
from importlib import import_module

from sparkd.cli import exits
from sparkd.cli.arguments import parse
from sparkd.cli.output import complain
from sparkd.errors import SparkdError


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code. `argv` is without the program's name; None: this process's.

    Each command is a module `sparkd.cli.<name>` with `run(arguments) -> int`, imported only when it
    runs: `sparkctl --help` needs no HTTP client and no table.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(
                errors="replace"
            )  # an engine's log on an ASCII terminal must not end in a trace
    arguments = parse(sys.argv[1:] if argv is None else argv)
    try:
        code: int = import_module(f"sparkd.cli.{arguments.command}").run(arguments)
        sys.stdout.flush()
    except SparkdError as error:
        complain(error, as_json=arguments.json)
        return exits.code_of(error)
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except BrokenPipeError:
        # The reader (`| head`) has closed the pipe. Python flushes stdout again when it exits, and would report that.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exits.BROKEN_PIPE
    return code
