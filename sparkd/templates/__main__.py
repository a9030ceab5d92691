"""Reads chat templates: `python -m sparkd.templates`, a process of its own, because a template is a foreign program.

Stdin has a JSON array of TemplateLocations. Stdout has one line for each, in order, as soon as it is read: what the
template accepts, as JSON.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
from collections.abc import Mapping
from datetime import datetime
from types import FrameType
from typing import Any, Final, NoReturn

import msgspec
from jinja2 import TemplateError, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from sparkd.catalog.templates import UNKNOWN_TEMPLATE, Template
from sparkd.templates.files import load_template
from sparkd.templates.locations import TemplateLocation
from sparkd.templates.probes import TOOL, Render, read_template

TIME_LIMIT: Final = 2.0
"""Seconds for one template. A real one takes a hundredth of that."""

CPU_LIMIT: Final = 120
"""Seconds of processor time for all of them, should a template not be interruptible."""

MEMORY_LIMIT: Final = 1 << 30
"""Bytes of address space. A template can build a string of any size."""


class _GenerationBlock(Extension):
    """The blocks `{% generation %}` that mark an assistant's tokens for training; rendered as their content.

    https://huggingface.co/docs/transformers/chat_templating_writing
    """

    tags = {"generation"}  # noqa: RUF012 - as jinja2 declares it

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def main() -> None:
    """Read every template of stdin."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_LIMIT, CPU_LIMIT))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
    signal.signal(signal.SIGALRM, _interrupt)
    for location in msgspec.json.decode(sys.stdin.buffer.read(), type=list[TemplateLocation]):
        sys.stdout.buffer.write(msgspec.json.encode(read(location)) + b"\n")
        sys.stdout.buffer.flush()


def read(location: TemplateLocation) -> Template:
    """Find out what one template accepts; UNKNOWN_TEMPLATE if it is none, or takes too long or too much memory."""
    try:
        loaded = load_template(location)
        if loaded is None:
            return UNKNOWN_TEMPLATE
        signal.setitimer(signal.ITIMER_REAL, TIME_LIMIT)
        return read_template(loaded.text, compile_template(loaded.text, loaded.tokens))
    except Exception:  # noqa: BLE001 - a template may fail in any way
        return UNKNOWN_TEMPLATE
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def compile_template(text: str, tokens: Mapping[str, str]) -> Render:
    """Compile a template in the environment that transformers gives it. Raises TemplateError."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_GenerationBlock, "jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = _to_json
    environment.globals |= {"raise_exception": _raise, "strftime_now": _format_now}
    template = environment.from_string(text)

    def render(messages: Any, with_tool: bool) -> str | None:
        tools = [TOOL] if with_tool else None
        try:
            return template.render(messages=messages, tools=tools, add_generation_prompt=True, **tokens)
        except TimeoutError:
            raise
        except Exception:  # noqa: BLE001 - a template may fail in any way
            return None

    return render


def _to_json(value: Any, indent: int | None = None, ensure_ascii: bool = False, **options: Any) -> str:
    return json.dumps(value, indent=indent, ensure_ascii=ensure_ascii, **options)


def _raise(message: str) -> NoReturn:
    raise TemplateError(message)


def _format_now(form: str) -> str:
    return datetime.now().strftime(form)


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise TimeoutError


if __name__ == "__main__":
    main()
