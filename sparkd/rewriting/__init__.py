"""Body in, body out: a client's request becomes one that its engine understands. No I/O."""

from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.rules import rewrite

__all__ = ["JsonBody", "rewrite"]
