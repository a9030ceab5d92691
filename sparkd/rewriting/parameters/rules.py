"""The rules of this package, in groups that the table of all rules takes its place for."""

from __future__ import annotations

from sparkd.rewriting.parameters.bounds import BOUNDED_FIELDS, reject_excess
from sparkd.rewriting.parameters.dependent_fields import DEPENDENT_FIELDS, fix_dependent_fields
from sparkd.rewriting.parameters.efforts import EFFORT_PLACES, fit_effort, passes_efforts
from sparkd.rewriting.parameters.engine_facts import runs_vllm
from sparkd.rewriting.parameters.form_values import read_form_values
from sparkd.rewriting.parameters.formats import FORMAT_FIELDS, fix_format
from sparkd.rewriting.parameters.known_fields import FIELDS
from sparkd.rewriting.parameters.media import MEDIA_TRAITS
from sparkd.rewriting.parameters.media_addresses import reject_media
from sparkd.rewriting.parameters.responses_fields import (
    CHOICE_FIELDS,
    STORE_FIELDS,
    fix_responses_fields,
    reject_stored_responses,
)
from sparkd.rewriting.parameters.stops import clean_stops
from sparkd.rewriting.parameters.template_fields import (
    TEMPLATE_FIELDS,
    check_logit_bias,
    check_template_fields,
)
from sparkd.rewriting.parameters.thinking_budgets import BUDGET_FIELDS, fit_thinking_budget
from sparkd.rewriting.parameters.thinking_fields import THINKING_FIELDS, move_thinking_field
from sparkd.rewriting.parameters.token_ids import reject_token_ids
from sparkd.rewriting.parameters.tool_choice import fix_tool_choice
from sparkd.rewriting.parameters.tool_schemas import complete_schemas
from sparkd.rewriting.parameters.tool_support import lacks_tools, reject_tools
from sparkd.rewriting.parameters.tool_types import remove_foreign_tools
from sparkd.rewriting.rewrite_context import ALL_APIS, CONVERSATION_APIS, GENERATING_APIS, Api, RewriteContext
from sparkd.rewriting.rule import Rule
from sparkd.rewriting.tools import TOOL_FIELDS

EMBEDDINGS_API: frozenset[Api] = frozenset({"embeddings"})
RESPONSES_API: frozenset[Api] = frozenset({"responses"})

ALL_FIELDS = frozenset(name for fields in FIELDS.values() for name in fields)

_TOOLS = frozenset({"tools"})


def _always(_: RewriteContext) -> bool:
    return True


def _reads_forms(context: RewriteContext) -> bool:
    return context.model.rewriting.form_values


VALUE_RULES = (
    Rule(
        "form-values",
        "form_values",
        _reads_forms,
        GENERATING_APIS,
        read_form_values,
        ALL_FIELDS | {"messages"},
    ),
    Rule(
        "dependent-fields",
        "form_values",
        _reads_forms,
        GENERATING_APIS,
        fix_dependent_fields,
        DEPENDENT_FIELDS,
    ),
    Rule("formats", "form_values", _reads_forms, GENERATING_APIS, fix_format, FORMAT_FIELDS),
    Rule("responses-fields", "form_values", _reads_forms, RESPONSES_API, fix_responses_fields, CHOICE_FIELDS),
    Rule(
        "stored-responses",
        "always",
        lambda context: runs_vllm(context.model),
        RESPONSES_API,
        reject_stored_responses,
        STORE_FIELDS,
    ),
    Rule("template-fields", "always", _always, CONVERSATION_APIS, check_template_fields, TEMPLATE_FIELDS),
    Rule(
        "logit-bias",
        "always",
        lambda context: runs_vllm(context.model),
        GENERATING_APIS,
        check_logit_bias,
        frozenset({"logit_bias"}),
    ),
)
"""Before the owner's own defaults: a field that says nothing is not set."""

MEDIA_RULES = (
    Rule(
        "stops", "limits.stops", _always, GENERATING_APIS, clean_stops, frozenset({"stop", "stop_sequences"})
    ),
    Rule("limits", "limits", _always, GENERATING_APIS | EMBEDDINGS_API, reject_excess, BOUNDED_FIELDS),
    Rule(
        "token-ids",
        "token_ids",
        lambda context: not context.model.rewriting.token_ids,
        EMBEDDINGS_API,
        reject_token_ids,
        frozenset({"input"}),
    ),
    Rule("media", "media_domains", _always, ALL_APIS, reject_media, turns=MEDIA_TRAITS),
)
"""After the rules that remove images."""

TOOL_RULES = (
    Rule("tool-types", "tool_types", _always, CONVERSATION_APIS, remove_foreign_tools, _TOOLS),
    Rule("tool-schemas", "always", _always, CONVERSATION_APIS, complete_schemas, _TOOLS),
    Rule("tool-choice", "always", _always, CONVERSATION_APIS, fix_tool_choice, frozenset(TOOL_FIELDS)),
    Rule(
        "tool-support",
        "tools",
        lambda context: lacks_tools(context.model),
        CONVERSATION_APIS,
        reject_tools,
        _TOOLS,
    ),
)
"""Before tokens are counted: tools that are removed take none."""

EFFORT_RULES = (
    Rule("enable-thinking", "always", _always, CONVERSATION_APIS, move_thinking_field, THINKING_FIELDS),
    Rule(
        "effort",
        "efforts",
        lambda context: passes_efforts(context.model),
        CONVERSATION_APIS,
        fit_effort,
        EFFORT_PLACES,
    ),
    Rule("thinking-budget", "always", _always, GENERATING_APIS, fit_thinking_budget, BUDGET_FIELDS),
)
"""After the limit of tokens, which is the most that a budget may be."""
