"""The terminal clients themselves, each against a real vLLM that calls their tools.

A client takes seconds to start, so most combinations are slow tests; of each kind, one that breaks first is not.
"""

from __future__ import annotations

import pytest

from tests.clients.pictures import write_picture
from tests.clients.programs import CLIENTS
from tests.clients.serving import ALTERNATING, CHANNELS, SHORT, SYSTEM_FIRST
from tests.clients.session import READ, RECALL, Session
from tests.e2e.sparkd_process import SparkdProcess

WITH_TOOLS = [name for name in CLIENTS if name != "aider"]
WITH_IMAGES = [name for name, client in CLIENTS.items() if client.attaches]

HELLO = "Hello from the scripted model."


def fast(values: list[str], *names: str) -> list[object]:
    """Return test parameters of which all are slow except `names`."""
    return [name if name in names else pytest.param(name, marks=pytest.mark.slow) for name in values]


def hold_session(session: Session, name: str, model: str) -> None:
    """Four requests, each with the whole history: a call, a second call, an answer, and a new prompt."""
    printed = session.prompt(name, READ, model=model)
    session.assert_all_answered()
    assert "The note says: lighthouse." in printed
    if CLIENTS[name].resumes:
        printed = session.prompt(name, RECALL, model=model, resume=True)
        session.assert_all_answered()
        assert "I remember: the note said lighthouse." in printed


@pytest.mark.parametrize("name", fast(WITH_TOOLS, "opencode", "codex", "claude", "pi"))
def test_a_session_with_tools_where_the_only_system_message_is_the_first(session: Session, name: str) -> None:
    hold_session(session, name, SYSTEM_FIRST)


@pytest.mark.parametrize("name", fast(WITH_TOOLS, "pi", "claude"))
def test_a_session_with_tools_where_turns_alternate_and_ids_are_short(session: Session, name: str) -> None:
    hold_session(session, name, ALTERNATING)


@pytest.mark.parametrize("name", fast(WITH_TOOLS, "codex"))
def test_a_session_with_tools_where_calls_come_one_by_one(session: Session, name: str) -> None:
    hold_session(session, name, CHANNELS)


@pytest.mark.slow
@pytest.mark.parametrize("model", [SYSTEM_FIRST, CHANNELS, ALTERNATING])
def test_aider_restores_its_history(session: Session, model: str) -> None:
    """It calls no tools. Its history begins with an example of another conversation."""
    assert HELLO in session.prompt("aider", "Say hello", model=model)
    assert HELLO in session.prompt("aider", "Say hello again", model=model, resume=True)
    session.assert_all_answered()


@pytest.mark.parametrize("name", fast(list(CLIENTS), "pi"))
def test_a_client_waits_for_a_model_that_is_not_loaded(
    sparkd: SparkdProcess, session: Session, name: str
) -> None:
    assert sparkd.sparkctl("stop", SYSTEM_FIRST).returncode == 0
    assert HELLO in session.prompt(name, "Say hello")
    session.assert_all_answered()
    assert sparkd.model(SYSTEM_FIRST).state == "ready"


@pytest.mark.parametrize("name", fast(list(CLIENTS), "opencode", "codex", "claude", "qwen"))
def test_a_client_sends_the_key_that_its_configuration_refers_to(session: Session, name: str) -> None:
    assert HELLO in session.prompt(name, "Say hello", key="sk-of-the-test")
    session.assert_all_answered()
    for exchange in session.generations:
        headers = {key.lower(): value for key, value in exchange.headers.items()}
        assert "sk-of-the-test" in (headers.get("authorization", "") + headers.get("x-api-key", ""))


# Claude Code prints a text of its own about every 404, Codex about every prompt that does not fit.
UNKNOWN = {
    **dict.fromkeys(CLIENTS, 'There is no model "system-fist"; did you mean "system-first"?'),
    "claude": "There's an issue with the selected model (system-fist).",
}
TOO_LONG = {
    **dict.fromkeys(CLIENTS, '"short" takes 256.'),
    "codex": "Codex ran out of room in the model's context window.",
}
# OpenCode shortens the session and tries again, for ever if its own prompt does not fit.
NOT_LOOPING = [name for name in CLIENTS if name != "opencode"]


@pytest.mark.parametrize("name", fast(list(CLIENTS), "codex", "claude", "pi"))
def test_a_client_shows_that_a_model_does_not_exist(session: Session, name: str) -> None:
    assert UNKNOWN[name] in session.prompt(name, "Say hello", model="system-fist")


@pytest.mark.parametrize("name", fast(NOT_LOOPING, "codex", "claude", "pi"))
def test_a_client_shows_that_a_prompt_does_not_fit(session: Session, name: str) -> None:
    assert TOO_LONG[name] in session.prompt(name, "Say hello", model=SHORT)


@pytest.mark.parametrize("name", fast(WITH_IMAGES, "codex", "pi"))
def test_a_client_shows_that_a_model_does_not_accept_images(session: Session, name: str) -> None:
    picture = write_picture(session.project / "picture.png")
    assert "does not accept images" in session.prompt(name, "Say hello", image=picture)


@pytest.mark.parametrize("name", fast(WITH_IMAGES, "pi"))
def test_images_are_left_out_for_a_model_whose_entry_says_so(session: Session, name: str) -> None:
    picture = write_picture(session.project / "picture.png")
    assert HELLO in session.prompt(name, "Say hello", model=CHANNELS, image=picture)
    session.assert_all_answered()
    assert any("drop-images" in exchange.rewrites for exchange in session.generations)
