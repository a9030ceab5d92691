"""Rules between the keys of one model. Each check is a generator of problems, one line each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from sparkd.catalog.definitions import PLACEHOLDERS
from sparkd.catalog.labels import ClientLimits, Clients
from sparkd.catalog.names import (
    NAME_RULE,
    RESERVED_PATH_SEGMENTS,
    is_alias,
    is_alias_pattern,
    is_option,
    is_variable,
)
from sparkd.catalog.nearest import did_you_mean
from sparkd.catalog.reading.drafts import Draft
from sparkd.catalog.times_of_day import parse_time_of_day

Check = Callable[[Draft], Iterator[str]]

_repository = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")
_branch = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+-]*")
_placeholder = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_domain = re.compile(r"[a-z0-9](?:[a-z0-9_.-]*[a-z0-9])?")
_variable_rule = "expected the name of a variable: letters, digits and _"


def _check_names(draft: Draft) -> Iterator[str]:
    model = draft.model
    if model.id in RESERVED_PATH_SEGMENTS:
        yield draft.report(
            f'"{model.id}" is the beginning of an API path (/v1/{model.id}); choose another id'
        )
    for alias in model.aliases:
        if alias in RESERVED_PATH_SEGMENTS:
            yield draft.report_key(f"is the beginning of an API path (/v1/{alias})", alias, "aliases")
        elif not is_alias_pattern(alias):
            yield draft.report_key(f"expected {NAME_RULE}; single slashes may join names", alias, "aliases")


def _check_presets(draft: Draft) -> Iterator[str]:
    if not draft.are_usable("rewriting"):
        return
    for alias in draft.model.rewriting.presets:
        if alias in RESERVED_PATH_SEGMENTS:
            text = f"is the beginning of an API path (/v1/{alias})"
            yield draft.report_key(text, alias, "rewriting", "presets")
        elif not is_alias(alias):
            text = f"expected {NAME_RULE}; single slashes may join names"
            yield draft.report_key(text, alias, "rewriting", "presets")


def _check_rewritten_fields(draft: Draft) -> Iterator[str]:
    rewriting, text = draft.model.rewriting, "sparkd sets the model itself"
    tables: list[tuple[Mapping[str, object], tuple[str, ...]]]
    tables = [(rewriting.set, ("set",)), (rewriting.default, ("default",))]
    tables += [(fields, ("presets", alias)) for alias, fields in rewriting.presets.items()]
    for fields, place in tables:
        if "model" in fields:
            yield draft.report_key(text, fields["model"], "rewriting", *place, "model")
    if "model" in rewriting.strip:
        yield draft.report_key(text, "model", "rewriting", "strip")


def _check_media_domains(draft: Draft) -> Iterator[str]:
    """Engines compare a domain with the host of an address, so any other value would allow nothing."""
    for domain in draft.model.media_domains:
        if _domain.fullmatch(domain) is None:
            bare = domain.lower().partition("://")[2] or domain.lower()
            host = bare.removeprefix("*.").partition("/")[0].partition(":")[0]
            meant = f'; did you mean "{host}"?' if _domain.fullmatch(host) else ""
            text = f'expected a whole domain in lower case, such as "upload.wikimedia.org"{meant}'
            yield draft.report_key(text, domain, "media_domains")


def _check_status(draft: Draft) -> Iterator[str]:
    model = draft.model
    if not model.enabled and not model.reason.strip() and draft.are_usable("reason"):
        yield draft.report_key(
            "a disabled model needs a reason, because rejected requests get it", model.status, "status"
        )


def _check_clients(draft: Draft) -> Iterator[str]:
    if not draft.are_usable("clients"):
        return
    for client in Clients.__struct_fields__:
        limits: ClientLimits = getattr(draft.model.clients, client)
        context = limits.context or draft.model.context_length
        if limits.output is not None and context is not None and limits.output >= context:
            text = f"expected less than the context ({context}), because the prompt needs some of it"
            yield draft.report_key(text, limits.output, "clients", client, "output")


def _check_times(draft: Draft) -> Iterator[str]:
    for text in draft.model.load_at:
        try:
            parse_time_of_day(text)
        except ValueError:
            yield draft.report_key(
                'expected a time of day, such as "07:00" or "Mon-Fri 18:30"', text, "load_at"
            )


def _check_engine(draft: Draft) -> Iterator[str]:
    model = draft.model
    if not draft.are_usable("engine"):
        return
    needed, foreign = (
        (("command",), "options") if model.engine == "command" else (("runtime", "source"), "command")
    )
    for key in needed:
        if draft.are_usable(key) and not getattr(model, key):
            yield draft.report(f'engine "{model.engine}" needs a {key}')
    if draft.has_own(foreign) and getattr(model, foreign):
        text = f'engine "{model.engine}" does not use {foreign}'
        yield draft.report_key(text, getattr(model, foreign), foreign)


def _check_source(draft: Draft) -> Iterator[str]:
    source = draft.model.source
    if source is None or source.startswith("/") or _repository.fullmatch(source):
        return
    if draft.model.engine != "command" and draft.are_usable("engine"):
        text = "expected a repository `org/name`, or a folder that begins with / or ./"
        yield draft.report_key(text, source, "source")


def _check_revision(draft: Draft) -> Iterator[str]:
    revision = draft.model.revision
    if revision is None or not draft.are_usable("revision"):
        return
    if not _branch.fullmatch(revision) or ".." in revision or revision.endswith("/"):
        yield draft.report_key("expected a branch, a tag or a commit of the source", revision, "revision")
    elif draft.model.source is None or draft.model.source.startswith("/"):
        yield draft.report_key(
            "only a repository has revisions, and the source is not one", revision, "revision"
        )


def _check_placeholders(draft: Draft) -> Iterator[str]:
    model = draft.model
    if model.engine != "command" or not draft.are_usable("engine"):
        return
    words = [("command", word) for word in model.command]
    words += [("environment", value) for value in model.environment.values()]
    for key, word in words:
        for name in _placeholder.findall(word):
            if name not in PLACEHOLDERS and key == "command":  # a variable may contain braces
                text = f"unknown placeholder {{{name}}}{did_you_mean(name, PLACEHOLDERS)}"
                yield draft.report_key(text, word, key)
            elif (
                name in ("source", "context_length")
                and draft.are_usable(name)
                and getattr(model, name) is None
            ):
                yield draft.report_key(f'uses {{{name}}}, but "{model.id}" has no {name}', word, key)


def _check_listening(draft: Draft) -> Iterator[str]:
    model = draft.model
    if (
        model.engine != "command"
        or not model.command
        or not draft.are_usable("engine", "command", "environment")
    ):
        return
    words = (*model.command, *model.environment.values())
    named = {name for word in words for name in _placeholder.findall(word)}
    misspelt = any(name not in PLACEHOLDERS for word in model.command for name in _placeholder.findall(word))
    if not misspelt and len(named & {"port", "socket"}) != 1:
        text = "expected either {port} or {socket} in it, so that sparkd knows where it listens"
        yield draft.report_key(text, model.command, "command")


def _check_health(draft: Draft) -> Iterator[str]:
    if not re.fullmatch(r"/[!-~]*", draft.model.health):
        yield draft.report_key('expected a path that begins with "/"', draft.model.health, "health")


def _check_variables(draft: Draft) -> Iterator[str]:
    for name, value in draft.model.environment.items():
        if not is_variable(name):
            yield draft.report_key(_variable_rule, value, "environment", name)


def _check_options(draft: Draft) -> Iterator[str]:
    for name, value in draft.model.options.items():
        if not is_option(name):
            dashes = "; leave out the dashes" if name.startswith("-") else ""
            yield draft.report_key(f"expected the name of a flag{dashes}", value, "options", name)


MODEL_CHECKS: tuple[Check, ...] = (
    _check_names,
    _check_presets,
    _check_rewritten_fields,
    _check_status,
    _check_clients,
    _check_times,
    _check_engine,
    _check_source,
    _check_revision,
    _check_placeholders,
    _check_listening,
    _check_health,
    _check_variables,
    _check_options,
    _check_media_domains,
)
"""Every check of one model, in the order in which problems are reported."""
