"""Which requests are recognized, by the catalogue that is shipped and by an owner's own rules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sparkd.catalog import Catalogue
from sparkd.catalog.client import Client
from sparkd.catalog.client_rule import ClientRule
from sparkd.catalog.key_policy import KeyPolicy
from sparkd.catalog.reading import read_catalogue
from sparkd.catalog.settings import Queue, Settings
from sparkd.gateway.key_accounts import KeyAccount
from sparkd.gateway.paths import parse_path
from sparkd.gateway.recognition import Recognizer
from sparkd.gateway.request_head import RequestHead
from sparkd.rewriting import JsonBody, detect_api
from tests.clients.corpus import Request, read_corpus

SHIPPED = read_catalogue(Path(__file__).parents[2] / "models.toml")
CORPUS = list(read_corpus())
BACKGROUND = {"opencode-0": "opencode-title", "opencode-5": "opencode-title", "qwen-4": "qwen-code-memory"}
"""The requests of the corpus that nobody waits for: OpenCode's titles and Qwen Code's notes."""

TASK = "### Task:\n"
TITLE = f"{TASK}Generate a concise, 3-5 word title with an emoji summarizing the chat history.\n"


def recognize(
    path: str,
    headers: dict[str, str],
    body: dict[str, Any],
    *,
    catalogue: Catalogue = SHIPPED,
    key: str | None = None,
    policy: KeyPolicy | None = None,
) -> Client:
    raw_path, _, query = path.partition("?")
    head = RequestHead(
        {
            "server": ("127.0.0.1", 8009),
            "client": ("127.0.0.1", 50000),
            "method": "POST",
            "raw_path": raw_path.encode(),
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }
    )
    if key is not None:
        head.key = key
    if policy is not None:
        head.account = KeyAccount("ada")
        head.account.use_policy(policy, None)
        head.client = head.account.client
    recognizer = Recognizer(catalogue, needs_key=key is not None)
    recognizer.recognize_head(head, parse_path(head.raw_path).segments)
    parsed = JsonBody.parse(json.dumps(body).encode())
    recognizer.recognize_body(head, detect_api(raw_path), body.get("model"), parsed)
    return head.client


def chat(*texts: str, **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text} for text in texts]} | more


@pytest.mark.parametrize("request_", CORPUS, ids=lambda each: each.name)
def test_requests_of_real_programs_are_recognized_as_what_they_are(request_: Request) -> None:
    client = recognize(request_.path, request_.headers, request_.body)
    expected = BACKGROUND.get(request_.name)
    assert (client.name, client.background) == (expected or "", expected is not None)
    assert not client.is_probe


CLAUDE = {"user-agent": "claude-cli/2.1.332 (external, sdk-cli)"}
TOOLS = [{"name": "Read", "input_schema": {"type": "object", "properties": {}}}]
LONG = "Once upon a time. " * 2000

TASKS: list[tuple[str, str, dict[str, str], dict[str, Any]]] = [
    ("open-webui-tasks", "/v1/chat/completions", {}, chat(TITLE)),
    ("open-webui-tasks", "/v1/chat/completions", {}, chat(TITLE + LONG)),
    ("open-webui-tasks", "/v1/chat/completions", {}, chat(f"{TASK}Generate 1-3 broad tags categorizing")),
    (
        "open-webui-tasks",
        "/v1/chat/completions",
        {},
        chat(f"{TASK}Suggest 3-5 relevant follow-up questions or"),
    ),
    (
        "open-webui-tasks",
        "/v1/chat/completions",
        {},
        chat(f"{TASK}You are an autocompletion system. Continue"),
    ),
    ("claude-code-small-model", "/v1/messages", CLAUDE, chat("x", model="claude-haiku-4-5", tools=[])),
    (
        "claude-code-tasks",
        "/v1/messages",
        CLAUDE,
        chat(
            "hi",
            system=[
                {"type": "text", "text": "You are Claude Code, Anthropic's official CLI for Claude."},
                {"type": "text", "text": "Analyze if this message indicates a new conversation topic. If"},
            ],
        ),
    ),
    (
        "zed-title",
        "/v1/chat/completions",
        {},
        chat(
            LONG, "Generate a concise 3-7 word title for this conversation, omitting punctuation. Go straight"
        ),
    ),
    (
        "librechat-title",
        "/v1/chat/completions",
        {},
        chat("Provide a concise, 5-word-or-less title for the conversation, using title case conventions."),
    ),
    ("litellm-health", "/v1/chat/completions", {}, chat("test from litellm", max_tokens=1)),
]

NORMAL: list[tuple[str, dict[str, str], dict[str, Any]]] = [
    # Open WebUI's own prompt for documents, and the prompt for a picture that the user waits for
    ("/v1/chat/completions", {}, chat(f"{TASK}Respond to the user query using the provided context")),
    ("/v1/chat/completions", {}, chat(f"{TASK}Generate a detailed prompt for am image generation task")),
    ("/v1/chat/completions", {}, chat(f"Why does it say {TITLE}?")),
    ("/v1/chat/completions", {}, chat(f'{{"content": "{TITLE}"}}')),
    ("/v1/chat/completions", {}, chat("hi", max_tokens=1)),
    ("/v1/chat/completions", {}, chat("You are a title generator. Make one for my novel.")),
    ("/v1/messages", CLAUDE, chat("x", model="claude-haiku-4-5", tools=TOOLS)),
    ("/v1/messages", CLAUDE, chat("x", model="claude-sonnet-5", tools=[])),
    ("/v1/messages", {}, chat("x", model="claude-haiku-4-5")),
    # an agent that has read a file with such a text
    (
        "/v1/chat/completions",
        {},
        {
            "model": "m",
            "tools": [{"name": "x" * 5000}],
            "messages": [{"role": "system", "content": "x" * 300}, {"role": "tool", "content": TITLE}],
        },
    ),
]


@pytest.mark.parametrize(("name", "path", "headers", "body"), TASKS)
def test_tasks_of_programs_run_in_the_background(
    name: str, path: str, headers: dict[str, str], body: dict[str, Any]
) -> None:
    client = recognize(path, headers, body)
    assert (client.name, client.background) == (name, True)


@pytest.mark.parametrize(("path", "headers", "body"), NORMAL)
def test_what_a_user_waits_for_does_not(path: str, headers: dict[str, str], body: dict[str, Any]) -> None:
    assert not recognize(path, headers, body).background


def rules(settings: Settings | None = None, **clients: ClientRule) -> Catalogue:
    return Catalogue(
        path=Path("models.toml"), settings=settings or Settings(), models={}, runtimes={}, clients=clients
    )


PATH = "/v1/chat/completions"
VOICE = {"user-agent": "HomeAssistant/2026.11"}


@pytest.mark.parametrize(
    ("key", "policy", "priority"),
    [
        (None, None, "high"),
        ("ada", None, None),
        ("ada", KeyPolicy(), None),
        ("ada", KeyPolicy(priority="low"), "low"),
        ("ada", KeyPolicy(priority="high"), "high"),
    ],
)
def test_a_forged_header_raises_no_priority_where_keys_are_needed(
    key: str | None, policy: KeyPolicy | None, priority: str | None
) -> None:
    assert recognize(PATH, VOICE, chat("hi"), key=key, policy=policy).priority == priority


@pytest.mark.parametrize(
    ("own", "priority"), [(None, "high"), ("normal", "normal"), ("low", "low"), ("high", "high")]
)
def test_a_rule_that_names_the_key_may_raise_it_unless_the_key_has_one(own: Any, priority: str) -> None:
    catalogue = rules(
        voice=ClientRule(keys=("ad?",), headers={"User-Agent": "homeassistant/*"}, priority="high")
    )
    policy = KeyPolicy(priority=own)
    assert (
        recognize(PATH, VOICE, chat("hi"), catalogue=catalogue, key="ada", policy=policy).priority == priority
    )
    assert recognize(PATH, VOICE, chat("hi"), catalogue=catalogue, key="bob").priority is None


def test_marks_lower_what_a_key_has() -> None:
    catalogue = rules(batch=ClientRule(headers={"x-title": "batch"}, priority="low", background=True))
    policy = KeyPolicy(priority="high", heartbeat="off")
    client = recognize(PATH, {"x-title": "Batch"}, chat("hi"), catalogue=catalogue, key="ada", policy=policy)
    assert client == Client(name="batch", priority="low", background=True, heartbeat="off")
    assert recognize(PATH, {}, chat("hi"), catalogue=catalogue, key="ada", policy=policy).priority == "high"


def test_a_rule_with_more_marks_overrides_one_with_fewer() -> None:
    catalogue = rules(
        title=ClientRule(headers={"user-agent": "app/*"}, prompts=("Make a title",), priority="low"),
        app=ClientRule(headers={"user-agent": "app/*"}, heartbeat="comment", priority="normal"),
    )
    agent = {"user-agent": "app/1"}
    title = recognize(PATH, agent, chat("Make a title now"), catalogue=catalogue)
    assert title == Client(name="title", heartbeat="comment", priority="low")
    other = recognize(PATH, agent, chat("hi"), catalogue=catalogue)
    assert other == Client(name="app", heartbeat="comment", priority="normal")


def test_paths_and_probes_are_marks() -> None:
    catalogue = rules(
        Settings(queue=Queue(probes="reject")), anthropic=ClientRule(paths=("/v1/messages",), heartbeat="off")
    )
    assert recognize("/v1/messages", {}, chat("hello"), catalogue=catalogue).heartbeat == "off"
    assert recognize(PATH, {}, chat("hello"), catalogue=catalogue) == Client()
    probe = recognize(PATH, {}, chat("hi", max_tokens=1), catalogue=catalogue)
    assert (probe.name, probe.is_probe, probe.background) == ("health-check", True, True)


def test_text_beyond_ascii_is_found() -> None:
    catalogue = rules(title=ClientRule(prompts=("Schreibe eine Überschrift",), background=True))
    assert recognize(PATH, {}, chat("Schreibe eine Überschrift für"), catalogue=catalogue).background
