"""How requests are mended for a model: `[models.<id>.rewriting]`. docs/requests.md explains what each key does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

Tokenizer = Literal["large", "small", "quarter"]
Tools = Literal["pass", "strip", "require"]

Margin = Annotated[int, Meta(ge=0, le=2**31 - 1)]
RequestFields = Mapping[str, Any]


class Rewriting(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[models.<id>.rewriting]`: how requests are mended for the model. Everything is off but the token limit."""

    strip: Annotated[
        tuple[str, ...], Meta(description="Request fields taken out, whatever the client says.")
    ] = ()
    default: Annotated[
        RequestFields, Meta(description="Request fields put in where the client says nothing.")
    ] = {}
    set: Annotated[RequestFields, Meta(description="Request fields put in, whatever the client says.")] = {}
    presets: Annotated[
        Mapping[str, RequestFields],
        Meta(
            description="Aliases that set request fields, such as "
            '`"gpt-oss-120b:high" = { reasoning_effort = "high" }`; they win over `set`.'
        ),
    ] = {}
    drop_images: Annotated[
        bool,
        Meta(description="For a model without `vision`: leave images out instead of refusing the request."),
    ] = False
    join_text: Annotated[
        bool,
        Meta(
            description="Text given in parts becomes one text, for chat templates that take no parts. Not with "
            "`vision`."
        ),
    ] = False
    alternate_roles: Annotated[
        bool,
        Meta(
            description="Roles take turns, beginning with the user: neighbours of one role are merged, system "
            "messages move into the first user message."
        ),
    ] = False
    tool_hints: Annotated[
        bool,
        Meta(
            description="Tell a model that writes lists and objects as strings, or calls tools when greeted, not "
            "to: in the instructions and in the schemas of tools."
        ),
    ] = False
    cap_tokens: Annotated[
        bool,
        Meta(
            description="Keep what a client asks for in tokens within the context, and refuse at once what cannot "
            "fit. Needs `context_length`."
        ),
    ] = True
    margin: Annotated[
        Margin | None,
        Meta(
            description="Tokens of the context left alone by the token limit. Unset: a tenth of it, at least 512."
        ),
    ] = None
    tokenizer: Annotated[
        Tokenizer,
        Meta(
            description='How tokens are estimated: "large" for vocabularies of about 100,000 pieces and more, '
            '"small" for those made for a few languages, "quarter" for four characters a token, as sparkd\'s '
            "predecessor had it."
        ),
    ] = "large"
    tools: Annotated[
        Tools,
        Meta(
            description='"pass"; "strip" takes out everything about tools; "require" makes the model call one '
            "until it has a result."
        ),
    ] = "pass"
    thinking_switch: Annotated[
        bool,
        Meta(
            description="The model's thinking is on or off: `thinking` and reasoning efforts become that switch of "
            "its chat template."
        ),
    ] = False
    quiet: Annotated[bool, Meta(description="Thinking is off where the client does not ask for it.")] = False
