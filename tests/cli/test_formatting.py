"""Numbers formatted for people."""

from __future__ import annotations

import pytest

from sparkd.catalog.quantities import GIB, MIB
from sparkd.cli.output.formatting import format_count, format_duration, format_size


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-0.3, "0.0 s"),
        (0, "0.0 s"),
        (4.23, "4.2 s"),
        (9.97, "10 s"),
        (48.4, "48 s"),
        (59.7, "1 min"),
        (192, "3 min 12 s"),
        (3599.6, "1 h"),
        (7500, "2 h 5 min"),
        (86400 * 3 + 4 * 3600 + 59, "3 d 4 h"),
    ],
)
def test_durations_have_two_units_at_most(seconds: float, said: str) -> None:
    assert format_duration(seconds) == said


def test_sizes_are_in_gib() -> None:
    assert format_size(20 * GIB) == "20.0 GiB"
    assert format_size(300 * MIB) == "0.3 GiB"


def test_one_thing_is_not_many() -> None:
    assert [format_count(count, "model") for count in (0, 1, 2)] == ["0 models", "1 model", "2 models"]
