"""What each API key may do, by `[keys.<name>]`: its role, its models and its limits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from sparkd.catalog import Catalogue
from sparkd.catalog.choices import WARM, Choice, Found
from sparkd.catalog.definitions import Model
from sparkd.catalog.key_rules import KeyRules
from sparkd.catalog.patterns import compile_pattern
from sparkd.catalog.reading.keys import INSTALLED_KEY
from sparkd.errors import ModelNotAllowed

MAX_LISTED: Final = 20
"""The most models that an error message lists."""


class KeyPolicy(Struct, frozen=True):
    """The rules of one key. `models` has the ids of the models that it may use, None for all."""

    rules: KeyRules
    models: frozenset[str] | None = None

    @property
    def name(self) -> str:
        """The name of the key."""
        return self.rules.name

    @property
    def is_limited(self) -> bool:
        """Whether it has a limit on its requests."""
        return self.rules.max_in_flight is not None or self.rules.rate is not None

    def allows(self, model: Model) -> bool:
        """Whether the key may use the model."""
        return self.models is None or model.id in self.models


OWNER_POLICY: Final = KeyPolicy(KeyRules(name=INSTALLED_KEY, role="operate"))
"""What requests on the control socket may do. They need no key: the permissions of the socket decide."""


def make_policies(catalogue: Catalogue) -> dict[str, KeyPolicy]:
    """The policies of a catalogue, by the name of the key."""
    return {name: KeyPolicy(rules, _find_models(rules, catalogue)) for name, rules in catalogue.keys.items()}


def check_allowed(policy: KeyPolicy | None, model: Model) -> None:
    """Raise ModelNotAllowed if the key may not use the model. Without a policy, every model may be used."""
    if policy is None or policy.models is None or model.id in policy.models:
        return
    listed = [f'"{id_}"' for id_ in sorted(policy.models)]
    more = f" and {len(listed) - MAX_LISTED} more" if len(listed) > MAX_LISTED else ""
    usable = ", ".join(listed[:MAX_LISTED]) + more or "none"
    raise ModelNotAllowed(
        f'The API key "{policy.name}" may not use "{model.id}". It may use: {usable}. '
        "The owner of sparkd sets `models` in `[keys.<name>]`.",
        param="model",
    )


def limit_to_allowed(found: Found, policy: KeyPolicy | None) -> Found:
    """The model, or the choice with those models that the key may use. Raises ModelNotAllowed if there is none."""
    if found.choice is None or policy is None:
        check_allowed(policy, found.model)
        return found
    allowed = tuple(each for each in found.choice.candidates if policy.allows(each.model))
    if not allowed:
        check_allowed(policy, found.model)
    return Choice(found.name, allowed).as_found()


def find_allowed(catalogue: Catalogue, name: str, policy: KeyPolicy | None) -> Found:
    """The model or the choice with this name. Raises ModelNotFound, ModelDisabled and ModelNotAllowed."""
    return limit_to_allowed(catalogue.resolve(name), policy)


def list_allowed(policy: KeyPolicy | None, models: Iterable[Model]) -> list[Model]:
    """The enabled models that the key may use."""
    return [model for model in models if model.enabled and (policy is None or policy.allows(model))]


def list_choices(catalogue: Catalogue, policy: KeyPolicy | None) -> list[Choice]:
    """The choices that lists have, with the models that the key may use. With one model, `warm` would be useless."""
    choices = []
    for choice in catalogue.choices.values():
        candidates = choice.candidates
        if policy is not None:
            candidates = tuple(found for found in candidates if policy.allows(found.model))
        limited = Choice(choice.name, candidates)
        if len(limited.models) > (choice.name == WARM):
            choices.append(limited)
    return choices


def _find_models(rules: KeyRules, catalogue: Catalogue) -> frozenset[str] | None:
    if not rules.models:
        return None
    patterns = [compile_pattern(pattern) for pattern in rules.models]
    return frozenset(
        model.id
        for model in catalogue.models.values()
        if any(
            pattern.match(name.casefold())
            for name in (model.id, *model.aliases, *model.rewriting.presets)
            for pattern in patterns
        )
    )
