"""Rejects requests that a model's engine cannot serve, before the model is started for them."""

from __future__ import annotations

from collections.abc import Iterable

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.catalog.tasks import Task, find_tasks
from sparkd.errors import InvalidRequest, MediaTypeNotSupported, MethodNotAllowed, TaskNotSupported
from sparkd.gateway.preparation.engine_paths import Endpoint
from sparkd.gateway.preparation.naming import Named, path_not_found
from sparkd.gateway.request_head import RequestHead

MAX_LISTED = 5
"""The most models that an error message names."""

_CANNOT: dict[Task, str] = {
    "generate": "does not generate text",
    "embed": "does not make embeddings",
    "score": "does not rank texts",
    "classify": "does not classify texts",
    "transcribe": "does not transcribe audio",
}


class Suitability:
    """Which requests the models of one catalogue can serve. What was found suitable is remembered."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._suitable: set[tuple[str, Endpoint | None, bytes]] = set()

    def check(self, request: RequestHead, model: Model, named: Named) -> None:
        """Raise PathNotFound, MethodNotAllowed or TaskNotSupported if the model cannot serve the request."""
        key = (model.id, named.endpoint, request.method)
        if key in self._suitable:
            return
        endpoint = named.endpoint
        if model.engine != "command":
            if endpoint is None or model.engine not in endpoint.engines:
                raise path_not_found(named.path, (model.engine,))
            check_method(request, named)
        if endpoint is not None:
            self._check_task(model, endpoint)
            self._suitable.add(key)  # an unknown path is not remembered: there are as many as clients make up

    def _check_task(self, model: Model, endpoint: Endpoint) -> None:
        tasks = find_tasks(model)
        if not endpoint.tasks or tasks is None or not tasks.isdisjoint(endpoint.tasks):
            return
        cannot = next(text for task, text in _CANNOT.items() if task in endpoint.tasks)
        raise TaskNotSupported(
            f'"{model.id}" {cannot}, which {endpoint.path} is for. {self._suggest(endpoint.tasks)}',
            param="model",
        )

    def _suggest(self, tasks: frozenset[Task]) -> str:
        known = {model.id: find_tasks(model) for model in self._catalogue.models.values() if model.enabled}
        able = [id_ for id_, found in known.items() if found is not None and not tasks.isdisjoint(found)]
        possible = [id_ for id_, found in known.items() if found is None]
        if not able and not possible:
            return "No model here does; if this one does, set its key `tasks`."
        listed = [f'"{id_}"' for id_ in able or possible]
        more = f" and {len(listed) - MAX_LISTED} more" if len(listed) > MAX_LISTED else ""
        return f"Models here that {'do' if able else 'may'}: {', '.join(listed[:MAX_LISTED])}{more}."


def check_method(request: RequestHead, named: Named) -> None:
    """Raise MethodNotAllowed if the endpoint does not take the request's method."""
    endpoint = named.endpoint
    if endpoint is not None and request.method not in endpoint.methods:
        allowed = _join(endpoint.methods)
        raise MethodNotAllowed(
            f"{named.path} does not accept {request.method.decode()}; use {allowed}.",
            [method.decode() for method in endpoint.methods],
        )


def check_has_body(model: Model, named: Named) -> None:
    """Raise InvalidRequest for a request without a body where the model's engine needs one."""
    endpoint = named.endpoint
    if endpoint is not None and endpoint.body != "none" and model.engine != "command":
        kind = "a JSON object" if endpoint.body == "json" else "a form (multipart/form-data)"
        raise InvalidRequest(f"The request has no body. {named.path} takes {kind}.")


def takes_json(request: RequestHead, named: Named) -> bool:
    """Whether the request has a body that is read as JSON."""
    expects_json = named.endpoint is not None and named.endpoint.body == "json"
    return request.has_body and not request.is_form and (request.is_json or expects_json)


def check_media_type(request: RequestHead, model: Model | None, named: Named) -> None:
    """Raise MediaTypeNotSupported for a form where an engine takes JSON, and for all else where it takes a form."""
    endpoint = named.endpoint
    if endpoint is None or endpoint.body == "none" or (model is not None and model.engine == "command"):
        return
    if request.is_form and endpoint.body == "json":
        raise MediaTypeNotSupported(
            f"{named.path} takes JSON, not a form. Send it with `Content-Type: application/json`."
        )
    if not request.is_form and endpoint.body == "form" and model is not None:
        sent = request.content_type[:100].decode("latin-1") or "a body without a type"
        raise MediaTypeNotSupported(f"{named.path} takes a form (multipart/form-data), not {sent}.")


def _join(methods: Iterable[bytes]) -> str:
    return " or ".join(method.decode() for method in methods)
