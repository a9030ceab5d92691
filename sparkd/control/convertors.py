"""Numbers in paths: `{id:number}` in a route, once `register_convertors` has been called."""

from __future__ import annotations

from starlette.convertors import Convertor, register_url_convertor


class _NumberConvertor(Convertor[int]):
    """Starlette's own `int` also matches numbers of more digits than Python converts, and then fails."""

    regex = "[0-9]{1,18}"

    def convert(self, value: str) -> int:
        return int(value)

    def to_string(self, value: int) -> str:
        return str(value)


def register_convertors() -> None:
    """Have routes that are made from now on know `{…:number}`."""
    register_url_convertor("number", _NumberConvertor())
