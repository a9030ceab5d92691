"""How strict a model's chat template is about the order of roles."""

from __future__ import annotations

from sparkd.rewriting.rewrite_context import RewriteContext


def alternates_roles(context: RewriteContext) -> bool:
    """Whether roles must alternate."""
    return context.model.rewriting.alternate_roles or context.template.alternates is True
