"""What the rules know about a request besides its body, for each model, API and preset of one catalogue."""

from __future__ import annotations

from collections.abc import Callable

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.catalog.templates import Template
from sparkd.gateway.preparation.naming import Named
from sparkd.rewriting import RewriteContext
from sparkd.rewriting.rewrite_context import Api


class RewriteContexts:
    """The contexts that were needed so far. `template_of` is called once for each of them."""

    def __init__(self, catalogue: Catalogue, template_of: Callable[[Model], Template]) -> None:
        self._catalogue = catalogue
        self._template_of = template_of
        self._contexts: dict[tuple[str, Api, str | None], RewriteContext] = {}

    def find(self, model: Model, named: Named, name_in_body: str | None) -> RewriteContext:
        """The context of a request for the model. Its name in the head, or that in the body, may be a preset's."""
        presets = model.rewriting.presets
        names = (named.name, self._catalogue.canonical_name(name_in_body or "")) if presets else ()
        preset = next((name for name in names if name in presets), None)
        key = (model.id, named.api, preset)
        context = self._contexts.get(key)
        if context is None:
            context = self._contexts[key] = RewriteContext(
                model,
                named.api,
                preset,
                self._catalogue.models.values(),
                template=self._template_of(model),
            )
        return context
