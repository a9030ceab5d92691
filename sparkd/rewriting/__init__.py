"""Rewrites requests for their engine: a body in, a body out. No I/O.

body        a JSON body whose top level is read and whose values stay bytes
encodings   the character encoding of a body, which must be UTF-8
payloads    long base64 payloads, cut out while a body is parsed
rewrite_context    the context of a rewrite: model, API, preset
rules       the ordered table of rules, and `rewrite`, which applies them
fields, images, text, tool_hints, roles, context_window, tools, thinking    the rules themselves
token_count, token_estimate, image_size    how many tokens a prompt has
decoding    values decoded only as deep as a rule needs
"""

from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.rewrite_context import RewriteContext, detect_api
from sparkd.rewriting.rules import RequestRewriter, RewriteResult, rewrite

__all__ = ["JsonBody", "RequestRewriter", "RewriteContext", "RewriteResult", "detect_api", "rewrite"]
