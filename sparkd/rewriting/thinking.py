"""Thinking, for models that can only switch it on or off.

Their chat templates read the switch from `chat_template_kwargs`, as `enable_thinking` or as `thinking`. Clients say
it in four other ways. Who says it plainest is heard: the template's own keys, then the flag, then an effort.
"""

from __future__ import annotations

import msgspec

from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.case import Case
from sparkd.rewriting.decoding import Fields, boolean_of, fields_of, is_null, raw, text_of

KWARGS = "chat_template_kwargs"
SWITCHES = ("enable_thinking", "thinking")
EFFORTS = ("reasoning_effort", "reasoningEffort")
KNOWN_EFFORTS = frozenset({"none", "minimal", "low", "medium", "high", "xhigh", "max", "auto"})


def thinking_flag(case: Case, body: JsonBody) -> JsonBody:
    """A `thinking` at the top becomes the template's switch. Anthropic's says `{"type": "enabled"}`."""
    wanted = _flag(case, body.fields.get("thinking"))
    if wanted is None:
        return body
    kwargs = fields_of(body.fields.get(KWARGS)) or {}
    given = next((kwargs[key] for key in SWITCHES if not is_null(kwargs.get(key))), raw(wanted))
    switches = {key: kwargs[key] if not is_null(kwargs.get(key)) else given for key in SWITCHES}
    return body.without(("thinking",)).with_field(KWARGS, {**kwargs, **switches})


def _flag(case: Case, thinking: msgspec.Raw | None) -> bool | None:
    if case.api != "messages":
        return boolean_of(thinking)
    kind = text_of((fields_of(thinking) or {}).get("type"))
    return {"enabled": True, "adaptive": True, "disabled": False}.get(kind or "")


def reasoning_effort(_: Case, body: JsonBody) -> JsonBody:
    """A reasoning effort becomes the template's switch: off for "none", on for any other that is known."""
    reasoning = fields_of(body.fields.get("reasoning"))
    effort = _effort(body, reasoning)
    if not effort:
        return body
    kwargs = fields_of(body.fields.get(KWARGS)) or {}
    body = _without_efforts(body, reasoning)
    if effort not in KNOWN_EFFORTS or any(key in kwargs for key in SWITCHES):
        return body
    return body.with_field(KWARGS, {**kwargs, **dict.fromkeys(SWITCHES, effort != "none")})


def quiet(_: Case, body: JsonBody) -> JsonBody:
    """Where nobody has said anything about thinking, it is off."""
    kwargs = fields_of(body.fields.get(KWARGS)) or {}
    if any(key in kwargs for key in SWITCHES):
        return body
    return body.with_field(KWARGS, {**kwargs, **dict.fromkeys(SWITCHES, False)})


def _effort(body: JsonBody, reasoning: Fields | None) -> str:
    places = [body.fields.get(name) for name in EFFORTS] + [(reasoning or {}).get("effort")]
    return next((text for place in places if (text := text_of(place)) is not None), "").strip().lower()


def _without_efforts(body: JsonBody, reasoning: Fields | None) -> JsonBody:
    body = body.without(EFFORTS)
    if not reasoning or "effort" not in reasoning:
        return body
    rest = {name: value for name, value in reasoning.items() if name != "effort"}
    return body.with_field("reasoning", rest) if rest else body.without(("reasoning",))
