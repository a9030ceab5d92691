"""API keys: which clients may send requests."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from sparkd.catalog import Catalogue
from sparkd.catalog.messages import join_key, quote
from sparkd.catalog.nearest import did_you_mean
from sparkd.errors import CatalogueError, Unauthorized

STDIN: Final = Path("/dev/stdin")
"""A key file of this name was opened by the service manager: neither sparkd nor its engines may open it themselves."""

KEY_HEADERS: Final = (b"x-api-key", b"api-key")
"""Headers that may have a key instead of `Authorization`: Anthropic's and Azure's. Engines never see them."""

INSTALLED_KEY: Final = "owner"
"""The name of the key that install.sh creates."""


class Keys:
    """The keys that clients may use. Without any, no client needs one.

    Kept as digests under a secret of this process: the time that a check takes reveals nothing about a key, not even
    its length, and does not depend on the number of keys.
    """

    def __init__(self, keys: Iterable[tuple[str, str]] = ()) -> None:
        """Take pairs of name and key."""
        self._keyed = hashlib.blake2b(key=os.urandom(32), digest_size=32)
        self._names = {self._digest(key.encode()): name for name, key in keys}

    @property
    def names(self) -> frozenset[str]:
        """The names of the keys."""
        return frozenset(self._names.values())

    @property
    def required(self) -> bool:
        """Whether a client needs a key."""
        return bool(self._names)

    def check(self, headers: Mapping[bytes, bytes]) -> str | None:
        """The name of the key in `Authorization: Bearer`, `x-api-key` or `api-key`, None if no key is needed.

        Raises Unauthorized.
        """
        if not self._names:
            return None
        scheme, _, bearer = headers.get(b"authorization", b"").partition(b" ")
        given = (
            bearer.strip() if scheme.lower() == b"bearer" else b"",
            *(headers.get(name, b"") for name in KEY_HEADERS),
        )
        for key in given:
            if key and (name := self._names.get(self._digest(key))) is not None:
                return name
        if any(given):
            raise Unauthorized("Unknown API key.")
        raise Unauthorized("An API key is required: send `Authorization: Bearer KEY` or `x-api-key: KEY`.")

    def _digest(self, key: bytes) -> bytes:
        digest = self._keyed.copy()
        digest.update(key)
        return digest.digest()


def read_keys(catalogue: Catalogue) -> Keys:
    """The keys in the file that `server.api_key_file` names; none if it is not set.

    Lines are `name: key` or just the key; `#` begins a comment line. Raises CatalogueError when the file cannot
    be read, or has no key: an empty file must not admit everybody.
    """
    named = catalogue.settings.server.api_key_file
    if named is None:
        return Keys()
    path = catalogue.path.absolute().parent / named
    try:
        keys = _parse(_read(path))
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogueError([f"server.api_key_file: {path} cannot be read: {error}"]) from error
    if not keys or not all(key for _, key in keys):
        raise CatalogueError([f"server.api_key_file: {path} has no key, or a name without one"])
    return Keys(keys)


def find_secret(catalogue: Catalogue, name: str) -> str | None:
    """The key of this name in the file that `server.api_key_file` names, None if it has none. Raises OSError and
    UnicodeDecodeError."""
    named = catalogue.settings.server.api_key_file
    if named is None:
        return None
    pairs = _parse(_read(catalogue.path.absolute().parent / named))
    return next((key for each, key in pairs if each == name), None)


def read_key_names(path: Path) -> frozenset[str]:
    """The names of the keys in a file. Raises OSError and UnicodeDecodeError."""
    return frozenset(name for name, _ in _parse(path.read_text(encoding="utf-8")))


def find_unmatched_rules(catalogue: Catalogue, names: Iterable[str]) -> Iterator[str]:
    """What is odd about `[keys.<name>]` and `[clients.<name>]`, if the keys have these names; one sentence each."""
    known = frozenset(names)
    for name in catalogue.keys:
        # The shipped catalogue has rules for the key that install.sh creates. Others may have removed it.
        if name not in known and name != INSTALLED_KEY:
            meant = did_you_mean(name, known) or "; add it, or remove the table"
            yield f"[{join_key('keys', name)}] has rules for a key that is not in server.api_key_file{meant}"
    for rule in catalogue.clients:
        for name in rule.keys:
            if name not in known:
                meant = did_you_mean(name, known) or "; add it, or change `keys`"
                yield f"[{join_key('clients', rule.name)}] names the key {quote(name)}, which does not exist{meant}"
    for name in sorted(known - catalogue.keys.keys()) if catalogue.keys.keys() - {INSTALLED_KEY} else ():
        table = join_key("keys", name)
        yield f"the API key {quote(name)} has no table [{table}]: it may use every model, without limits"


def _read(path: Path) -> str:
    if path != STDIN:
        return path.read_text(encoding="utf-8")
    if os.isatty(0):
        raise OSError("it is a terminal; a service manager opens a key file there")
    if os.fstat(0).st_nlink == 0:
        # An editor writes a new file in place of the old one, which is the one that is open here.
        raise OSError(
            "it was replaced since sparkd was started; `systemctl restart sparkd` reads the new one"
        )
    with open(0, encoding="utf-8", closefd=False) as given:
        if given.seekable():
            given.seek(0)  # it may have been read before
        return given.read()


def _parse(text: str) -> list[tuple[str, str]]:
    """Pairs of name and key."""
    lines = [line.strip() for line in text.splitlines()]
    return [_pair(line, number) for number, line in enumerate(lines, 1) if line and line[0] != "#"]


def _pair(line: str, number: int) -> tuple[str, str]:
    """Name and key. A key may have colons in it: only one with a space after it ends a name."""
    name, colon, key = f"{line} ".partition(": ")
    return (name.strip(), key.strip()) if colon else (f"line {number}", line)
