"""How requests for a model are rewritten: `[models.<id>.rewriting]`. docs/requests.md explains each key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from sparkd.catalog.bounds import Limits
from sparkd.catalog.templates import UNKNOWN_TEMPLATE, Template

Tokenizer = Literal["large", "small", "length"]
Tools = Literal["auto", "pass", "strip", "require"]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
"""Reasoning efforts, from the least to the most."""

Margin = Annotated[int, Meta(ge=0, le=2**31 - 1)]
RequestFields = Mapping[str, Any]


class Rewriting(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[models.<id>.rewriting]`: how requests for the model are rewritten. The defaults suit most models."""

    strip: Annotated[tuple[str, ...], Meta(description="Request fields that are always removed.")] = ()
    default: Annotated[
        RequestFields, Meta(description="Request fields that are added if the client does not set them.")
    ] = {}
    set: Annotated[
        RequestFields, Meta(description="Request fields that are always set, even if the client sets them.")
    ] = {}
    presets: Annotated[
        Mapping[str, RequestFields],
        Meta(
            description="Aliases that set request fields, such as "
            '`"gpt-oss-120b:high" = { reasoning_effort = "high" }`; they override `set`.'
        ),
    ] = {}
    drop_images: Annotated[
        bool,
        Meta(description="For a model without `vision`: remove images instead of rejecting the request."),
    ] = False
    join_text: Annotated[
        bool,
        Meta(
            description="Joins the text parts of a message into one text, for chat templates that accept no parts. "
            "Not with `vision`."
        ),
    ] = False
    alternate_roles: Annotated[
        bool,
        Meta(
            description="Makes roles alternate, starting with the user: merges neighbouring messages of one role, and "
            "moves system messages into the first user message."
        ),
    ] = False
    repair_history: Annotated[
        bool,
        Meta(
            description="Rewrites turns of a conversation that the engine or the chat template would reject. "
            "`template` says what the template accepts."
        ),
    ] = True
    tool_hints: Annotated[
        bool,
        Meta(
            description="For a model that writes lists and objects as strings, or calls tools when greeted: adds "
            "instructions against it to the system message and to the schemas of tools."
        ),
    ] = False
    cap_tokens: Annotated[
        bool,
        Meta(
            description="Keeps the requested tokens within the context, and rejects at once a request that cannot "
            "fit. Needs `context_length`."
        ),
    ] = True
    margin: Annotated[
        Margin | None,
        Meta(
            description="Tokens of the context that the token limit keeps free. Unset: a tenth of it, at least 512."
        ),
    ] = None
    tokenizer: Annotated[
        Tokenizer,
        Meta(
            description='How tokens are estimated: "large" for vocabularies of about 100,000 tokens and more, '
            '"small" for vocabularies of a few languages, "length" for four characters a token, as in sparkd\'s '
            "predecessor."
        ),
    ] = "large"
    tools: Annotated[
        Tools,
        Meta(
            description='"auto" rejects tools if the engine cannot read tool calls, as vLLM without '
            '`tool-call-parser`; "pass" never does; "strip" removes everything about tools; "require" makes the model '
            "call a tool until it has a result."
        ),
    ] = "auto"
    tool_types: Annotated[
        tuple[str, ...],
        Meta(
            description="Types of tools beside functions that its engine serves in /v1/responses, such as `namespace`. "
            "Others are removed, and namespaces become functions."
        ),
    ] = ()
    form_values: Annotated[
        bool,
        Meta(
            description="Leaves out fields that say nothing, reads numbers in quotes, and keeps numbers in their range."
        ),
    ] = True
    efforts: Annotated[
        tuple[Effort, ...],
        Meta(
            description='Reasoning efforts that the model knows, such as `["low", "medium", "high"]`; others become '
            "the nearest of them. Unset: all that the engine accepts. Not used with `thinking_switch`."
        ),
    ] = ()
    token_ids: Annotated[
        bool,
        Meta(
            description="Accepts token ids as the input of embeddings. Off, because they are usually those of another "
            "model."
        ),
    ] = False
    limits: Annotated[
        Limits, Meta(description="How much one request may ask for: `[models.<id>.rewriting.limits]`.")
    ] = Limits()
    thinking_switch: Annotated[
        bool,
        Meta(
            description="Converts `thinking` and reasoning efforts into the switch of the model's chat template that "
            "turns thinking on or off."
        ),
    ] = False
    disable_thinking: Annotated[
        bool, Meta(description="Turns thinking off unless the client requests it.")
    ] = False
    template: Annotated[
        Template,
        Meta(
            description="What its chat template accepts, where sparkd cannot read it from the template: "
            "`[models.<id>.rewriting.template]`."
        ),
    ] = UNKNOWN_TEMPLATE
