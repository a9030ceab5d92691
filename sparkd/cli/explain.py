"""`sparkctl explain MODEL < request.json`: show how a request is rewritten for its engine, rule by rule."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from sparkd.catalog.definitions import Model
from sparkd.catalog.reading import read_catalogue
from sparkd.catalog.reading.locations import catalogue_path
from sparkd.catalog.templates import UNKNOWN_TEMPLATE, Template
from sparkd.cli import exit_codes
from sparkd.cli.output.messages import print_json, print_line
from sparkd.errors import RequestError
from sparkd.rewriting import JsonBody, RewriteContext, detect_api
from sparkd.rewriting.context_window import context_length
from sparkd.rewriting.prompt_check import check_prompt
from sparkd.rewriting.rule import Rule
from sparkd.rewriting.rules import RULES, trace_rules
from sparkd.rewriting.summary import list_changes
from sparkd.rewriting.token_count import PromptTokens, count_prompt_tokens
from sparkd.templates.locations import locate_template
from sparkd.templates.reading import read_templates

PATHS = {
    "chat": "/v1/chat/completions",
    "completions": "/v1/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
}


class RuleReport(Struct, frozen=True, kw_only=True):
    """One rule. `state` is "off", "other API", "unchanged", "changed", "refused" or "not reached"."""

    rule: str
    key: str
    state: str
    changes: list[str] = []
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}


class Explanation(Struct, frozen=True, kw_only=True):
    """What `sparkctl explain --json` prints. `body` is what the engine gets; None if the request is rejected."""

    model: str
    api: str
    tokens: dict[str, int]
    context_length: int | None
    rules: list[RuleReport]
    refused: str | None
    code: str | None
    body: Any = None


def run(arguments: argparse.Namespace) -> int:
    """Print the rules, then what the engine gets. Fails if the request would be rejected."""
    catalogue = read_catalogue(catalogue_path(arguments.catalogue))
    named = catalogue.resolve(arguments.model)
    model = named.model
    body = JsonBody.parse(sys.stdin.buffer.read(), keep_payloads=True)
    preset = next(
        (
            name
            for name in (named.name, catalogue.canonical_name(body.model or ""))
            if name in model.rewriting.presets
        ),
        None,
    )
    context = RewriteContext(
        model,
        detect_api(PATHS[arguments.api]),
        preset,
        catalogue.models.values(),
        template=_read_template(model, catalogue.folder("models")),
    )
    explanation = explain(context, body)
    if arguments.json:
        print_json(explanation)
    else:
        for line in _render(explanation):
            print_line(line)
    return exit_codes.FAILED if explanation.refused else exit_codes.SUCCESS


def _read_template(model: Model, models: Path) -> Template:
    location = locate_template(model, models)
    read = asyncio.run(read_templates([location]))[0] if location else None
    return read or UNKNOWN_TEMPLATE


def explain(context: RewriteContext, body: JsonBody) -> Explanation:
    """Apply the rules one by one, and record the result of each."""
    lines: list[RuleReport] = []
    refusal: RequestError | None = None
    last = body
    steps = trace_rules(context, body)
    try:
        for step, rewritten_body in steps:
            last = rewritten_body
            lines.append(
                RuleReport(
                    rule=step.rule.name,
                    key=step.rule.key,
                    state="changed" if step.changed else _describe_unchanged(context, step.rule),
                    changes=list_changes(step),
                    before=step.before,
                    after=step.after,
                )
            )
        check_prompt(context, last)
    except RequestError as error:
        refusal = error
        lines += _report_unreached(RULES[len(lines) :])
    return Explanation(
        model=context.model.id,
        api=context.api,
        tokens=_list_tokens(count_prompt_tokens(context, last)),
        context_length=context_length(context.model),
        rules=lines,
        refused=refusal.message if refusal else None,
        code=refusal.code if refusal else None,
        body=None if refusal else last.fields,
    )


def _describe_unchanged(context: RewriteContext, rule: Rule) -> str:
    if context.api not in rule.apis:
        return "other API"
    return "unchanged" if rule.is_enabled(context) else "off"


def _report_unreached(rules: tuple[Rule, ...]) -> list[RuleReport]:
    states = ["refused", *["not reached"] * len(rules)]
    return [
        RuleReport(rule=rule.name, key=rule.key, state=state)
        for rule, state in zip(rules, states, strict=False)
    ]


def _list_tokens(count: PromptTokens) -> dict[str, int]:
    return {"text": count.text, "tools": count.tools, "images": count.images, "total": count.total}


def _render(explanation: Explanation) -> list[str]:
    room = f" of {explanation.context_length:,}" if explanation.context_length else ""
    lines = [f"{explanation.model}, {explanation.api}: about {explanation.tokens['total']:,} tokens{room}"]
    for number, line in enumerate(explanation.rules, 1):
        switch = f" ({line.key})" if line.state == "off" else ""
        lines.append(f"{number:>3}. {line.rule:<17}{line.state}{switch}")
        lines += [f"       {change}" for change in line.changes]
    if explanation.refused:
        return [*lines, f"rejected: {explanation.refused}"]
    return [*lines, msgspec.json.format(msgspec.json.encode(explanation.body), indent=2).decode()]
