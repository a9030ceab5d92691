"""What a daemon knows of its models' chat templates, over the life of files and daemons."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from sparkd.catalog import Catalogue
from sparkd.catalog.reading import read_catalogue
from sparkd.catalog.templates import UNKNOWN_TEMPLATE
from sparkd.supervising.tasks import Tasks
from sparkd.supervising.template_facts import TemplateFacts
from sparkd.templates.reading import PROGRAM

LINES = "{% for m in messages %}{{ m.role }}{{ m.content }}{% endfor %}"
STRICT = (
    "{% for m in messages %}{% if m.role == 'system' and not loop.first %}{{ raise_exception('') }}{% endif %}"
    "{{ m.role }}{{ m.content }}{% endfor %}"
)


def catalogue(folder: Path, *names: str) -> Catalogue:
    (folder / "venvs" / "r").mkdir(parents=True, exist_ok=True)
    (folder / "venvs" / "r" / "runtime.toml").write_text("")
    (folder / "venvs" / "r" / "requirements.lock").write_text("")
    text = "".join(f'[models.{name}]\nruntime = "r"\nsource = "./{name}"\n' for name in names)
    (folder / "models.toml").write_text(text)
    return read_catalogue(folder / "models.toml")


def write_template(folder: Path, model: str, text: str) -> None:
    (folder / model).mkdir(exist_ok=True)
    (folder / model / "chat_template.jinja").write_text(text)


async def settle(facts: TemplateFacts, act: Callable[[], None]) -> int:
    """Do something; return how often the facts have changed once everything has been read."""
    changes = []
    facts.on_change = lambda: changes.append(1)
    act()
    await facts.settled()
    return len(changes)


def test_facts_follow_the_files(tmp_path: Path) -> None:
    async def scenario() -> None:
        write_template(tmp_path, "a", LINES)
        known = catalogue(tmp_path, "a", "b")
        a, b = known.models["a"], known.models["b"]
        facts = TemplateFacts(known, Tasks())
        assert facts.template_of(a) == UNKNOWN_TEMPLATE
        assert await settle(facts, facts.refresh) == 1
        assert facts.template_of(a).system == "anywhere"
        assert facts.template_of(b) == UNKNOWN_TEMPLATE
        assert await settle(facts, facts.refresh) == 0
        write_template(tmp_path, "b", LINES)  # downloaded
        write_template(tmp_path, "a", STRICT)  # edited
        assert await settle(facts, lambda: facts.refresh([b])) == 1
        assert (facts.template_of(a).system, facts.template_of(b).system) == ("anywhere", "anywhere")
        assert await settle(facts, facts.refresh) == 1
        assert facts.template_of(a).system == "first"
        new = catalogue(tmp_path, "b", "c")
        write_template(tmp_path, "c", STRICT)
        assert await settle(facts, lambda: facts.use_catalogue(new)) == 1
        assert facts.template_of(new.models["c"]).system == "first"

    asyncio.run(scenario())


def test_the_next_daemon_knows_them_at_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        write_template(tmp_path, "a", STRICT)
        known = catalogue(tmp_path, "a")
        first = TemplateFacts(known, Tasks())
        await settle(first, first.refresh)
        second = TemplateFacts(known, Tasks())
        assert (
            second.template_of(known.models["a"]) == first.template_of(known.models["a"]) != UNKNOWN_TEMPLATE
        )
        stored = known.folder("state") / "templates.json"
        for damage in (stored.read_bytes()[:-5], b"", b"\xff\xfe", b"[]", b'{"version": 0, "models": {}}'):
            stored.write_bytes(damage)
            third = TemplateFacts(known, Tasks())
            assert third.template_of(known.models["a"]) == UNKNOWN_TEMPLATE
            assert await settle(third, third.refresh) == 1
            assert third.template_of(known.models["a"]).system == "first"

    asyncio.run(scenario())


def test_a_disk_that_cannot_be_written_costs_only_the_memory(tmp_path: Path) -> None:
    async def scenario() -> None:
        write_template(tmp_path, "a", STRICT)
        known = catalogue(tmp_path, "a")
        known.folder("state").parent.mkdir(exist_ok=True)
        known.folder("state").write_text("a file where the folder should be")
        facts = TemplateFacts(known, Tasks())
        assert await settle(facts, facts.refresh) == 1
        assert facts.template_of(known.models["a"]).system == "first"

    asyncio.run(scenario())


def test_a_template_that_was_not_read_is_read_the_next_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    killed_once = f'[ -e {tmp_path}/killed ] && exec "$@"; touch {tmp_path}/killed; kill -9 $$'

    async def scenario() -> None:
        write_template(tmp_path, "a", STRICT)
        known = catalogue(tmp_path, "a")
        facts = TemplateFacts(known, Tasks(), program=("sh", "-c", killed_once, "sh", *PROGRAM))
        await settle(facts, facts.refresh)
        assert facts.template_of(known.models["a"]) == UNKNOWN_TEMPLATE
        assert "Cannot read the chat templates of a: " in caplog.text
        await settle(facts, facts.refresh)
        assert facts.template_of(known.models["a"]).system == "first"

    asyncio.run(scenario())
