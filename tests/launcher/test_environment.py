"""Which variables of a model may differ from the launcher's."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sparkd.launcher.environment import PREFIXES_READ_BY_C, RESET_BY_THE_LAUNCHER, find_difference

NAMES = st.sampled_from(
    [
        "HOME",
        "VLLM_A",
        "VLLM_B",
        "HF_HOME",
        "TMPDIR",
        "TMP",
        "OMP_NUM_THREADS",
        "LD_PRELOAD",
        "LANG",
        "tz",
        "TZ",
    ]
)
ENVIRONMENTS = st.dictionaries(NAMES, st.sampled_from(["", "0", "1"]))
READ = st.frozensets(NAMES)


@given(ENVIRONMENTS, READ)
def test_equal_environments_never_differ(environment: dict[str, str], read: frozenset[str]) -> None:
    assert find_difference(environment, dict(environment), read) is None


@given(ENVIRONMENTS, ENVIRONMENTS, READ)
def test_a_difference_is_one_that_matters(
    launcher: dict[str, str], model: dict[str, str], read: frozenset[str]
) -> None:
    name = find_difference(launcher, model, read)
    if name is None:
        assert all(launcher.get(each) == model.get(each) for each in read - RESET_BY_THE_LAUNCHER)
        assert {k: v for k, v in launcher.items() if k.startswith(PREFIXES_READ_BY_C)} == {
            k: v for k, v in model.items() if k.startswith(PREFIXES_READ_BY_C)
        }
    else:
        assert launcher.get(name) != model.get(name)
        assert name in read or name.startswith(PREFIXES_READ_BY_C)
        assert name not in RESET_BY_THE_LAUNCHER


@given(ENVIRONMENTS, ENVIRONMENTS, READ, READ)
def test_reading_more_allows_less(
    launcher: dict[str, str], model: dict[str, str], read: frozenset[str], more: frozenset[str]
) -> None:
    if find_difference(launcher, model, read):
        assert find_difference(launcher, model, read | more)


@given(ENVIRONMENTS, ENVIRONMENTS, READ)
def test_the_answer_does_not_depend_on_the_side_or_the_order(
    launcher: dict[str, str], model: dict[str, str], read: frozenset[str]
) -> None:
    answer = find_difference(launcher, model, read)
    assert find_difference(model, launcher, read) == answer
    backwards = dict(reversed(launcher.items()))
    assert find_difference(backwards, dict(reversed(model.items())), sorted(read)) == answer


def test_a_variable_that_is_empty_differs_from_one_that_is_not_set() -> None:
    assert find_difference({"VLLM_A": ""}, {}, {"VLLM_A"}) == "VLLM_A"
    assert find_difference({}, {"VLLM_A": ""}, {"VLLM_A"}) == "VLLM_A"
    assert find_difference({}, {"VLLM_A": ""}, {"VLLM_B"}) is None
