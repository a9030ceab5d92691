"""Body in, body out: a client's request becomes one that its engine understands. No I/O.

body        a JSON body whose top level is read and whose values stay bytes
payloads    pictures, set aside while a body is looked at
rewrite_context    for whom: model, API, preset
rules       the ordered table, and `rewrite`, which goes through it
fields, images, text, tool_hints, roles, context_window, tools, thinking    the rules themselves
token_count, token_estimate, image_size    how many tokens a prompt has
decoding    values looked into only as deep as a rule needs
"""

from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.rewrite_context import RewriteContext, detect_api
from sparkd.rewriting.rules import RequestRewriter, RewriteResult, rewrite

__all__ = ["JsonBody", "RequestRewriter", "RewriteContext", "RewriteResult", "detect_api", "rewrite"]
