"""What is read from templates that behave as those of well-known families do, in the process that reads them."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from msgspec import structs

from sparkd.catalog.templates import UNKNOWN_TEMPLATE, Template
from sparkd.templates.locations import TemplateLocation
from sparkd.templates.reading import read_templates

LINES = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{{ m.tool_calls or '' }}{% endfor %}"
LENIENT = Template(
    system="anywhere",
    developer=False,
    needs_user=False,
    alternates=False,
    empty_assistant=True,
    null_content=False,
    short_call_ids=False,
)


def locate(text: str) -> TemplateLocation:
    return TemplateLocation("/none", text if "{" in text else text + "{#")


def read(*texts: str) -> list[Template | None]:
    return asyncio.run(read_templates([locate(text) for text in texts]))


def guarded(condition: str) -> str:
    """A template that raises for a message with this condition."""
    return (
        f"{{% for m in messages %}}{{% if {condition} %}}{{{{ raise_exception('no') }}}}{{% endif %}}{{% endfor %}}"
        + LINES
    )


@pytest.mark.parametrize(
    ("template", "facts"),
    [
        pytest.param(LINES, {}, id="takes everything, and writes a null as None"),
        pytest.param(LINES.replace("m.content }}", "m.content or '' }}"), {"null_content": True}, id="nulls"),
        pytest.param(guarded("m.role == 'system' and not loop.first"), {"system": "first"}, id="Qwen 3.5"),
        pytest.param(guarded("m.role == 'system'"), {"system": "none"}, id="Gemma 2"),
        pytest.param(
            LINES.replace("for m in messages", "for m in messages if m.role != 'system'"),
            {"system": "none"},
            id="drops system messages",
        ),
        pytest.param(
            "{% for m in messages if m.role == 'system' %}{{ m.content }}{% endfor %}"
            + LINES.replace("for m in messages", "for m in messages if m.role != 'system'"),
            {"system": "first"},
            id="moves system messages to the front",
        ),
        pytest.param(
            "{% if not messages|selectattr('role', 'equalto', 'user')|list %}{{ raise_exception('') }}{% endif %}"
            + LINES,
            {"needs_user": True},
            id="wants a user message",
        ),
        pytest.param(
            guarded("m.role not in ('system', 'developer', 'user', 'assistant', 'tool')"),
            {"developer": True},
            id="knows the developer",
        ),
        pytest.param(
            guarded("not loop.first and m.role == 'user' and messages[loop.index0 - 1].role == 'user'"),
            {"alternates": True},
            id="no two users",
        ),
        pytest.param(guarded("loop.first and m.role == 'assistant'"), {"alternates": True}, id="user first"),
        pytest.param(
            guarded("m.role == 'assistant' and not m.content and not m.tool_calls"),
            {"empty_assistant": False},
            id="no empty assistant",
        ),
        pytest.param(
            guarded("m.role == 'tool' and m.tool_call_id|length != 9"),
            {"short_call_ids": True},
            id="short ids",
        ),
        pytest.param(guarded("m.tool_calls"), {"null_content": None}, id="no tool calls"),
        pytest.param(
            "{% for m in messages %}{% generation %}{{ m.role }}{{ m.content }}{% endgeneration %}{% endfor %}",
            {},
            id="training marks",
        ),
        pytest.param(
            "{% for m in messages %}{{ m.role }}{% for p in m.content if p.text %}{{ p.text }}{% endfor %}{% endfor %}",
            {},
            id="takes parts only",
        ),
        pytest.param("{{ strftime_now('%Y') }}{{ tools|tojson(indent=2) }}" + LINES, {}, id="functions"),
    ],
)
def test_a_template_says_what_it_accepts(template: str, facts: dict[str, object]) -> None:
    assert read(template) == [structs.replace(LENIENT, **facts)]


def test_special_tokens_can_be_printed(tmp_path: Path) -> None:
    (tmp_path / "tokenizer_config.json").write_text('{"bos_token": "<s>"}')
    template = "{% if bos_token != '<s>' %}{{ raise_exception('') }}{% endif %}" + LINES
    assert asyncio.run(read_templates([TemplateLocation(str(tmp_path), template)])) == [LENIENT]


HOSTILE = {
    "no template": "{% for",
    "takes nothing": "{{ raise_exception('') }}",
    "endless": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "huge": "{{ 'a' * 9999999999 }}",
    "huge filter": "{{ 'a'|center(9999999999) }}",
    "recursive": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "nested": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "escapes": "{{ ''.__class__.__mro__[1].__subclasses__() }}" + LINES,
    "calls": "{{ cycler.__init__.__globals__.os.system('touch /tmp/escaped') }}" + LINES,
    "empty": "",
    "NUL": "\0",
}


def test_hostile_templates_say_nothing_and_do_not_keep_others_from_being_read() -> None:
    assert read(*HOSTILE.values(), LINES) == [UNKNOWN_TEMPLATE] * len(HOSTILE) + [LENIENT]
    assert not Path("/tmp/escaped").exists()


def test_what_was_read_before_time_ran_out_counts() -> None:
    slow = locate(HOSTILE["endless"])
    found = asyncio.run(read_templates([locate(LINES), slow, slow, slow, locate(LINES)], time_limit=2.5))
    assert found == [LENIENT, UNKNOWN_TEMPLATE, None, None, None]


def test_a_template_whose_process_is_killed_costs_no_other() -> None:
    source = (
        "import os, sys, json; from sparkd.templates.__main__ import *\n"
        "for each in json.load(sys.stdin):\n"
        "    if 'kill' in each['given']: os.kill(os.getpid(), 9)\n"
        "    print(msgspec.json.encode(read(TemplateLocation(**each))).decode(), flush=True)"
    )
    locations = [locate(text) for text in (LINES, "{# kill #}", LINES, "{# kill #}")]
    found = asyncio.run(read_templates(locations, program=(sys.executable, "-c", source)))
    assert found == [LENIENT, None, LENIENT, None]


def test_reading_can_be_cancelled() -> None:
    async def scenario() -> None:
        reading = asyncio.ensure_future(read_templates([locate(HOSTILE["endless"])] * 20))
        await asyncio.sleep(0.3)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading

    asyncio.run(scenario())
