"""Recognizes client programs and kinds of requests by `[clients.<name>]`.

Headers, path and key are looked at for every request, and what they say is remembered. The body is looked at only for
a request whose model is not loaded: for all others, it makes no difference.

With API keys, headers and body may lower the priority of a request, but not raise it above that of its key: anybody
can send the headers of another program. A table with `keys`, which nobody can forge, may.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

from sparkd.catalog import Catalogue
from sparkd.catalog.client import UNKNOWN_CLIENT, Client
from sparkd.catalog.client_rules import ClientRule
from sparkd.catalog.definitions import Model
from sparkd.catalog.key_rules import KeyRules
from sparkd.catalog.patterns import compile_pattern
from sparkd.catalog.priority import Priority
from sparkd.gateway.admission.shapes import has_shape, is_probe, read_prompts
from sparkd.gateway.request_head import RequestHead
from sparkd.rewriting import JsonBody
from sparkd.rewriting.rewrite_context import Api

MAX_LOOKED_AT: Final = 300
"""Bytes of a header or path that are looked at."""

_RANKS: Final[dict[Priority, int]] = {"low": 0, "normal": 1, "high": 2}

_Head = tuple[str | None, bytes, tuple[bytes | None, ...]]
"""The key, the path, and the headers that some rule looks at."""


class HeadMatcher:
    """The conditions of one rule about the head of a request."""

    def __init__(self, rule: ClientRule, headers: tuple[bytes, ...]) -> None:
        self._keys = frozenset(rule.keys)
        self._paths = [compile_pattern(path).match for path in rule.paths]
        self._headers = [
            (headers.index(name.lower().encode()), compile_pattern(pattern).match)
            for name, pattern in rule.headers.items()
        ]

    def matches(self, head: _Head) -> bool:
        """Whether the head meets all conditions."""
        key, path, values = head
        if self._keys and key not in self._keys:
            return False
        if self._paths and not _matches_any(self._paths, path.decode("latin-1").casefold()):
            return False
        for index, matches in self._headers:
            value = values[index]
            if value is None or not matches(value.decode("latin-1").casefold()):
                return False
        return True


class ClientRecognizer:
    """The rules of one catalogue. `keys_required`: clients need an API key."""

    def __init__(self, catalogue: Catalogue, *, keys_required: bool) -> None:
        self._keys = catalogue.keys
        self._keys_required = keys_required
        self._rejects_probes = catalogue.settings.queue.probes == "reject"
        rules = sorted(catalogue.clients, key=lambda rule: -rule.conditions)
        self._headers = tuple(sorted({name.lower().encode() for rule in rules for name in rule.headers}))
        matchers = [(rule, HeadMatcher(rule, self._headers)) for rule in rules]
        self._by_head = [pair for pair in matchers if not pair[0].needs_body]
        self._by_body = [pair for pair in matchers if pair[0].needs_body]
        self._looks_at_path = any(rule.paths for rule in rules)
        self._is_needed = bool(self._by_head) or any(map(_concerns_requests, self._keys.values()))
        self._find = lru_cache(maxsize=1024)(self._find_by_head)

    def recognize(self, request: RequestHead) -> Client:
        """The client that the head says."""
        return self._find(self._read_head(request)) if self._is_needed else UNKNOWN_CLIENT

    def recognize_body(
        self, request: RequestHead, api: Api, model: Model, asked: str | None, body: JsonBody
    ) -> tuple[Client, bool]:
        """The client that the body says as well, and whether the request is a probe to reject.

        `model` is the requested model, and `asked` its name in the request.
        """
        head = self._read_head(request)
        prompts: tuple[str, ...] | None = None
        name = (asked or model.id).casefold()
        for rule, matcher in self._by_body:
            if not matcher.matches(head):
                continue
            if rule.models and not _matches_any(_compile(rule.models), name):
                continue
            if rule.shape is not None and not has_shape(rule.shape, api, body):
                continue
            if rule.prompts:
                if prompts is None:
                    prompts = read_prompts(api, body)
                if not any(text.startswith(rule.prompts) for text in prompts):
                    continue
            return self._combine(rule, request.key, request.client), rule.shape == "probe"
        return request.client, self._rejects_probes and is_probe(api, body)

    def _read_head(self, request: RequestHead) -> _Head:
        fields = request.fields
        values = tuple([_cut(fields.get(name)) for name in self._headers])
        return request.key, request.raw_path[:MAX_LOOKED_AT] if self._looks_at_path else b"", values

    def _find_by_head(self, head: _Head) -> Client:
        rule = next((rule for rule, matcher in self._by_head if matcher.matches(head)), None)
        return self._combine(rule, head[0], UNKNOWN_CLIENT)

    def _combine(self, rule: ClientRule | None, key: str | None, otherwise: Client) -> Client:
        """What the rule says, limited by the key; `otherwise` where it says nothing."""
        rights = self._keys.get(key or "")
        if rule is None:
            if rights is None:
                return otherwise
            return Client(heartbeat=rights.heartbeat, priority=rights.priority, background=rights.background)
        priority = rule.priority
        if priority is not None and self._keys_required and not rule.keys:
            highest = (rights.priority if rights else None) or "normal"
            if _RANKS[priority] > _RANKS[highest]:
                priority = None
        return Client(
            name=rule.name,
            heartbeat=(rights.heartbeat if rights else None) or rule.heartbeat or otherwise.heartbeat,
            priority=priority or (rights.priority if rights else None) or otherwise.priority,
            background=rule.background or otherwise.background or (rights is not None and rights.background),
        )


def _concerns_requests(rules: KeyRules) -> bool:
    return rules.heartbeat is not None or rules.priority is not None or rules.background


@lru_cache(maxsize=1024)
def _compile(patterns: tuple[str, ...]) -> tuple[Callable[[str], object], ...]:
    return tuple(compile_pattern(pattern).match for pattern in patterns)


def _matches_any(matches: Sequence[Callable[[str], object]], text: str) -> bool:
    return any(match(text) for match in matches)


def _cut(value: bytes | None) -> bytes | None:
    return value if value is None or len(value) <= MAX_LOOKED_AT else value[:MAX_LOOKED_AT]
