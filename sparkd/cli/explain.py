"""`sparkctl explain MODEL < request.json`: what becomes of a request before its engine gets it, rule by rule."""

from __future__ import annotations

import argparse
import sys
from typing import Any

import msgspec
from msgspec import Struct

from sparkd.catalog.reading import read_catalogue
from sparkd.catalog.reading.locations import catalogue_path
from sparkd.cli import exits
from sparkd.cli.output import say, say_json
from sparkd.errors import RequestError
from sparkd.rewriting import Case, JsonBody, api_of
from sparkd.rewriting.prompt import Count, count_prompt
from sparkd.rewriting.rules import RULES, Rule, walk
from sparkd.rewriting.telling import touched
from sparkd.rewriting.window import context_length

PATHS = {
    "chat": "/v1/chat/completions",
    "completions": "/v1/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
}


class Line(Struct, frozen=True, kw_only=True):
    """One rule. `state` is "off", "not here", "nothing to do", "changed", "refused" or "not reached"."""

    rule: str
    key: str
    state: str
    changes: list[str] = []
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}


class Explained(Struct, frozen=True, kw_only=True):
    """What `sparkctl explain --json` prints. `body` is what the engine gets; none where the request is refused."""

    model: str
    api: str
    tokens: dict[str, int]
    context_length: int | None
    rules: list[Line]
    refused: str | None
    code: str | None
    body: Any = None


def run(arguments: argparse.Namespace) -> int:
    """Print the chain, then what the engine gets. Fails where the request would be refused."""
    catalogue = read_catalogue(catalogue_path(arguments.catalogue))
    model = catalogue.find(arguments.model)
    body = JsonBody.parse(sys.stdin.buffer.read(), whole=True)
    preset = next((name for name in (arguments.model, body.model) if name in model.rewriting.presets), None)
    case = Case(model, api_of(PATHS[arguments.api]), preset, catalogue.models.values())
    explained = explain(case, body)
    if arguments.json:
        say_json(explained)
    else:
        for line in _lines(explained):
            say(line)
    return exits.FAILED if explained.refused else exits.DONE


def explain(case: Case, body: JsonBody) -> Explained:
    """Go through the rules, and note what became of each."""
    lines: list[Line] = []
    refusal: RequestError | None = None
    last = body
    steps = walk(case, body)
    try:
        for step, then in steps:
            last = then
            lines.append(
                Line(
                    rule=step.rule.name,
                    key=step.rule.key,
                    state="changed" if step.changed else _idle(case, step.rule),
                    changes=touched(step),
                    before=step.before,
                    after=step.after,
                )
            )
    except RequestError as error:
        refusal = error
        lines += _unreached(RULES[len(lines) :])
    return Explained(
        model=case.model.id,
        api=case.api,
        tokens=_tokens(count_prompt(case, last)),
        context_length=context_length(case.model),
        rules=lines,
        refused=refusal.message if refusal else None,
        code=refusal.code if refusal else None,
        body=None if refusal else last.fields,
    )


def _idle(case: Case, rule: Rule) -> str:
    if case.api not in rule.apis:
        return "not here"
    return "nothing to do" if rule.on(case.model) else "off"


def _unreached(rules: tuple[Rule, ...]) -> list[Line]:
    states = ["refused", *["not reached"] * len(rules)]
    return [
        Line(rule=rule.name, key=rule.key, state=state) for rule, state in zip(rules, states, strict=False)
    ]


def _tokens(count: Count) -> dict[str, int]:
    return {"said": count.said, "tools": count.tools, "images": count.images, "total": count.total}


def _lines(explained: Explained) -> list[str]:
    room = f" of {explained.context_length:,}" if explained.context_length else ""
    lines = [f"{explained.model}, {explained.api}: about {explained.tokens['total']:,} tokens{room}"]
    for number, line in enumerate(explained.rules, 1):
        switch = f" ({line.key})" if line.state == "off" else ""
        lines.append(f"{number:>3}. {line.rule:<17}{line.state}{switch}")
        lines += [f"       {change}" for change in line.changes]
    if explained.refused:
        return [*lines, f"refused: {explained.refused}"]
    return [*lines, msgspec.json.format(msgspec.json.encode(explained.body), indent=2).decode()]
