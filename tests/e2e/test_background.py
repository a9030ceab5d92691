"""Requests that nobody waits for, over HTTP: nothing of another user's is unloaded for them."""

from __future__ import annotations

import httpx

from tests.e2e.conftest import Build
from tests.e2e.sparkd_process import SparkdProcess, engine

TITLE = "### Task:\nGenerate a concise, 3-5 word title with an emoji summarizing the chat history.\n"
RULES = {"title": {"prompts": ["### Task:\nGenerate a concise"], "background": True}}


def ask_title(sparkd: SparkdProcess, model: str, timeout: float = 60) -> httpx.Response:
    """Send the request for a title as Open WebUI does, after a chat with this model."""
    body = {"model": model, "messages": [{"role": "user", "content": TITLE}], "stream": False}
    return httpx.post(f"{sparkd.url}/v1/chat/completions", json=body, timeout=timeout)


def test_a_title_comes_from_the_utility_model_while_another_users_model_is_loaded(build: Build) -> None:
    sparkd = build(
        {
            "mine": engine(memory="6 GiB", tasks=["generate"]),
            "theirs": engine(memory="6 GiB", tasks=["generate"]),
            "utility": engine(memory="1 GiB", tasks=["generate"], lifecycle="utility"),
        },
        clients=RULES,
    )
    assert sparkd.chat("utility").status_code == 200
    assert sparkd.chat("theirs").status_code == 200
    for _ in range(3):
        answer = ask_title(sparkd, "mine")
        assert answer.status_code == 200
        assert answer.headers["x-sparkd-served-by"] == "utility"
        assert answer.headers["x-sparkd-rewrites"].startswith("background")
    assert sparkd.model("theirs").state == "ready"
    assert sparkd.model("mine").state == "stopped"
    assert "Stopping model" not in sparkd.log()


def test_without_a_utility_model_the_loaded_one_answers(build: Build) -> None:
    sparkd = build(
        {
            "mine": engine(memory="6 GiB", tasks=["generate"]),
            "theirs": engine(memory="6 GiB", tasks=["generate"]),
        },
        clients=RULES,
    )
    assert sparkd.chat("theirs").status_code == 200
    assert ask_title(sparkd, "mine").headers["x-sparkd-served-by"] == "theirs"
    assert sparkd.chat("mine").status_code == 200  # a user's own request loads its model
    assert sparkd.model("theirs").state == "stopped"


def test_a_title_that_no_other_model_can_write_is_put_off(build: Build) -> None:
    sparkd = build(
        {
            "mine": engine(memory="6 GiB"),
            "theirs": engine(memory="6 GiB"),
        },  # sparkd does not know what they do
        clients=RULES,
        queue={"on_busy": "reject"},
    )
    assert sparkd.chat("theirs").status_code == 200
    answer = ask_title(sparkd, "mine")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "background")
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert sparkd.model("theirs").state == "ready"
    assert "Stopping model" not in sparkd.log()
