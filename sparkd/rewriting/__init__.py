"""Body in, body out: a client's request becomes one that its engine understands. No I/O.

body        a JSON body whose top level is read and whose values stay bytes
payloads    pictures, set aside while a body is looked at
case        for whom: model, API, preset
rules       the ordered table, and `rewrite`, which goes through it
fields, images, text, hints, roles, window, tools, thinking    the rules themselves
prompt, estimate, image_size    how many tokens a prompt has
decoding    values looked into only as deep as a rule needs
"""

from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.case import Case, api_of
from sparkd.rewriting.rules import Rewritten, Rulebook, rewrite

__all__ = ["Case", "JsonBody", "Rewritten", "Rulebook", "api_of", "rewrite"]
