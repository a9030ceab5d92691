"""Checks a command line with the parser of `sglang serve`, which has every choice. Written for SGLang 0.5.23."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from importlib import import_module, metadata


class Engine:
    """`sglang serve`, and `python -m sglang.launch_server`."""

    def __init__(self) -> None:
        self._parser = argparse.ArgumentParser(prog="sglang serve")
        import_module("sglang.srt.server_args").ServerArgs.add_cli_args(self._parser)

    def version(self) -> str:
        """Name and version of SGLang."""
        return f"SGLang {metadata.version('sglang')}"

    def parser(self) -> tuple[argparse.ArgumentParser, argparse.ArgumentParser]:
        """SGLang's parser, twice: it has no subcommands."""
        return self._parser, self._parser

    def prepared(self, argv: list[str]) -> list[str]:
        """The flags. What precedes them is the program, and perhaps the model, which becomes a `--model-path`."""
        first = next((place for place, word in enumerate(argv) if word.startswith("--")), len(argv))
        models = [word for word in argv[:first] if word not in ("serve", "-m", "sglang.launch_server")]
        return [*(word for model in models for word in ("--model-path", model)), *argv[first:]]

    def refused(self, parsed: argparse.Namespace) -> Iterator[tuple[str, str, Sequence[str]]]:  # noqa: ARG002
        """Nothing: its other checks need the model."""
        return iter(())

    def unknown_variables(self, names: list[str]) -> Iterator[tuple[str, Sequence[str]]]:  # noqa: ARG002
        """Nothing: SGLang has no list of its variables."""
        return iter(())
