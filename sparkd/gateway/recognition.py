"""Recognizes client programs, and requests that nobody waits for, by the rules `[clients.<name>]` of the catalogue.

Every rule whose marks a request has counts. One with more marks overrides one with fewer: `opencode` may be a program,
and `opencode-title` one kind of its requests.

A request without a key may have any marks: the client chooses them. They can only make it wait longer than
others: with API keys, a rule gives the priority "high" only if it names the key.

The head alone decides most rules, and is remembered by what these rules look at. Bodies are only read where a rule
whose other marks the request has needs it, and then only their beginning and end.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final

import msgspec
from msgspec import Struct

from sparkd.catalog import Catalogue
from sparkd.catalog.client import UNKNOWN_CLIENT, Client
from sparkd.catalog.client_rule import ClientRule
from sparkd.catalog.patterns import compile_pattern
from sparkd.catalog.priority import Priority
from sparkd.gateway.request_head import RequestHead
from sparkd.gateway.shapes import has_shape
from sparkd.rewriting import JsonBody
from sparkd.rewriting.rewrite_context import Api

MAX_CACHED: Final = 500
"""Bytes of the marks of one head that are remembered. Clients without a key choose them."""

SEARCHED: Final = 2048
"""Bytes at the beginning and at the end of each text field in which a prompt is searched."""

MANY_TOOLS: Final = 4096
"""Bytes of `tools` from which on the request is an agent's: its messages may quote any file that it has read."""

BEGINNING_OF_AGENT: Final = 256
"""Bytes that are searched in an agent's request: only its system prompt begins there."""

_PROMPT_FIELDS: Final = ("messages", "input", "system", "instructions", "prompt")

_RANKS: Final[Mapping[Priority, int]] = {"low": 0, "normal": 1, "high": 2}


class _Rule(Struct, frozen=True):
    """A rule with its patterns compiled. `headers` pairs positions in the head's marks with patterns."""

    name: str
    rule: ClientRule
    headers: tuple[tuple[int, re.Pattern[str]], ...]
    keys: tuple[re.Pattern[str], ...]
    paths: tuple[re.Pattern[str], ...]
    models: tuple[re.Pattern[str], ...]
    prompts: tuple[bytes, ...]


class Recognized(Struct, frozen=True):
    """What a head says: the client, and the rules that the body decides, those with fewer marks first."""

    client: Client
    rules: tuple[_Rule, ...] = ()
    undecided: tuple[_Rule, ...] = ()


NOT_RECOGNIZED: Final = Recognized(UNKNOWN_CLIENT)

Marks = tuple[str | None, tuple[bytes, ...], tuple[str, ...]]
"""The name of the key, the values of the headers that rules look at, and the segments of the path if rules do."""


class Recognizer:
    """Recognizes clients by the rules of one catalogue. `needs_key`: every request has a key."""

    def __init__(self, catalogue: Catalogue, *, needs_key: bool) -> None:
        rules = dict(catalogue.clients)
        if catalogue.settings.queue.probes == "reject":
            rules |= {"health-check": ClientRule(shape="probe", background=True)}
        self._headers = sorted({name.lower().encode() for rule in rules.values() for name in rule.headers})
        compiled = [self._compile(name, rule) for name, rule in rules.items()]
        self._rules = sorted(compiled, key=lambda each: each.rule.conditions)
        self._looks_at_paths = any(rule.paths for rule in rules.values())
        self._needs_key = needs_key
        self._recognize_cached = lru_cache(maxsize=512)(self._recognize)

    def recognize_head(self, request: RequestHead, segments: tuple[str, ...]) -> None:
        """Set the client of a request, as far as its head says."""
        if not self._rules:
            return
        values = tuple([request.fields.get(name, b"") for name in self._headers])
        marks: Marks = (request.key, values, segments if self._looks_at_paths else ())
        is_short = sum(map(len, values)) + sum(map(len, marks[2])) <= MAX_CACHED
        request.recognized = (self._recognize_cached if is_short else self._recognize)(marks)
        request.client = self._with_key(request, request.recognized.client)

    def recognize_body(self, request: RequestHead, api: Api, name: str | None, body: JsonBody) -> None:
        """Complete the client of a request by its body. `name` is the one by which it asks for its model."""
        recognized = request.recognized
        if recognized is None or not recognized.undecided:
            return
        texts = _read_texts(body)
        matching = [rule for rule in recognized.undecided if _matches_body(rule, api, name, body, texts)]
        if matching:
            rules = sorted((*recognized.rules, *matching), key=lambda each: each.rule.conditions)
            request.client = self._with_key(request, self._merge(rules))

    def _compile(self, name: str, rule: ClientRule) -> _Rule:
        headers = tuple(
            (self._headers.index(header.lower().encode()), compile_pattern(pattern))
            for header, pattern in rule.headers.items()
        )
        return _Rule(
            name,
            rule,
            headers,
            tuple(map(compile_pattern, rule.keys)),
            tuple(map(compile_pattern, rule.paths)),
            tuple(map(compile_pattern, rule.models)),
            _encode_prompts(rule.prompts),
        )

    def _recognize(self, marks: Marks) -> Recognized:
        key, values, segments = marks
        texts = [value.decode("latin-1").casefold() for value in values]
        path = "/" + "/".join(segments).casefold()
        found = [
            each
            for each in self._rules
            if all(pattern.match(texts[position]) for position, pattern in each.headers)
            and (not each.paths or any(pattern.match(path) for pattern in each.paths))
            and (not each.keys or (key is not None and any(p.match(key.casefold()) for p in each.keys)))
        ]
        if not found:
            return NOT_RECOGNIZED
        decided = tuple(each for each in found if not each.rule.needs_body)
        undecided = tuple(each for each in found if each.rule.needs_body)
        return Recognized(self._merge(decided), decided, undecided)

    def _merge(self, rules: Sequence[_Rule]) -> Client:
        """The client that these rules describe together; a later one overrides."""
        if not rules:
            return UNKNOWN_CLIENT
        priority = heartbeat = None
        for each in rules:
            rule = each.rule
            if rule.priority is not None and (rule.priority != "high" or rule.keys or not self._needs_key):
                priority = rule.priority
            heartbeat = rule.heartbeat or heartbeat
        return Client(
            name=rules[-1].name,
            priority=priority,
            heartbeat=heartbeat,
            background=any(each.rule.background for each in rules),
            is_probe=any(each.rule.background and each.rule.shape == "probe" for each in rules),
        )

    def _with_key(self, request: RequestHead, client: Client) -> Client:
        """The client as the policy of its key has it, which it can only lower."""
        own = request.account.client if request.account is not None else UNKNOWN_CLIENT
        if own is UNKNOWN_CLIENT or client is UNKNOWN_CLIENT:
            return client if own is UNKNOWN_CLIENT else own
        return Client(
            name=client.name,
            priority=_lower(own.priority, client.priority),
            heartbeat=own.heartbeat or client.heartbeat,
            background=own.background or client.background,
            is_probe=client.is_probe,
        )


def _lower(one: Priority | None, other: Priority | None) -> Priority | None:
    """The lower of two priorities, of which None is the other one's."""
    if one is None or other is None:
        return one or other
    return one if _RANKS[one] <= _RANKS[other] else other


def _encode_prompts(prompts: Iterable[str]) -> tuple[bytes, ...]:
    """How JSON strings begin with these texts: characters beyond ASCII may be escaped or not."""
    forms = {
        form for prompt in prompts for form in (msgspec.json.encode(prompt), json.dumps(prompt).encode())
    }
    return tuple(sorted(form[:-1] for form in forms))


def _matches_body(each: _Rule, api: Api, name: str | None, body: JsonBody, texts: Sequence[bytes]) -> bool:
    if each.models and not any(pattern.match((name or "").casefold()) for pattern in each.models):
        return False
    if each.rule.prompts and not any(_has_value(text, prompt) for text in texts for prompt in each.prompts):
        return False
    return each.rule.shape is None or has_shape(each.rule.shape, api, body)


def _has_value(text: bytes, prompt: bytes) -> bool:
    """Whether a JSON string that begins so is all of the text, or the value of a key in it."""
    at = text.find(prompt)
    while at > 0:
        if text[:at].rstrip(b" \n").endswith(b":"):
            return True
        at = text.find(prompt, at + 1)
    return at == 0


def _read_texts(body: JsonBody) -> list[bytes]:
    """The parts of the body in which prompts are searched."""
    is_agent = _size(body.fields.get("tools")) >= MANY_TOOLS
    beginning = BEGINNING_OF_AGENT if is_agent else SEARCHED
    texts = []
    for field in _PROMPT_FIELDS:
        value = body.fields.get(field)
        if value is not None:
            text = memoryview(value)
            texts.append(bytes(text[:beginning]))
            if not is_agent and len(text) > SEARCHED:
                texts.append(b" " + bytes(text[-SEARCHED:]))
    return texts


def _size(value: msgspec.Raw | None) -> int:
    return 0 if value is None else len(memoryview(value))
