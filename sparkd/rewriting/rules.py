"""The ordered table of rules: small pure functions, switched by the catalogue, never by a model's name."""

from __future__ import annotations

from collections.abc import Callable

from sparkd.catalog.definitions import Model
from sparkd.rewriting.body import JsonBody

Rule = Callable[[Model, JsonBody], JsonBody]


def _name_the_model_by_its_id(model: Model, body: JsonBody) -> JsonBody:
    """An engine serves its model under the id alone; clients may use an alias, or name it in the path."""
    return body if body.model == model.id else body.with_field("model", model.id)


RULES: tuple[Rule, ...] = (_name_the_model_by_its_id,)


def rewrite(model: Model, body: JsonBody) -> bytes:
    """The body as the model's engine is to get it; a body that no rule changes passes as the same object."""
    for rule in RULES:
        body = rule(model, body)
    return body.encode()
