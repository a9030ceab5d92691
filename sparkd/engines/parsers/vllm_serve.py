"""Checks a command line with the parser of `vllm serve`. Written for vLLM 0.32.

The parser has the flags and most choices, but accepts any name from REGISTRIES: vLLM looks these up when it loads the
model, minutes later. A registry that a version does not have at this place is skipped.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from importlib import import_module, metadata
from typing import Annotated, Any, get_args

Refusal = tuple[str, str, Sequence[str]]

REGISTRIES = {
    "tool_call_parser": ("vllm.tool_parsers", "ToolParserManager.list_registered"),
    "reasoning_parser": ("vllm.reasoning", "ReasoningParserManager.list_registered"),
    "attention_backend": ("vllm.v1.attention.backends.registry", "AttentionBackendEnum.__members__"),
    "mamba_backend": ("vllm.config.mamba", "MambaBackendEnum.__members__"),
    "quantization": ("vllm.model_executor.layers.quantization", "QUANTIZATION_METHODS"),
    "load_format": ("vllm.model_executor.model_loader", "_LOAD_FORMAT_TO_MODEL_LOADER"),
    "tokenizer_mode": ("vllm.tokenizers.registry", "TokenizerRegistry.tokenizers"),
}
"""Where the valid names of a flag are. Each is a collection of names, or a function that returns one."""

PLUGINS = {"tool_call_parser": "tool_parser_plugin", "reasoning_parser": "reasoning_parser_plugin"}
"""Flags whose plugin file may add names. The names of other flags are not case-sensitive."""

AUTOMATIC = frozenset({"auto"})
"""Names that let vLLM choose; few registries have them."""

BOUNDED = ("CacheConfig", "SchedulerConfig", "ParallelConfig", "LoadConfig")
"""Parts of vLLM's configuration that check the bounds of numbers when they are created."""


class Engine:
    """`vllm serve`."""

    def __init__(self) -> None:
        serve = import_module("vllm.entrypoints.cli.serve")
        self._command = serve.cmd_init()[0]
        self._outer = serve.FlexibleArgumentParser(prog="vllm")
        self._inner = self._command.subparser_init(self._outer.add_subparsers(dest="subparser"))

    def version(self) -> str:
        """Name and version of vLLM."""
        return f"vLLM {metadata.version('vllm')}"

    def parser(self) -> tuple[argparse.ArgumentParser, argparse.ArgumentParser]:
        """vLLM's parser, and that of its subcommand."""
        return self._outer, self._inner

    def prepared(self, argv: list[str]) -> list[str]:
        """Unchanged: it starts with the subcommand."""
        return argv

    def refused(self, parsed: argparse.Namespace) -> Iterator[Refusal]:
        """Names that no registry has, numbers out of bounds, and what vLLM checks after parsing."""
        yield from _unregistered(parsed)
        yield from self._out_of_bounds(parsed)
        yield from _speculation(parsed)
        if isinstance(getattr(parsed, "hf_overrides", None), str):  # or the name of a function, to the parser
            yield _flag("hf_overrides"), "expected JSON", ()
        self._command.validate(parsed)

    def unknown_variables(self, names: list[str]) -> Iterator[tuple[str, Sequence[str]]]:
        """Those that begin with VLLM_ and that vLLM does not know."""
        known = _registry("vllm.envs", "environment_variables")
        for name in names:
            if known and name.startswith("VLLM_") and name not in known:
                yield name, known

    def _out_of_bounds(self, parsed: argparse.Namespace) -> Iterator[Refusal]:
        try:
            pydantic, config = import_module("pydantic"), import_module("vllm.config")
        except ImportError:  # versions of 2024 and before
            return
        for part in BOUNDED:
            for name, field in getattr(getattr(config, part, None), "__pydantic_fields__", {}).items():
                value = getattr(parsed, name, None)
                if not field.metadata or value is None or value == self._inner.get_default(name):
                    continue
                try:
                    pydantic.TypeAdapter(Annotated[field.annotation, *field.metadata]).validate_python(value)
                except pydantic.ValidationError as error:
                    yield _flag(name), error.errors()[0]["msg"], ()


def _unregistered(parsed: argparse.Namespace) -> Iterator[Refusal]:
    for name, (module, path) in REGISTRIES.items():
        value = getattr(parsed, name, None)
        known = _registry(module, path) if isinstance(value, str) and value else None
        if known is None or value in known or getattr(parsed, PLUGINS.get(name, ""), None):
            continue
        folded = set() if name in PLUGINS else AUTOMATIC | {one.casefold() for one in known}
        if str(value).casefold() not in folded:
            yield _flag(name), "", known


def _speculation(parsed: argparse.Namespace) -> Iterator[Refusal]:
    """`--speculative-config`, for which the parser accepts any JSON."""
    given = getattr(parsed, "speculative_config", None)
    keys = _registry("vllm.config", "SpeculativeConfig.__dataclass_fields__")
    if not isinstance(given, dict) or keys is None:
        return
    for key in given:
        if key not in keys:
            yield _flag("speculative_config"), f"has no key {key!r}", ()
    methods = get_args(getattr(import_module("vllm.config.speculative"), "SpeculativeMethod", None))
    if methods and given.get("method") not in (None, *methods):
        yield _flag("speculative_config"), f"has no method {given['method']!r}", ()


def _registry(module: str, path: str) -> list[str] | None:
    """The names in a registry; None if this version has it at another place."""
    try:
        found: Any = import_module(module)
        for name in path.split("."):
            found = getattr(found, name)
    except (ImportError, AttributeError):
        return None
    return sorted(found() if callable(found) else found)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
