"""Long strings are found without looking at every byte."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from sparkd.rewriting.spans import find_long_spans

BODIES = st.lists(st.sampled_from([b'"', b"x", b"xxxx", b"word"]), max_size=30).map(b"".join)


@given(BODIES, st.integers(1, 9))
def test_every_span_that_is_long_enough_is_found(body: bytes, least: int) -> None:
    quotes = [place for place, byte in enumerate(body) if byte == ord('"')]
    spans = [(begin + 1, end) for begin, end in itertools.pairwise(quotes) if end - begin - 1 >= least]
    assert list(find_long_spans(body, least)) == spans
