"""Long strings are found without looking at every byte, and short ones are searched without the long ones."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from sparkd.rewriting.spans import find_long_spans, is_in_short_string

BODIES = st.lists(st.sampled_from([b'"', b"x", b"xxxx", b"word"]), max_size=30).map(b"".join)


@given(BODIES, st.integers(1, 9))
def test_every_span_that_is_long_enough_is_found(body: bytes, least: int) -> None:
    quotes = [place for place, byte in enumerate(body) if byte == ord('"')]
    spans = [(begin + 1, end) for begin, end in itertools.pairwise(quotes) if end - begin - 1 >= least]
    assert list(find_long_spans(body, least)) == spans


@given(BODIES, st.integers(1, 9))
def test_a_short_string_that_is_there_is_never_missed(body: bytes, least: int) -> None:
    short = [string for string in body.split(b'"')[1:-1] if len(string) < least]
    if any(b"word" in string for string in short):
        assert is_in_short_string(b"word", body, least)


@given(BODIES)
def test_a_word_in_a_long_string_alone_is_passed_over(body: bytes) -> None:
    assert not is_in_short_string(b"word", b'{"text":"word%s"}' % body.replace(b'"', b"x").ljust(8, b"x"), 9)
