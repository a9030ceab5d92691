"""The terminal clients themselves, each against a real vLLM that calls their tools."""

from __future__ import annotations

import pytest

from tests.clients.programs import CLIENTS
from tests.clients.session import READ, RECALL, Session

TOOLS = [name for name in CLIENTS if name != "aider"]


@pytest.mark.parametrize("name", TOOLS)
def test_a_session_with_tools_goes_on_when_it_is_resumed(session: Session, name: str) -> None:
    """Four requests, each with the whole history: a call, a second call, an answer, and a new prompt."""
    assert "The note says: lighthouse." in session.prompt(name, READ)
    assert "I remember: the note said lighthouse." in session.prompt(name, RECALL, resume=True)
    session.assert_all_answered()
