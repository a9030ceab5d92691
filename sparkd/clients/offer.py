"""What the catalogue offers a client: address, key, models and choices with their limits, and the longest wait."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from msgspec import Struct, structs

from sparkd.catalog.catalogue import Catalogue
from sparkd.catalog.choices import WARM, Choice
from sparkd.catalog.definitions import Model
from sparkd.catalog.labels import ClientLimits
from sparkd.catalog.ranking import rank_models
from sparkd.catalog.tasks import find_tasks
from sparkd.rewriting.context_window import context_length

PROVIDER: Final = "sparkd"
"""The name of sparkd in the configurations of clients."""

KEY_VARIABLE: Final = "SPARKD_API_KEY"
"""Environment variable from which clients read the key, so that no file contains it."""

NO_KEY: Final = "none"
"""The key to send if sparkd needs none, because clients require one."""

KEY_PLACEHOLDER: Final = "YOUR-SPARKD-KEY"
"""Stands for the key in files of clients that cannot read it from the environment."""

LONGEST_TIMER: Final = 2**31 - 1
"""Milliseconds: a timer of JavaScript that is set to more ends at once."""

USUAL_OUTPUT: Final = 8192
"""The most tokens of a response, if the catalogue has no limit for the client: enough for a long file."""


class Key(Struct, frozen=True):
    """The API key. `secret` is None unless the user has passed it to be written."""

    is_required: bool
    secret: str | None = None

    def value(self, reference: str) -> str:
        """The value for a client's file: the secret, `reference` to it, or NO_KEY if sparkd needs no key."""
        if self.secret is not None:
            return self.secret
        return reference if self.is_required else NO_KEY

    @property
    def is_missing(self) -> bool:
        """Whether the user still has to provide the key."""
        return self.is_required and self.secret is None


class OfferedModel(Struct, frozen=True, kw_only=True):
    """One model for a client. `context` and `output` are tokens; None if the context is unknown."""

    id: str
    name: str
    context: int | None
    output: int | None
    has_vision: bool
    has_tools: bool
    has_reasoning: bool

    @property
    def input(self) -> int | None:
        """The most tokens of a prompt if the response may have `output`. None if the context is unknown."""
        return None if self.context is None or self.output is None else self.context - self.output


class Offer(Struct, frozen=True, kw_only=True):
    """What a client is configured with. `origin` is sparkd's address without a path. `models` are all that chat, the
    main one first, the owner's choices last. `small` is the model for titles and summaries: the utility model if there
    is one."""

    origin: str
    key: Key
    models: tuple[OfferedModel, ...]
    small: OfferedModel
    embedding: tuple[str, ...]
    timeout: float
    """Seconds that a client should wait for the first byte of a response, or between two bytes."""

    @property
    def main(self) -> OfferedModel:
        """The model to start with."""
        return self.models[0]

    @property
    def base_url(self) -> str:
        """The address of OpenAI's API."""
        return f"{self.origin}/v1"

    @property
    def seconds(self) -> int:
        """The timeout in whole seconds."""
        return round(self.timeout)

    @property
    def milliseconds(self) -> int:
        """The timeout in milliseconds."""
        return min(round(self.timeout * 1000), LONGEST_TIMER)


def make_offer(
    catalogue: Catalogue,
    client: str,
    *,
    origin: str,
    key: Key,
    main: Model | None = None,
    allows: Callable[[Model], bool] = lambda _: True,
) -> Offer | None:
    """What the catalogue offers `client`. None if no model chats. `main`, if set, is enabled and chats.

    `allows` is whether the client's key may use a model. A client may wait for `queue.max_wait`, and then for the
    slowest start.
    """
    listed = [model for model in _listed(catalogue) if allows(model)]
    chatting = [model for model in listed if can_chat(model)]
    best = rank_models(chatting, "code")
    rest = [model for model in chatting if model not in best]
    chatting = [*best, *sorted(rest, key=lambda model: model.lifecycle == "utility")]
    if main is not None:
        chatting = [main, *(model for model in chatting if model.id != main.id)]
    if not chatting:
        return None
    small = next((model for model in chatting if model.lifecycle == "utility"), chatting[0])
    return Offer(
        origin=origin,
        key=key,
        models=(
            *(_offer_model(model, client) for model in chatting),
            *(_offer_choice(choice, client) for choice in _list_choices(catalogue, allows)),
        ),
        small=_offer_model(small, client),
        embedding=tuple(model.id for model in listed if _embeds(model)),
        timeout=catalogue.settings.queue.max_wait + max(model.start_timeout for model in chatting),
    )


def _listed(catalogue: Catalogue) -> Iterable[Model]:
    return (model for model in catalogue.models.values() if model.status in ("validated", "experimental"))


def can_chat(model: Model) -> bool:
    """Whether the model generates text, or its entry does not say what it does."""
    tasks = find_tasks(model)
    return tasks is None or "generate" in tasks


def _embeds(model: Model) -> bool:
    tasks = find_tasks(model)
    return tasks is not None and "embed" in tasks


def _offer_model(model: Model, client: str) -> OfferedModel:
    limits = _limits(model, client)
    usual = model.clients.opencode  # the best informed guess for a client without limits of its own
    context = limits.context or context_length(model) or usual.context
    output = limits.output or usual.output or USUAL_OUTPUT
    return OfferedModel(
        id=model.id,
        name=model.description.partition(":")[0] or model.id,
        context=context,
        output=None if context is None else min(output, max(1, context // 2)),
        has_vision=model.vision,
        has_tools=model.rewriting.tools != "strip",
        has_reasoning="reasoning-parser" in model.options,
    )


def _list_choices(catalogue: Catalogue, allows: Callable[[Model], bool]) -> Iterable[Choice]:
    """The owner's choices of models that chat, with the models that are allowed."""
    for choice in catalogue.choices.values():
        if choice.name == WARM or not all(map(can_chat, choice.models)):
            continue
        if allowed := tuple(each for each in choice.candidates if allows(each.model)):
            yield Choice(choice.name, allowed)


def _offer_choice(choice: Choice, client: str) -> OfferedModel:
    """A choice as one model. Its context is the longest: a longer prompt than one model takes goes to another."""
    offered = [_offer_model(model, client) for model in choice.models]
    longest = max(offered, key=lambda model: model.context or 0)
    return structs.replace(
        longest,
        id=choice.name,
        name=choice.name,
        has_vision=any(model.has_vision for model in offered),
        has_tools=any(model.has_tools for model in offered),
        has_reasoning=any(model.has_reasoning for model in offered),
    )


def _limits(model: Model, client: str) -> ClientLimits:
    found = getattr(model.clients, client.replace("-", "_"), None)
    return found if isinstance(found, ClientLimits) else ClientLimits()
