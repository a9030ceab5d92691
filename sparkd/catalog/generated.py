"""The generated part of a page in docs/: between two marks, with hand-written text above and below."""

from __future__ import annotations

from typing import Final

END: Final = "<!-- Generated up to here -->\n"


def replace_generated(page: str, mark: str, generated: str) -> str:
    """`page` with the text between `mark` and END replaced; without END, everything below `mark` is replaced."""
    above, mark, old = page.partition(mark)
    _, end, below = old.partition(END)
    return above + mark + generated + (f"\n{end}{below}" if end else "")
