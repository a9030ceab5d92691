"""Requests of real clients are recognized as what they are, and none that a user waits for as one in the background."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from sparkd.catalog import Catalogue
from sparkd.catalog.client import Client
from sparkd.catalog.client_rules import ClientRule
from sparkd.catalog.key_rules import KeyRules
from sparkd.catalog.reading import read_catalogue
from sparkd.catalog.settings import Settings
from sparkd.gateway.admission.client_recognition import ClientRecognizer
from sparkd.gateway.request_head import RequestHead
from sparkd.rewriting import JsonBody, detect_api
from tests.clients.corpus import Request, read_corpus
from tests.gateway.gateways import model
from tests.models import CLONE

SHIPPED = read_catalogue(CLONE / "models.toml")
CORPUS = list(read_corpus())
TITLES = {"opencode-0", "opencode-5"}
"""The recorded requests that no user waits for."""

CLAUDE = {"user-agent": "claude-cli/2.1.332 (external, cli)"}
CODEX = {"user-agent": "codex_cli_rs/0.171.0 (Debian 12.0.0; x86_64) xterm"}
CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
TOOLS = [{"type": "function", "function": {"name": "read"}}]
TASK = "### Task:\n"


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def blocks(*texts: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": text} for text in texts]


BACKGROUND: list[tuple[str, str, dict[str, str], dict[str, Any]]] = [
    (
        "open-webui-tasks",
        CHAT,
        {},
        {"messages": [user(TASK + "Generate a concise, 3-5 word title with an emoji summarizing")]},
    ),
    (
        "open-webui-tasks",
        CHAT,
        {},
        {"messages": [user(TASK + "Generate 1-3 broad tags categorizing the main themes of")]},
    ),
    (
        "open-webui-tasks",
        CHAT,
        {},
        {"messages": [user(TASK + "Suggest 3-5 relevant follow-up questions or prompts")]},
    ),
    (
        "open-webui-tasks",
        CHAT,
        {},
        {"messages": [user(TASK + "You are an autocompletion system. Continue the text")]},
    ),
    (
        "claude-code-small",
        MESSAGES,
        CLAUDE,
        {"model": "claude-haiku-4-5", "messages": [user("Is this a path?")]},
    ),
    (
        "claude-code-title",
        MESSAGES,
        CLAUDE,
        {
            "system": blocks(
                "x-anthropic-billing-header: a",
                "You are Claude Code",
                "Generate a concise, sentence-case title (3-7 words) that captures",
            ),
            "messages": [user("hi")],
            "tools": [],
        },
    ),
    (
        "codex-title",
        RESPONSES,
        CODEX,
        {
            "input": [
                {
                    "type": "message",
                    "role": "user",
                    "content": [
                        {
                            "type": "input_text",
                            "text": "Generate a concise, single-line task title of at most 36 characters",
                        }
                    ],
                }
            ],
            "tools": [],
        },
    ),
    (
        "zed-title",
        CHAT,
        {},
        {
            "messages": [
                user("Fix it"),
                {"role": "assistant", "content": "Done"},
                user("Generate a concise 3-7 word title for this conversation, omitting punctuation."),
            ]
        },
    ),
    (
        "librechat-title",
        CHAT,
        {},
        {
            "messages": [
                user(
                    "Provide a concise, 5-word-or-less title for the conversation, using title case conventions."
                )
            ]
        },
    ),
]

PROBES: list[tuple[str, str, dict[str, str], dict[str, Any]]] = [
    ("claude-code-quota", MESSAGES, CLAUDE, {"max_tokens": 1, "messages": [user("quota")]}),
    ("litellm-health", CHAT, {}, {"max_tokens": 5, "messages": [user("What's 1 + 1?")]}),
    ("litellm-health", CHAT, {}, {"max_tokens": 5, "messages": [user("test from litellm")]}),
]

NORMAL: list[tuple[str, str, dict[str, str], dict[str, Any]]] = [
    # Search queries and the description of an image: a user waits for them.
    (
        "",
        CHAT,
        {},
        {
            "messages": [
                user(TASK + "Analyze the chat history to determine the necessity of generating search")
            ]
        },
    ),
    ("", CHAT, {}, {"messages": [user(TASK + "Generate a detailed prompt for am image generation task")]}),
    # A title that a user asks for, or asks about.
    ("", CHAT, {}, {"messages": [user("Generate a title for my essay")]}),
    ("", CHAT, {}, {"messages": [user(f"What does {TASK}Generate a concise, 3-5 word title mean?")]}),
    (
        "",
        CHAT,
        {},
        {
            "messages": [
                user(TASK + "Generate 1-3 broad tags categorizing the main themes of"),
                {"role": "assistant", "content": "No"},
                user("Why?"),
            ]
        },
    ),
    ("", CHAT, {}, {"messages": [user("hi")], "max_tokens": 1}),
    ("", CHAT, {}, {"messages": [user("What's 1 + 1?")]}),
    ("claude-code", MESSAGES, CLAUDE, {"model": "claude-opus-4", "messages": [user("hi")]}),
    (
        "claude-code",
        MESSAGES,
        CLAUDE,
        {"model": "claude-haiku-4-5", "messages": [user("find it")], "tools": TOOLS},
    ),
    # Codex compacts a session: its user waits.
    (
        "codex",
        RESPONSES,
        CODEX,
        {"input": [user("You are performing a CONTEXT CHECKPOINT COMPACTION. Create a handoff summary")]},
    ),
    (
        "",
        CHAT,
        {"user-agent": "ai-sdk/openai-compatible"},
        {
            "messages": [
                {"role": "system", "content": "You are a title generator. You output ONLY a thread title."},
                user("hi"),
            ]
        },
    ),
    ("", CHAT, {}, {"messages": "broken"}),
    ("", CHAT, {}, {"messages": [1, None]}),
    (
        "",
        CHAT,
        {},
        {
            "messages": [
                user("x" * 300_000),
                user(TASK + "Generate 1-3 broad tags categorizing the main themes"),
            ]
        },
    ),
    ("", "/v1/embeddings", {}, {"input": "quota"}),
]


def head(path: str = CHAT, headers: Mapping[str, str] | None = None, key: str | None = None) -> RequestHead:
    pairs = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    scope = {
        "server": None,
        "client": None,
        "method": "POST",
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": pairs,
    }
    request = RequestHead(scope)
    request.key = key
    return request


def recognize(
    path: str,
    headers: Mapping[str, str],
    body: dict[str, Any],
    *,
    catalogue: Catalogue = SHIPPED,
    key: str | None = None,
) -> tuple[Client, bool]:
    recognizer = ClientRecognizer(catalogue, keys_required=key is not None)
    request = head(path, headers, key)
    request.client = recognizer.recognize(request)
    parsed = JsonBody.parse(json.dumps(body).encode())
    return recognizer.recognize_body(request, detect_api(path), model("m"), parsed.model, parsed)


@pytest.mark.parametrize("request_", CORPUS, ids=lambda request: request.name)
def test_recorded_requests_are_in_the_background_only_if_they_are_for_titles(request_: Request) -> None:
    client, is_probe = recognize(request_.path, request_.headers, request_.body)
    assert (client.background, is_probe) == (request_.name in TITLES, False)
    program = request_.name.partition("-")[0]
    known = {"claude": "claude-code", "codex": "codex", "opencode": "opencode", "qwen": "qwen-code"}
    expected = known.get(program, "")
    assert client.name == (f"{expected}-title" if request_.name in TITLES else expected)


@pytest.mark.parametrize(("name", "path", "headers", "body"), BACKGROUND)
def test_small_jobs_of_clients_are_in_the_background(
    name: str, path: str, headers: dict[str, str], body: dict[str, Any]
) -> None:
    assert recognize(path, headers, body) == (Client(name=name, background=True), False)


@pytest.mark.parametrize(("name", "path", "headers", "body"), PROBES)
def test_probes_are_recognized(name: str, path: str, headers: dict[str, str], body: dict[str, Any]) -> None:
    assert recognize(path, headers, body) == (Client(name=name, background=True), True)


@pytest.mark.parametrize(("name", "path", "headers", "body"), NORMAL)
def test_nothing_that_a_user_waits_for_is_in_the_background(
    name: str, path: str, headers: dict[str, str], body: dict[str, Any]
) -> None:
    assert recognize(path, headers, body) == (Client(name=name), False)


def test_a_voice_assistant_has_a_high_priority_even_with_tools() -> None:
    system = {
        "role": "system",
        "content": "You are a voice assistant for Home Assistant.\nAnswer in plain text.",
    }
    body = {"messages": [system, user("lights on")], "tools": TOOLS}
    assert recognize(CHAT, {}, body)[0] == Client(name="home-assistant", priority="high")


def rules(*clients: ClientRule, **keys: dict[str, Any]) -> Catalogue:
    """A catalogue with these rules."""
    made = {name: KeyRules(name=name, **fields) for name, fields in keys.items()}
    return Catalogue(
        path=CLONE / "models.toml", settings=Settings(), models={}, runtimes={}, keys=made, clients=clients
    )


VOICE = ClientRule(name="voice", headers={"User-Agent": "HA/*"}, priority="high")
SLOW = ClientRule(name="slow", headers={"user-agent": "HA/*"}, priority="low", background=True)


@pytest.mark.parametrize(
    ("client", "key", "fields", "priority"),
    [
        (VOICE, None, {}, "high"),  # without keys, everybody is trusted
        (VOICE, "k", {}, None),  # any program can send this header
        (VOICE, "k", {"priority": "low"}, "low"),
        (VOICE, "k", {"priority": "high"}, "high"),
        (VOICE, "other", {"priority": "high"}, None),
        (SLOW, "k", {"priority": "high"}, "low"),
        (ClientRule(name="v", headers={"user-agent": "HA/*"}, keys=("k",), priority="high"), "k", {}, "high"),
        (ClientRule(name="v", keys=("other",), priority="high"), "k", {"priority": "low"}, "low"),
    ],
)
def test_a_forged_header_raises_no_priority_above_the_keys(
    client: ClientRule, key: str | None, fields: dict[str, Any], priority: str | None
) -> None:
    catalogue = rules(client, k=fields)
    recognizer = ClientRecognizer(catalogue, keys_required=key is not None)
    found = recognizer.recognize(head(headers={"user-agent": "HA/2026"}, key=key))
    assert found.priority == priority
    assert found.background == client.background


def test_the_table_with_the_most_conditions_applies() -> None:
    general = ClientRule(name="general", headers={"user-agent": "a*"})
    special = ClientRule(name="special", headers={"user-agent": "a*"}, paths=("/v1/audio/*",))
    recognizer = ClientRecognizer(rules(general, special), keys_required=False)
    assert recognizer.recognize(head("/v1/audio/speech", {"user-agent": "A/1"})).name == "special"
    assert recognizer.recognize(head(CHAT, {"user-agent": "A/1"})).name == "general"
    assert recognizer.recognize(head(CHAT)).name == ""
