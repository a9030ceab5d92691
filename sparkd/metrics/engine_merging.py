"""Joins the metrics of several engines to one text in Prometheus's format.

All lines of a family are together, and its type and description come once. Names and labels stay as they are, and
every sample gets the label `model_name` with the model's id: where it is missing, and where it says something else,
which is then kept as `exported_model_name`. An engine whose text is invalid is left out, one that contradicts others or
itself loses those samples. Timestamps are dropped. Call from a thread: it needs 20 microseconds a sample.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from msgspec import Struct, field

from sparkd.metrics.exposition import format_number

if TYPE_CHECKING:
    from prometheus_client import Metric
    from prometheus_client.samples import Sample

MAX_LINE: Final = 8192
"""Characters of a line. The parser needs time in the square of its length."""

MAX_LINES: Final = 50_000
"""Lines of an engine's text."""

MAX_SECONDS: Final = 1.0
"""Seconds to parse the text of one engine."""

UP: Final = "sparkd_engine_up"

MODEL_LABEL: Final = "model_name"

_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL: Final = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
_PLAIN_COUNTER: Final = re.compile(r"#\s*TYPE\s+(\S+)(?<!_total)\s+counter\s*")


class Merged(Struct, frozen=True):
    """The text, and what was wrong with the metrics of models, by their ids."""

    body: bytes
    problems: dict[str, str]


class _Family(Struct):
    """A family in the text: its type, its description, and its lines."""

    kind: str
    help: str
    lines: list[str] = field(default_factory=list)


def merge(texts: Mapping[str, bytes], failed: Iterable[str] = ()) -> Merged:
    """Join the texts of engines, by the ids of their models. `failed` are models whose engines sent none."""
    families: dict[str, _Family] = {}
    problems: dict[str, str] = {}
    for model, text in texts.items():
        try:
            found = list(_parse(text))
        except Exception as error:  # noqa: BLE001 - the parser raises many kinds for what an engine may send
            problems[model] = f"its metrics are not in Prometheus's text format: {str(error)[:200]}"
            continue
        if problem := _Engine(model, families).add(found):
            problems[model] = problem
    up = _Family(
        "gauge", "Whether the metrics of the model's engine are here, without a part that is missing (1)."
    )
    states = {**dict.fromkeys(texts, 1), **dict.fromkeys((*problems, *failed), 0)}
    up.lines = [f"{UP}{_format_labels({MODEL_LABEL: model})} {state}\n" for model, state in states.items()]
    written = "".join(_write(name, family) for name, family in (families | {UP: up}).items())
    return Merged(written.encode(), problems)


def _write(name: str, family: _Family) -> str:
    described = family.help.replace("\\", r"\\").replace("\n", r"\n")
    head = f"# HELP {name} {described}\n" if described else ""
    return "".join((head, f"# TYPE {name} {family.kind}\n", *family.lines)) if family.lines else ""


def _parse(text: bytes) -> Iterator[tuple[str, Metric]]:
    """The families with the names that the engine gave them. Raises ValueError, and what else the parser raises."""
    from prometheus_client.parser import text_fd_to_metric_families  # noqa: PLC0415

    lines = text.decode().split("\n")
    if lines.pop() != "":
        raise ValueError("the last line is incomplete")
    plain_counters = {found[1] for line in lines if (found := _PLAIN_COUNTER.fullmatch(line))}
    for metric in text_fd_to_metric_families(_limit(lines)):  # type: ignore[arg-type]  # only iterates
        name = metric.name
        if metric.type == "counter":
            # The parser appends `_total` to the names of counters.
            if name in plain_counters:
                metric.samples = [
                    each._replace(name=each.name.removesuffix("_total")) for each in metric.samples
                ]
            else:
                name += "_total"
        yield name, metric


def _limit(lines: list[str]) -> Iterator[str]:
    """The lines, for as long as they are few, short and quickly parsed. Raises ValueError."""
    if len(lines) > MAX_LINES:
        raise ValueError(f"it has more than {MAX_LINES} lines")
    deadline = time.monotonic() + MAX_SECONDS
    for line in lines:
        if len(line) > MAX_LINE:
            raise ValueError(f"a line is longer than {MAX_LINE} characters")
        if time.monotonic() > deadline:
            raise ValueError(f"it cannot be parsed within {MAX_SECONDS:g} s")
        yield line


class _Engine:
    """Adds the families of one engine to those of all."""

    def __init__(self, model: str, families: dict[str, _Family]) -> None:
        self._model = model
        self._families = families
        self._seen: set[str] = set()

    def add(self, found: Iterable[tuple[str, Metric]]) -> str:
        """Add them; return what is wrong with some of them, "" if nothing is."""
        problems = [problem for name, metric in found if (problem := self._add_family(name, metric))]
        return problems[0] if problems else ""

    def _add_family(self, name: str, metric: Metric) -> str:
        kind = "untyped" if metric.type == "unknown" else metric.type
        if not _NAME.fullmatch(name):
            return f"the name {name!r} is not valid"
        family = self._families.setdefault(name, _Family(kind, metric.documentation))
        if family.kind != kind:
            return f"{name} is a {kind} here, and a {family.kind} elsewhere"
        lines = [line for sample in metric.samples if (line := self._format(sample))]
        family.lines += lines
        if len(lines) < len(metric.samples):
            return f"{name} has samples that are there twice or not valid"
        return ""

    def _format(self, sample: Sample) -> str:
        """The line of a sample. "" if it is not valid, or if there is one with the same labels."""
        labels = dict(sample.labels)
        if (named := labels.get(MODEL_LABEL, self._model)) != self._model:
            labels[f"exported_{MODEL_LABEL}"] = named
        labels[MODEL_LABEL] = self._model
        if not all(map(_LABEL.fullmatch, labels)):
            return ""
        series = f"{sample.name}{_format_labels(dict(sorted(labels.items())))}"
        if series in self._seen:
            return ""
        self._seen.add(series)
        try:
            return f"{series} {format_number(sample.value)}\n"
        except OverflowError:  # an integer beyond what a float can be
            return ""


def _format_labels(labels: Mapping[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in labels.items()) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
