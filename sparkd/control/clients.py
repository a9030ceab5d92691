"""Configurations of client programs.

    GET  /clients                               programs, keys, models that chat, and the address of the API
    GET  /clients/{program}?model=&key=&base=   its configuration; `key` is the name of a key, which is not put in
    POST /clients/{program}                     the same with the key itself, if the body says `"secret": true`

The key itself is in responses to POST only: the port of clients serves GET to keys that may see the page.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.catalog.key_rules import KeyRules
from sparkd.catalog.nearest import did_you_mean
from sparkd.catalog.reading.keys import find_secret
from sparkd.clients.configuration import ConfigFile, Location, strip_suggestions
from sparkd.clients.names import PURPOSES
from sparkd.clients.offer import Key, Offer, OfferedModel, can_chat, make_offer
from sparkd.clients.origin import make_origin, parse_origin
from sparkd.errors import InvalidRequest, PathNotFound
from sparkd.gateway.admission.key_policies import KeyPolicy, make_policies

MAX_BODY = 64 * 1024
"""Bytes of a body."""


class ClientSource(Struct, frozen=True, kw_only=True):
    """What configurations are made from: functions, because a reload changes it. `listen` has addresses as
    `host:port`, `key_names` the names of the keys."""

    catalogue: Callable[[], Catalogue]
    listen: Callable[[], tuple[str, ...]]
    key_names: Callable[[], frozenset[str]]


class ClientKey(Struct, frozen=True):
    """A key and what it may do."""

    name: str
    rules: KeyRules


class ClientProgram(Struct, frozen=True):
    """A program that sparkd can configure."""

    id: str
    purpose: str


class ClientList(Struct, frozen=True, kw_only=True):
    """`base` is the address for programs on this machine; `models` are those that can be the main one."""

    base: str
    keys_required: bool
    keys: list[ClientKey]
    programs: list[ClientProgram]
    models: list[str]


class ClientText(Struct, frozen=True):
    """A file of the program. `path` is None if the user chooses its place."""

    path: str | None
    format: str
    text: str


class ClientConfiguration(Struct, frozen=True, kw_only=True):
    """The configuration of one program. `timeout` is seconds, `command` writes it into the program's files.

    `lines` are to be entered by hand. `has_secret`: a file or a line contains the key.
    """

    program: str
    purpose: str
    base: str
    key: str
    has_secret: bool
    needs_key: bool
    files: list[ClientText]
    lines: tuple[str, ...]
    notes: tuple[str, ...]
    models: tuple[OfferedModel, ...]
    embedding: tuple[str, ...]
    timeout: float
    command: str


class ClientRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a POST. Empty values are the defaults."""

    model: str = ""
    key: str = ""
    base: str = ""
    secret: bool = False


def client_routes(source: ClientSource) -> list[BaseRoute]:
    """The routes of configurations."""
    endpoints = _Clients(source)
    return [
        Route("/clients", endpoints.list_programs),
        Route("/clients/{program}", endpoints.configure, methods=["GET"]),
        Route("/clients/{program}", endpoints.configure_with_secret, methods=["POST"]),
    ]


class _Clients:
    def __init__(self, source: ClientSource) -> None:
        self._source = source

    async def list_programs(self, request: Request) -> Response:  # noqa: ARG002
        catalogue, names = self._source.catalogue(), self._source.key_names()
        chatting = [model.id for model in catalogue.models.values() if model.enabled and can_chat(model)]
        return _respond(
            ClientList(
                base=self._base(),
                keys_required=bool(names),
                keys=[
                    ClientKey(name, catalogue.keys.get(name) or KeyRules(name=name)) for name in sorted(names)
                ],
                programs=[ClientProgram(name, purpose) for name, purpose in PURPOSES.items()],
                models=chatting,
            )
        )

    async def configure(self, request: Request) -> Response:
        query = request.query_params
        wanted = ClientRequest(query.get("model", ""), query.get("key", ""), query.get("base", ""))
        return await self._configure(request.path_params["program"], wanted)

    async def configure_with_secret(self, request: Request) -> Response:
        body = await request.body()
        if len(body) > MAX_BODY:
            raise InvalidRequest(f"The body is longer than {MAX_BODY} bytes.")
        try:
            wanted = msgspec.json.decode(body, type=ClientRequest)
        except msgspec.DecodeError as error:
            raise InvalidRequest(f"The body is not valid: {error}.") from None
        return await self._configure(request.path_params["program"], wanted)

    async def _configure(self, program: str, wanted: ClientRequest) -> Response:
        if program not in PURPOSES:
            meant = did_you_mean(program, PURPOSES) or "; `sparkctl client` lists the programs"
            raise PathNotFound(f'sparkd has no configuration for "{program}"{meant}.')
        # In a thread: it imports the formats' libraries and reads the file with the keys.
        return _respond(await asyncio.to_thread(self._make, program, wanted))

    def _make(self, program: str, wanted: ClientRequest) -> ClientConfiguration:
        catalogue, names = self._source.catalogue(), self._source.key_names()
        policy = self._check_key(wanted.key, names, catalogue)
        secret = self._read_secret(wanted, catalogue) if wanted.secret else None
        main = _find_main(catalogue, wanted.model, policy) if wanted.model else None
        base = parse_origin(wanted.base, "base") if wanted.base else self._base()
        key = Key(bool(names), secret)
        offer = make_offer(
            catalogue, program, origin=base, key=key, main=main, allows=policy.allows if policy else _allow
        )
        if offer is None:
            raise InvalidRequest("No model that this key may use can chat.", param="model")
        return _render(program, offer, wanted)

    def _check_key(self, name: str, names: frozenset[str], catalogue: Catalogue) -> KeyPolicy | None:
        if not name:
            return None
        if name not in names:
            meant = did_you_mean(name, names)
            raise InvalidRequest(f'There is no API key with the name "{name}"{meant}.', param="key")
        return make_policies(catalogue).get(name)

    def _read_secret(self, wanted: ClientRequest, catalogue: Catalogue) -> str | None:
        if not wanted.key:
            raise InvalidRequest("Name the key to put in.", param="key")
        try:
            return find_secret(catalogue, wanted.key)
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidRequest(
                f"The file with the API keys cannot be read: {error}.", param="key"
            ) from error

    def _base(self) -> str:
        listen = self._source.listen()
        if not listen:
            return "http://localhost:8009"
        host, _, port = listen[0].rpartition(":")
        return make_origin(host.strip("[]"), int(port))


def _find_main(catalogue: Catalogue, name: str, policy: KeyPolicy | None) -> Model:
    """Raises ModelNotFound, and InvalidRequest for a model that the client cannot chat with."""
    model = catalogue.find(name)
    if not model.enabled:
        raise InvalidRequest(f'The model "{model.id}" is disabled: {model.reason}', param="model")
    if not can_chat(model):
        raise InvalidRequest(f'The model "{model.id}" does not chat.', param="model")
    if policy is not None and not policy.allows(model):
        raise InvalidRequest(
            f'The key "{policy.name}" may not use the model "{model.id}". Choose another key or model.',
            param="model",
        )
    return model


def _render(program: str, offer: Offer, wanted: ClientRequest) -> ClientConfiguration:
    from sparkd.clients.formats import render_text  # noqa: PLC0415  # no start should wait for its libraries
    from sparkd.clients.table import CONFIGURE  # noqa: PLC0415

    configuration = CONFIGURE[program](offer)
    files = [
        ClientText(
            _describe_location(file), file.format, render_text(file.format, strip_suggestions(file.content))
        )
        for file in configuration.files
    ]
    return ClientConfiguration(
        program=program,
        purpose=PURPOSES[program],
        base=offer.origin,
        key=wanted.key,
        has_secret=offer.key.secret is not None,
        needs_key=offer.key.is_missing,
        files=files,
        lines=configuration.lines,
        notes=configuration.notes,
        models=offer.models,
        embedding=offer.embedding,
        timeout=offer.timeout,
        command=_build_command(program, offer, wanted, can_write=bool(files)),
    )


def _describe_location(file: ConfigFile) -> str | None:
    """The usual path of a file, on the machine of the client."""
    location: Location | None = file.location
    if location is None:
        return None
    return "/".join(part for part in ("~", location.folder, location.names[0]) if part)


def _build_command(program: str, offer: Offer, wanted: ClientRequest, *, can_write: bool) -> str:
    model = f" --model {shlex.quote(wanted.model)}" if wanted.model else ""
    key = " --key -" if offer.key.is_required else ""
    return f"sparkctl client {program} --url {shlex.quote(offer.origin)}{model}{key}{' --write' if can_write else ''}"


def _allow(_: Model) -> bool:
    return True


def _respond(value: Any) -> Response:
    headers = {"cache-control": "no-store"}
    return Response(msgspec.json.encode(value), media_type="application/json", headers=headers)
