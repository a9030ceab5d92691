"""What `vllm serve` thinks of a command line. Checked against vLLM 0.32.

Its parser knows the flags and most choices. The names in REGISTRIES it takes as they come: vLLM looks them up when the
model is loaded, minutes later. A registry that a version keeps elsewhere is not asked.
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
"""Where the names are that a flag may have. Each is a collection of names, or a function that returns one."""

PLUGINS = {"tool_call_parser": "tool_parser_plugin", "reasoning_parser": "reasoning_parser_plugin"}
"""Flags whose file may add names. The names of the others are good in capitals and in small letters."""

AUTOMATIC = frozenset({"auto"})
"""Lets vLLM choose, and is in few registries."""

BOUNDED = ("CacheConfig", "SchedulerConfig", "ParallelConfig", "LoadConfig")
"""Parts of vLLM's configuration with numbers within bounds, which are looked at when it is put together."""


class Engine:
    """`vllm serve`."""

    def __init__(self) -> None:
        serve = import_module("vllm.entrypoints.cli.serve")
        self._command = serve.cmd_init()[0]
        self._outer = serve.FlexibleArgumentParser(prog="vllm")
        self._inner = self._command.subparser_init(self._outer.add_subparsers(dest="subparser"))

    def version(self) -> str:
        """Of vLLM."""
        return f"vLLM {metadata.version('vllm')}"

    def parser(self) -> tuple[argparse.ArgumentParser, argparse.ArgumentParser]:
        """vLLM's, and its subcommand's."""
        return self._outer, self._inner

    def prepared(self, argv: list[str]) -> list[str]:
        """As it is: it begins with the subcommand."""
        return argv

    def refused(self, parsed: argparse.Namespace) -> Iterator[Refusal]:
        """Names that no registry has, numbers out of bounds, and what vLLM itself looks at after parsing."""
        yield from _unregistered(parsed)
        yield from self._out_of_bounds(parsed)
        yield from _speculation(parsed)
        if isinstance(getattr(parsed, "hf_overrides", None), str):  # or the name of a function, to the parser
            yield _flag("hf_overrides"), "expected JSON", ()
        self._command.validate(parsed)

    def unknown_variables(self, names: list[str]) -> Iterator[tuple[str, Sequence[str]]]:
        """Those that begin with VLLM_ and are not vLLM's."""
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
    """`--speculative-config`, which the parser takes for any JSON."""
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
    """The names a registry has now, None where this version has it elsewhere."""
    try:
        found: Any = import_module(module)
        for name in path.split("."):
            found = getattr(found, name)
    except (ImportError, AttributeError):
        return None
    return sorted(found() if callable(found) else found)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
