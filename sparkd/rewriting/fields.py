"""Request fields that the owner takes out or puts in, and the name that the engine knows its model by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.case import Case
from sparkd.rewriting.decoding import fields_of, raw


def name_model(case: Case, body: JsonBody) -> JsonBody:
    """An engine serves its model under the id alone; clients may use an alias, or name it in the path."""
    return body if body.model == case.model.id else body.with_field("model", case.model.id)


def strip_fields(case: Case, body: JsonBody) -> JsonBody:
    """Take out what the owner wants no client to say."""
    return body.without(case.model.rewriting.strip)


def default_fields(case: Case, body: JsonBody) -> JsonBody:
    """Put in what the client left open."""
    given = _spelled(case, body, case.model.rewriting.default)
    return body.with_fields({name: value for name, value in given.items() if name not in body.fields})


def set_fields(case: Case, body: JsonBody) -> JsonBody:
    """Put in what the owner wants every client to say."""
    return body.with_fields(_spelled(case, body, case.model.rewriting.set))


def preset_fields(case: Case, body: JsonBody) -> JsonBody:
    """Put in what the alias stands for."""
    return body.with_fields(_spelled(case, body, case.preset))


def _spelled(case: Case, body: JsonBody, given: Mapping[str, Any]) -> dict[str, Any]:
    """Fields as the API in question spells them: a reasoning effort stands inside `reasoning` in /v1/responses."""
    normalize_flag = dict(given)
    if case.api == "responses" and "reasoning_effort" in normalize_flag and "reasoning" not in normalize_flag:
        inside = fields_of(body.fields.get("reasoning")) or {}
        normalize_flag["reasoning"] = {**inside, "effort": raw(normalize_flag.pop("reasoning_effort"))}
    return normalize_flag
