"""Editing the texts of files that people have: whatever the configuration does not name stays as it was."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkd.clients.formats import InvalidText, edit_text, parse_text, render_text

ZED = """// Zed settings
//
// For information on how to configure Zed, see the documentation
{
  "icon_theme": "Material Icon Theme",
  "agent": {
    "default_profile": "ask", // I like to be asked
    "default_model": {
      "provider": "zed.dev",
      "model": "claude-sonnet-4-5",
    },
  },
  /* fonts */
  "ui_font_size": 16,
  "vim_mode": true,
}
"""


def edited(format_name: Any, text: str, **changes: Any) -> str:
    """The text with further values at its top; a value None removes one."""
    content = parse_text(format_name, text) or {}
    content.update(changes)
    return edit_text(format_name, text, {key: value for key, value in content.items() if value is not None})


def test_comments_and_trailing_commas_of_json_stay() -> None:
    agent = {"default_profile": "ask", "default_model": {"provider": "sparkd", "model": "coder"}}
    new = edited("json", ZED, agent=agent, language_models={"ollama": {}})
    expected = ZED.replace('"zed.dev"', '"sparkd"').replace('"claude-sonnet-4-5"', '"coder"')
    assert new == expected.replace(
        '  "vim_mode": true,\n', '  "vim_mode": true,\n  "language_models": {\n    "ollama": {}\n  },\n'
    )


def test_a_comma_is_put_before_a_comment_that_follows_the_last_member() -> None:
    text = '{\n\t"a": 1 // one, and the last\n\t// more to come\n}\n'
    assert edited("json", text, b=[1]) == (
        '{\n\t"a": 1, // one, and the last\n\t// more to come\n\t"b": [\n\t\t1\n\t]\n}\n'
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": 1, "b": 2, "c": 3}', '{"a": 1, "c": 3}'),
        ('{\n  "a": 1,\n  "b": 2 // two\n}', '{\n  "a": 1\n}'),
        ('{\n  "a": 1,\n  "b": 2,\n}', '{\n  "a": 1,\n}'),
        ('{"b": 2}', "{}"),
    ],
)
def test_a_member_leaves_with_its_comma_and_its_comment(text: str, expected: str) -> None:
    result = edited("json", text, b=None)
    assert result == expected or parse_text("json", result) == parse_text("json", expected)
    assert "two" not in result


def test_a_byte_order_mark_and_windows_line_ends_stay() -> None:
    format_name: Any
    for format_name, text in (
        ("json", '\ufeff{\r\n  "a": 1\r\n}\r\n'),
        ("toml", "\ufeffa = 1\r\n"),
        ("yaml", "\ufeffa: 1\r\n"),
    ):
        new = edited(format_name, text, b=2)
        assert new.startswith("\ufeff")
        assert new.count("\n") == new.count("\r\n") >= 2
        assert parse_text(format_name, new) == {"a": 1, "b": 2}


def test_comments_and_order_of_toml_stay() -> None:
    text = """# my Codex
model = "gpt-5"   # the best
approval_policy = "on-request"
notify = [
    "notify-send", # desktop
]

[mcp_servers.docs]
command = "docs-mcp"
env = { "KEY" = "x" }

[projects."/home/me/code"]
trust_level = "trusted"
"""
    new = edited("toml", text, model="coder", model_providers={"sparkd": {"base_url": "http://spark"}})
    assert new == text.replace('"gpt-5"', '"coder"') + (
        '\n[model_providers.sparkd]\nbase_url = "http://spark"\n'
    )


def test_a_key_of_the_top_comes_before_the_tables_of_toml() -> None:
    new = edited("toml", '[tui]\ntheme = "dark"\n', model="coder")
    assert parse_text("toml", new) == {"model": "coder", "tui": {"theme": "dark"}}
    assert new.index("model") < new.index("[tui]")


@pytest.mark.parametrize("dash", ["", "  "])
def test_comments_and_indentation_of_yaml_stay(dash: str) -> None:
    text = f"""# my models
name: Local
version: 1.0.0
schema: v1
models:
{dash}- name: "Claude" # at work
{dash}  provider: anthropic
{dash}  apiKey: '${{{{ secrets.ANTHROPIC }}}}'

rules:
{dash}- Be brief.
"""
    content = parse_text("yaml", text)
    content["models"].append({"name": "coder (sparkd)", "provider": "openai"})
    new = edit_text("yaml", text, content)
    assert parse_text("yaml", new) == content
    for line in text.splitlines():
        assert line in new.splitlines()
    assert f"{dash}- name: coder (sparkd)\n{dash}  provider: openai\n" in new


def test_an_anchor_that_would_change_elsewhere_is_refused() -> None:
    with pytest.raises(InvalidText, match="cannot edit"):
        edit_text("yaml", "a: &one {x: 1}\nb: *one\n", {"a": {"x": 2}, "b": {"x": 1}})


@pytest.mark.parametrize(
    ("format_name", "text", "line"),
    [
        ("json", '{\n  "a": 1\n  "b": 2\n}', 3),
        ("json", "{\n  \"a\": '1'\n}", 2),
        ("json", '{"a": "unfinished\n}', 1),
        ("json", '{"a": 1} x', 1),
        ("json", "{" * 5000, None),
        ("json", '{"a" 1}', 1),
        ("json", '{"a": "\\x"}', 1),
        ("toml", 'a = 1\nb = "x\n', 2),
        ("toml", "a = 1\na = 2\n", None),
        ("yaml", "a: 1\n b: 2\n", 2),
        ("yaml", "a: 1\na: 2\n", 2),
        ("yaml", "a: [1\n", None),
    ],
)
def test_an_invalid_text_is_reported_with_its_line(format_name: Any, text: str, line: int | None) -> None:
    with pytest.raises(InvalidText) as raised:
        parse_text(format_name, text)
    assert line is None or raised.value.line == line


@pytest.mark.parametrize("format_name", ["json", "toml", "yaml"])
@pytest.mark.parametrize("text", ["", "\n", "  \n"])
def test_an_empty_text_becomes_a_new_one(format_name: Any, text: str) -> None:
    assert parse_text(format_name, text) is None
    assert edit_text(format_name, text, {"a": {"b": 1}}) == render_text(format_name, {"a": {"b": 1}})


def test_a_text_of_comments_keeps_them() -> None:
    assert edit_text("json", "// later\n", {"a": 1}).startswith("// later\n{")
    assert edit_text("yaml", "# later\n", {"a": 1}) == "# later\na: 1\n"


SCALARS = st.one_of(st.booleans(), st.none(), st.integers(-(10**9), 10**9), st.text(max_size=6))
NAMES = st.sampled_from(["id", "name", "a", "b", "c", 'd"', "é"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=12,
)


@given(
    st.dictionaries(NAMES, VALUES, max_size=4),
    st.dictionaries(NAMES, VALUES, max_size=4),
    st.sampled_from([None, 2, "\t"]),
)
def test_any_json_becomes_any_other(old: Any, new: Any, indent: int | str | None) -> None:
    text = json.dumps(old, indent=indent)
    result = edit_text("json", text, new)
    assert parse_text("json", result) == new
    assert edit_text("json", result, new) == result


@given(st.dictionaries(NAMES, VALUES, max_size=4), st.dictionaries(NAMES, VALUES, max_size=4))
def test_json_with_comments_and_trailing_commas_becomes_any_other(old: Any, new: Any) -> None:
    text = json.dumps(old, indent=2)
    lines = [f"{line}  // a comment" for line in text.splitlines()]
    result = edit_text("json", "\n".join(lines) + "\n", new)
    assert parse_text("json", result) == new


PRINTABLE = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=6)
TABLES = st.dictionaries(
    NAMES, st.recursive(PRINTABLE, lambda inner: st.dictionaries(NAMES, inner, max_size=3)), max_size=4
)


@given(TABLES, TABLES, st.sampled_from(["toml", "yaml"]))
def test_any_toml_or_yaml_becomes_any_other_or_is_refused(old: Any, new: Any, format_name: Any) -> None:
    text = render_text(format_name, old)
    try:
        result = edit_text(format_name, text, new)
    except InvalidText:
        return
    assert parse_text(format_name, result) == new
