"""What must hold between the keys of one model. Each check is a generator of problems, one line each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from sparkd.catalog.definitions import PLACEHOLDERS
from sparkd.catalog.labels import ClientLimits, Clients
from sparkd.catalog.names import NAME_RULE, PATH_HEADS, is_alias, is_option, is_variable
from sparkd.catalog.nearest import did_you_mean
from sparkd.catalog.reading.drafts import Draft

Check = Callable[[Draft], Iterator[str]]

_repository = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")
_branch = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+-]*")
_placeholder = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_variable_rule = "expected the name of a variable: letters, digits and _"


def _names(draft: Draft) -> Iterator[str]:
    model = draft.model
    if model.id in PATH_HEADS:
        yield draft.tell(f'"{model.id}" is the beginning of an API path (/v1/{model.id}); choose another id')
    for alias in model.aliases:
        if alias in PATH_HEADS:
            yield draft.tell_key(f"is the beginning of an API path (/v1/{alias})", alias, "aliases")
        elif not is_alias(alias):
            yield draft.tell_key(f"expected {NAME_RULE}; slashes may join several", alias, "aliases")


def _presets(draft: Draft) -> Iterator[str]:
    if not draft.usable("rewriting"):
        return
    for alias in draft.model.rewriting.presets:
        if alias in PATH_HEADS:
            text = f"is the beginning of an API path (/v1/{alias})"
            yield draft.tell_key(text, alias, "rewriting", "presets")
        elif not is_alias(alias):
            text = f"expected {NAME_RULE}; slashes may join several"
            yield draft.tell_key(text, alias, "rewriting", "presets")


def _rewritten_fields(draft: Draft) -> Iterator[str]:
    rewriting, text = draft.model.rewriting, "sparkd itself names the model"
    tables: list[tuple[Mapping[str, object], tuple[str, ...]]]
    tables = [(rewriting.set, ("set",)), (rewriting.default, ("default",))]
    tables += [(fields, ("presets", alias)) for alias, fields in rewriting.presets.items()]
    for fields, place in tables:
        if "model" in fields:
            yield draft.tell_key(text, fields["model"], "rewriting", *place, "model")
    if "model" in rewriting.strip:
        yield draft.tell_key(text, "model", "rewriting", "strip")


def _status(draft: Draft) -> Iterator[str]:
    model = draft.model
    if not model.enabled and not model.reason.strip() and draft.usable("reason"):
        yield draft.tell_key("needs a reason, which those who ask are told", model.status, "status")


def _clients(draft: Draft) -> Iterator[str]:
    if not draft.usable("clients"):
        return
    for client in Clients.__struct_fields__:
        limits: ClientLimits = getattr(draft.model.clients, client)
        whole = limits.context or draft.model.context_length
        if limits.output is not None and whole is not None and limits.output >= whole:
            text = f"expected less than the context ({whole}), which holds the prompt too"
            yield draft.tell_key(text, limits.output, "clients", client, "output")


def _engine(draft: Draft) -> Iterator[str]:
    model = draft.model
    if not draft.usable("engine"):
        return
    needed, foreign = (
        (("command",), "options") if model.engine == "command" else (("runtime", "source"), "command")
    )
    for key in needed:
        if draft.usable(key) and not getattr(model, key):
            yield draft.tell(f'engine "{model.engine}" needs a {key}')
    if draft.says_itself(foreign) and getattr(model, foreign):
        text = f'engine "{model.engine}" has no {foreign}'
        yield draft.tell_key(text, getattr(model, foreign), foreign)


def _source(draft: Draft) -> Iterator[str]:
    source = draft.model.source
    if source is None or source.startswith("/") or _repository.fullmatch(source):
        return
    if draft.model.engine != "command" and draft.usable("engine"):
        text = "expected a repository `org/name`, or a folder that begins with / or ./"
        yield draft.tell_key(text, source, "source")


def _revision(draft: Draft) -> Iterator[str]:
    revision = draft.model.revision
    if revision is None or not draft.usable("revision"):
        return
    if not _branch.fullmatch(revision) or ".." in revision or revision.endswith("/"):
        yield draft.tell_key("expected a branch, a tag or a commit of the source", revision, "revision")
    elif draft.model.source is None or draft.model.source.startswith("/"):
        yield draft.tell_key("only a repository has revisions, and the source is none", revision, "revision")


def _placeholders(draft: Draft) -> Iterator[str]:
    model = draft.model
    if model.engine != "command" or not draft.usable("engine"):
        return
    words = [("command", word) for word in model.command]
    words += [("environment", value) for value in model.environment.values()]
    for key, word in words:
        for name in _placeholder.findall(word):
            if name not in PLACEHOLDERS and key == "command":  # a variable may have braces of its own
                text = f"unknown placeholder {{{name}}}{did_you_mean(name, PLACEHOLDERS)}"
                yield draft.tell_key(text, word, key)
            elif name in ("source", "context_length") and draft.usable(name) and getattr(model, name) is None:
                yield draft.tell_key(f'uses {{{name}}}, but "{model.id}" has no {name}', word, key)


def _listening(draft: Draft) -> Iterator[str]:
    model = draft.model
    if model.engine != "command" or not model.command or not draft.usable("engine", "command", "environment"):
        return
    words = (*model.command, *model.environment.values())
    named = {name for word in words for name in _placeholder.findall(word)}
    misspelt = any(name not in PLACEHOLDERS for word in model.command for name in _placeholder.findall(word))
    if not misspelt and len(named & {"port", "socket"}) != 1:
        text = "expected either {port} or {socket} in it, or nobody knows where it listens"
        yield draft.tell_key(text, model.command, "command")


def _health(draft: Draft) -> Iterator[str]:
    if not re.fullmatch(r"/[!-~]*", draft.model.health):
        yield draft.tell_key('expected a path that begins with "/"', draft.model.health, "health")


def _variables(draft: Draft) -> Iterator[str]:
    for name, value in draft.model.environment.items():
        if not is_variable(name):
            yield draft.tell_key(_variable_rule, value, "environment", name)


def _options(draft: Draft) -> Iterator[str]:
    for name, value in draft.model.options.items():
        if not is_option(name):
            dashes = "; leave out the dashes" if name.startswith("-") else ""
            yield draft.tell_key(f"expected the name of a flag{dashes}", value, "options", name)


MODEL_CHECKS: tuple[Check, ...] = (
    _names,
    _presets,
    _rewritten_fields,
    _status,
    _clients,
    _engine,
    _source,
    _revision,
    _placeholders,
    _listening,
    _health,
    _variables,
    _options,
)
"""Every check of one model, in the order its problems are told."""
