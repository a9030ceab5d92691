"""From a command line to an exit code."""

from __future__ import annotations

import io
import os
import sys
from importlib import import_module
from types import ModuleType

from sparkd.cli import exit_codes
from sparkd.cli.arguments import parse_arguments
from sparkd.cli.output.messages import print_error
from sparkd.errors import SparkdError


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code. `argv` is without the program's name; None: this process's.

    Each command is a module `sparkd.cli.<name>`, or `sparkd.cli.<name>.command` where it has several, with
    `run(arguments) -> int`. It is imported only when it runs: `sparkctl --help` needs no HTTP client and no table.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(
                errors="replace"
            )  # an engine's log on an ASCII terminal must not end in a trace
    arguments = parse_arguments(sys.argv[1:] if argv is None else argv)
    try:
        code: int = _import_command(arguments.command).run(arguments)
        sys.stdout.flush()
    except SparkdError as error:
        print_error(error, as_json=arguments.json)
        return exit_codes.exit_code_for(error)
    except KeyboardInterrupt:
        return exit_codes.INTERRUPTED
    except BrokenPipeError:
        # The reader (`| head`) has closed the pipe. Python flushes stdout again when it exits, and would report that.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exit_codes.BROKEN_PIPE
    return code


def _import_command(name: str) -> ModuleType:
    module = import_module(f"sparkd.cli.{name}")
    is_package = hasattr(module, "__path__")
    return import_module(f"sparkd.cli.{name}.command") if is_package else module
