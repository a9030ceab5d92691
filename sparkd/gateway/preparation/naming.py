"""The model, or the choice of models, that the head of a request names: in the path, otherwise in the query."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from urllib.parse import parse_qsl

from msgspec import Struct

from sparkd.catalog import Catalogue
from sparkd.catalog.choices import Choice, Found
from sparkd.catalog.definitions import EngineName, Model
from sparkd.catalog.names import RESERVED_PATH_SEGMENTS
from sparkd.catalog.nearest import find_nearest
from sparkd.errors import InvalidRequest, ModelNotFound, PathNotFound, SparkdError
from sparkd.gateway.preparation.engine_paths import Endpoint, find_endpoint, find_similar
from sparkd.gateway.preparation.paths import target
from sparkd.rewriting import detect_api
from sparkd.rewriting.rewrite_context import Api


class Named(Struct, frozen=True):
    """What the head says: the model, if it names one, and the target to request from its engine.

    If it names a choice, `choice` has the models, and `model` is None until one of them is chosen.

    `api` is the target's. `asked` is the name that the head uses, `name` the catalogue's own spelling of it. If `model`
    is None, the body must name it, and `missing` is the error if it does not. `endpoint` is None for a path that
    neither vLLM nor SGLang serves. `path` is the target's, for messages, and `vllm_target` the target for vLLM.
    """

    model: Model | None
    target: bytes
    api: Api
    missing: SparkdError
    endpoint: Endpoint | None
    path: str
    vllm_target: bytes
    name: str | None = None
    asked: str | None = None
    choice: Choice | None = None

    @property
    def is_path_known(self) -> bool:
        """Whether the path is one of an engine, and no segment may be the name of a model that does not exist."""
        return not isinstance(self.missing, ModelNotFound | PathNotFound)


_LONGEST_ECHO = 200
"""The most characters of an unknown path that an error message repeats."""

_NOT_NAMED = InvalidRequest(
    "The request names no model. Set `model` in the JSON body or the form, or `?model=` in the query, "
    "or use the path /v1/<model>/…",
    param="model",
)


def named_in_head(catalogue: Catalogue, segments: tuple[str, ...], query: bytes) -> Named:
    """Read path and query; the path takes precedence. `/v1/<model>/…` reaches the engine as `/v1/…`.

    Raises ModelNotFound and ModelDisabled.
    """
    missing: SparkdError = _NOT_NAMED
    found: Found | None = None
    asked: str | None = None
    if len(segments) > 2 and segments[0] == "v1" and segments[1] not in RESERVED_PATH_SEGMENTS:
        try:
            found, asked, segments = _named_in_path(catalogue, segments)
        except ModelNotFound as error:
            missing = error  # unless it is a path of an engine: then query or body name the model
    path = target(segments)
    if b"model=" in query:
        wanted, query = _take_model(query)
        if found is None and wanted:
            found, asked = catalogue.resolve(wanted), wanted
    endpoint = find_endpoint(segments)
    if endpoint is None and found is None:
        missing = _prefer_path_error(missing, segments)
    query = b"?" + query if query else b""
    vllm_path = endpoint.vllm_path.encode() if endpoint and endpoint.vllm_path else path
    return Named(
        found.model if found and found.choice is None else None,
        path + query,
        detect_api(path.decode()),
        missing,
        endpoint,
        path.decode(),
        vllm_path + query,
        found.name if found else None,
        asked if found else None,
        found.choice if found else None,
    )


def _named_in_path(catalogue: Catalogue, segments: tuple[str, ...]) -> tuple[Found, str, tuple[str, ...]]:
    """The model that the segments after /v1 name: one of them, or two (`org/name`); and the target's segments."""
    try:
        return catalogue.resolve(segments[1]), segments[1], ("v1", *segments[2:])
    except ModelNotFound:
        if len(segments) > 3 and segments[2] not in RESERVED_PATH_SEGMENTS:
            name = f"{segments[1]}/{segments[2]}"
            with suppress(ModelNotFound):  # the error about one segment is the clearer one
                return catalogue.resolve(name), name, ("v1", *segments[3:])
        raise


def _prefer_path_error(missing: SparkdError, segments: tuple[str, ...]) -> SparkdError:
    """The error for a path that is unknown and names no model that exists: is the model misspelt, or the path?"""
    names_model = isinstance(missing, ModelNotFound) and find_endpoint(("v1", *segments[2:])) is not None
    if names_model and find_nearest(segments[1], RESERVED_PATH_SEGMENTS) is None:
        return missing
    return path_not_found("/" + "/".join(segments))


def path_not_found(path: str, engines: Iterable[EngineName] = ("vllm", "sglang")) -> PathNotFound:
    """The error for a path that no engine serves, with the most similar path that one does."""
    similar = find_similar(path, engines)
    meant = f"; did you mean {similar}?" if similar else "."
    return PathNotFound(f"No engine here serves {path[:_LONGEST_ECHO]}{meant}")


def _take_model(query: bytes) -> tuple[str | None, bytes]:
    """The last `model` of the query, and the query without it; other parameters keep their bytes."""
    wanted = None
    kept = []
    for part in query.split(b"&"):
        pairs = parse_qsl(part.decode("latin-1"))
        if pairs and pairs[0][0] == "model":
            wanted = pairs[0][1]
        else:
            kept.append(part)
    return wanted, b"&".join(kept)
