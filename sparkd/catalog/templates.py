"""What a model's chat template accepts: read from the template itself, or stated in the catalogue.

sparkd reads it by rendering small conversations, once the template is on disk. `[models.<id>.rewriting.template]`
states what cannot be read so, and takes precedence.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, structs

SystemMessages = Literal["anywhere", "first", "none"]


class Template(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[models.<id>.rewriting.template]`: what its chat template accepts. Unset fields are unknown."""

    system: Annotated[
        SystemMessages | None,
        Meta(
            description='System messages: "anywhere"; "first": one, before all others; "none". Unset and not read from '
            'the template: "first".'
        ),
    ] = None
    developer: Annotated[
        bool | None,
        Meta(description="The role `developer` means something to it. Unset and not read: false."),
    ] = None
    needs_user: Annotated[
        bool | None,
        Meta(description="It rejects a conversation without a user message. Unset and not read: true."),
    ] = None
    alternates: Annotated[
        bool | None,
        Meta(
            description="It rejects two messages of one role in a row, and a conversation that the assistant begins. "
            "Unset and not read: false."
        ),
    ] = None
    empty_assistant: Annotated[
        bool | None,
        Meta(
            description="It accepts an assistant message with neither text nor tool calls. Unset and not read: false."
        ),
    ] = None
    null_content: Annotated[
        bool | None,
        Meta(
            description="It accepts an assistant message whose content is null beside its tool calls. Unset and not "
            "read: false."
        ),
    ] = None
    short_call_ids: Annotated[
        bool | None,
        Meta(
            description="It rejects ids of tool calls other than nine letters or digits, as Mistral's do. Unset and "
            "not read: false."
        ),
    ] = None

    def filled_from(self, read: Template) -> Template:
        """These fields, and where one is unknown, that of `read`."""
        known = {name: value for name, value in structs.asdict(self).items() if value is not None}
        return structs.replace(read, **known)


UNKNOWN_TEMPLATE = Template()
"""A template of which nothing is known."""
