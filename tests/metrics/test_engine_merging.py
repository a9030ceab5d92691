"""The metrics of several engines in one text: names, labels, contradictions, and anything that an engine may send."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sparkd.metrics.engine_merging import MAX_LINE, MAX_LINES, merge
from tests.metrics.contrib import find_program
from tests.metrics.records import samples

VLLM = b"""# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="%(name)s"} 2.0
# HELP vllm:prompt_tokens_total Number of prefill tokens processed.
# TYPE vllm:prompt_tokens_total counter
vllm:prompt_tokens_total{engine="0",model_name="%(name)s"} 120.0
# HELP vllm:prompt_tokens_created Number of prefill tokens processed.
# TYPE vllm:prompt_tokens_created gauge
vllm:prompt_tokens_created{engine="0",model_name="%(name)s"} 1.7e+09
# HELP vllm:time_to_first_token_seconds Histogram of time to first token in seconds.
# TYPE vllm:time_to_first_token_seconds histogram
vllm:time_to_first_token_seconds_bucket{engine="0",le="0.1",model_name="%(name)s"} 1.0
vllm:time_to_first_token_seconds_bucket{engine="0",le="+Inf",model_name="%(name)s"} 3.0
vllm:time_to_first_token_seconds_count{engine="0",model_name="%(name)s"} 3.0
vllm:time_to_first_token_seconds_sum{engine="0",model_name="%(name)s"} 2.5
# HELP python_info Python platform information
# TYPE python_info gauge
python_info{implementation="CPython",version="3.12.3"} 1.0
"""


def vllm(name: str) -> bytes:
    return VLLM % {b"name": name.encode()}


def merged(**texts: bytes) -> tuple[dict[str, float], dict[str, str], str]:
    """The samples, what was wrong, and the text."""
    found = merge(texts)
    text = found.body.decode()
    return samples(text), found.problems, text


def test_names_and_labels_stay_as_they_are() -> None:
    found, problems, text = merged(a=vllm("a"), b=vllm("b"))
    assert problems == {}
    for name in ("a", "b"):
        for line in vllm(name).decode().splitlines():
            series, _, value = line.rpartition(" ")
            if series.startswith("vllm:"):
                assert found[series] == float(value)
        assert found[f'python_info{{implementation="CPython",model_name="{name}",version="3.12.3"}}'] == 1.0
        assert found[f'sparkd_engine_up{{model_name="{name}"}}'] == 1.0
    for family in (
        "vllm:num_requests_running gauge",
        "vllm:prompt_tokens_total counter",
        "python_info gauge",
    ):
        assert text.count(f"# TYPE {family}\n") == 1


def test_all_lines_of_a_family_are_together() -> None:
    _, _, text = merged(a=vllm("a"), b=vllm("b"), c=b"llamacpp:requests_processing 1\n")
    names = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(names) == len(set(names))
    current = ""
    for line in text.splitlines():
        if line.startswith("#"):
            current = line.split()[2]
        else:
            assert line.startswith(current)


def test_promtool_reads_the_whole() -> None:
    body = merge({"a": vllm("a"), "b": vllm("b"), "c": b"tgi_request_count 1\n"}, ["d"]).body
    ran = subprocess.run(
        [find_program("promtool"), "check", "metrics"], input=body, capture_output=True, check=False
    )
    assert b"error while linting" not in ran.stderr
    assert ran.returncode in (0, 3)  # 3: the names of engines break conventions


def test_a_model_name_that_is_not_the_id_is_kept_under_another_label() -> None:
    found, problems, _ = merged(qwen=b'vllm:num_requests_running{model_name="Qwen/Qwen3-8B"} 1\n')
    assert problems == {}
    assert found['vllm:num_requests_running{exported_model_name="Qwen/Qwen3-8B",model_name="qwen"}'] == 1.0


def test_a_counter_without_total_keeps_its_name() -> None:
    text = b"# TYPE tgi_request_count counter\ntgi_request_count 7\n# TYPE x_total counter\nx_total 8\n"
    _, problems, text_out = merged(tgi=text)
    assert problems == {}
    assert '# TYPE tgi_request_count counter\ntgi_request_count{model_name="tgi"} 7.0\n' in text_out
    assert '# TYPE x_total counter\nx_total{model_name="tgi"} 8.0\n' in text_out


def test_values_that_are_not_numbers_of_the_usual_kind() -> None:
    _, problems, text = merged(m=b"a NaN\nb +Inf\nc -Inf\nd 1e3 1700000000000\ne 7\n")
    assert problems == {}
    for line in ("a{} NaN", "b{} +Inf", "c{} -Inf", "d{} 1000.0", "e{} 7.0"):
        assert line.replace("{}", '{model_name="m"}') + "\n" in text


def test_labels_with_everything() -> None:
    text = 'a{x="quo\\"te \\\\ and\\nline",y="ü, 語 = {}"} 1\n'.encode()
    found, problems, text_out = merged(m=text)
    assert problems == {}
    assert found['a{model_name="m",x="quo"te \\ and\nline",y="ü, 語 = {}"}'] == 1.0
    assert len([line for line in text_out.splitlines() if line.startswith("a{")]) == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"vllm:num_requests_running{mod", "incomplete"),
        (b"a 1\nb 2", "incomplete"),
        (b"<html>502</html>\n", "text format"),
        (b'{"detail": "Not Found"}\n', "text format"),
        (b"a one\n", "text format"),
        (b"a{x=1} 1\n", "text format"),
        (b'a{x="1",x="2"} 1\n', "text format"),
        (b'a{__x="1"} 1\n', "text format"),
        (b"# TYPE a nonsense\na 1\n", "text format"),
        (b"\xff\xfe\x00\n", "text format"),
        (b"a" * (MAX_LINE + 1) + b" 1\n", "longer"),
        (b"a 1\n" * (MAX_LINES + 1), "lines"),
        (b'a{x="' + b'y="",' * 1000 + b"\n", "text format"),
    ],
)
def test_an_engine_that_sends_nonsense_is_left_out_and_the_others_are_served(
    text: bytes, reason: str
) -> None:
    found, problems, _ = merged(bad=text, good=vllm("good"))
    assert list(problems) == ["bad"]
    assert reason in problems["bad"]
    assert found['sparkd_engine_up{model_name="bad"}'] == 0.0
    assert found['sparkd_engine_up{model_name="good"}'] == 1.0
    assert found['vllm:num_requests_running{engine="0",model_name="good"}'] == 2.0
    assert not [name for name in found if 'model_name="bad"' in name and "engine_up" not in name]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (b"# TYPE python_info counter\npython_info_total 5\nb 1\n", 'b{model_name="bad"}'),
        (b"a 1\na 2\nb 1\n", 'a{model_name="bad"}'),
        (b"a " + b"9" * 400 + b"\nb 1\n", 'b{model_name="bad"}'),
        (b'{"with.dots"} 1\nb 1\n', 'b{model_name="bad"}'),
    ],
)
def test_only_what_is_wrong_is_left_out(text: bytes, kept: str) -> None:
    found, problems, _ = merged(good=vllm("good"), bad=text)
    assert list(problems) in (["bad"], [])
    assert kept in found
    assert 'python_info{implementation="CPython",model_name="good",version="3.12.3"}' in found


def test_a_family_of_two_types_is_served_as_the_first_engine_has_it() -> None:
    found, problems, text = merged(a=b"# TYPE x gauge\nx 1\n", b=b"# TYPE x histogram\nx_count 1\ny 2\n")
    assert problems == {"b": "x is a histogram here, and a gauge elsewhere"}
    assert found['x{model_name="a"}'] == 1.0
    assert found['y{model_name="b"}'] == 2.0
    assert "x_count" not in text


def test_without_engines_there_is_nothing() -> None:
    assert merge({}).body == b""
    assert merge({}, ["down"]).body.endswith(b'sparkd_engine_up{model_name="down"} 0\n')


LINES = st.lists(
    st.one_of(
        st.text(max_size=60),
        st.from_regex(r"\A# (TYPE|HELP) [a-z_:]{1,6} (gauge|counter|histogram|summary|info|unknown|x)?\Z"),
        st.from_regex(
            r'\A[a-z_:]{1,6}(_total|_count|_bucket)?(\{[a-z_]{1,4}="[^"\n]{0,9}"(,le="1")?\})? [0-9]{1,5}( 1)?\Z'
        ),
    ),
    max_size=12,
)


@given(LINES, LINES, st.booleans())
@example(["# TYPE a counter", "a 1"], ["# TYPE a_total counter", "a_total 1"], False)
@example(["# TYPE a info", "a_info 1"], ["a 1"], False)
def test_whatever_engines_send_the_result_is_valid(first: list[str], second: list[str], cut: bool) -> None:
    texts = {
        "a": "\n".join([*first, ""]).encode("utf-8", "replace"),
        "b": "\n".join([*second, ""]).encode("utf-8", "replace"),
    }
    if cut:
        texts["a"] = texts["a"][:-3]
    found = merge(texts)
    text = found.body.decode()
    parsed = samples(text)
    lines = [line for line in text.split("\n") if line and not line.startswith("#")]
    assert len(parsed) == len(lines), "no series is there twice"
    for model in texts:
        assert parsed[f'sparkd_engine_up{{model_name="{model}"}}'] == float(model not in found.problems)
    assert all("model_name=" in line for line in lines)
