"""Makes configurations of client programs, as the control API returns them. Reads the file with the API keys."""

from __future__ import annotations

import shlex

from msgspec import Struct

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.catalog.key_rules import KeyRules
from sparkd.catalog.nearest import did_you_mean
from sparkd.catalog.reading.keys import find_secret
from sparkd.clients.configuration import ConfigFile, Location, strip_suggestions
from sparkd.clients.formats import render_text
from sparkd.clients.names import PURPOSES
from sparkd.clients.offer import Key, Offer, OfferedModel, can_chat, make_offer
from sparkd.clients.origin import make_origin, parse_origin
from sparkd.clients.table import CONFIGURE
from sparkd.control.client_source import ClientSource
from sparkd.errors import InvalidRequest, PathNotFound
from sparkd.gateway.admission.key_policies import KeyPolicy, make_policies


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


class ClientConfigurations:
    """Makes configurations from one source."""

    def __init__(self, source: ClientSource) -> None:
        self._source = source

    def list_programs(self) -> ClientList:
        """What can be configured, and for which keys and models."""
        catalogue, names = self._source.catalogue(), self._source.key_names()
        keys = [ClientKey(name, catalogue.keys.get(name) or KeyRules(name=name)) for name in sorted(names)]
        return ClientList(
            base=self._base(),
            keys_required=bool(names),
            keys=keys,
            programs=[ClientProgram(name, purpose) for name, purpose in PURPOSES.items()],
            models=[model.id for model in catalogue.models.values() if model.enabled and can_chat(model)],
        )

    def make(
        self, program: str, model: str, key: str, base: str, *, put_key_in: bool = False
    ) -> ClientConfiguration:
        """The configuration of a program. Empty values are the defaults; `key` is the name of a key.

        Raises PathNotFound for an unknown program, InvalidRequest and ModelNotFound.
        """
        if program not in PURPOSES:
            meant = did_you_mean(program, PURPOSES) or "; `sparkctl client` lists the programs"
            raise PathNotFound(f'sparkd has no configuration for "{program}"{meant}.')
        catalogue, names = self._source.catalogue(), self._source.key_names()
        policy = self._check_key(key, names, catalogue)
        secret = self._read_secret(key, catalogue) if put_key_in else None
        main = _find_main(catalogue, model, policy) if model else None
        origin = parse_origin(base, "base") if base else self._base()
        offered = Key(bool(names), secret)
        offer = make_offer(
            catalogue,
            program,
            origin=origin,
            key=offered,
            main=main,
            allows=policy.allows if policy else _allow,
        )
        if offer is None:
            raise InvalidRequest("No model that this key may use can chat.", param="model")
        return _render(program, offer, model, key)

    def _check_key(self, name: str, names: frozenset[str], catalogue: Catalogue) -> KeyPolicy | None:
        if not name:
            return None
        if name not in names:
            meant = did_you_mean(name, names)
            raise InvalidRequest(f'There is no API key with the name "{name}"{meant}.', param="key")
        return make_policies(catalogue).get(name)

    def _read_secret(self, key: str, catalogue: Catalogue) -> str | None:
        if not key:
            raise InvalidRequest("Name the key to put in.", param="key")
        try:
            return find_secret(catalogue, key)
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


def _render(program: str, offer: Offer, model: str, key: str) -> ClientConfiguration:
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
        key=key,
        has_secret=offer.key.secret is not None,
        needs_key=offer.key.is_missing,
        files=files,
        lines=configuration.lines,
        notes=configuration.notes,
        models=offer.models,
        embedding=offer.embedding,
        timeout=offer.timeout,
        command=_build_command(program, offer, model, can_write=bool(files)),
    )


def _describe_location(file: ConfigFile) -> str | None:
    """The usual path of a file, on the machine of the client."""
    location: Location | None = file.location
    if location is None:
        return None
    return "/".join(part for part in ("~", location.folder, location.names[0]) if part)


def _build_command(program: str, offer: Offer, model: str, *, can_write: bool) -> str:
    option = f" --model {shlex.quote(model)}" if model else ""
    key = " --key -" if offer.key.is_required else ""
    return f"sparkctl client {program} --url {shlex.quote(offer.origin)}{option}{key}{' --write' if can_write else ''}"


def _allow(_: Model) -> bool:
    return True
