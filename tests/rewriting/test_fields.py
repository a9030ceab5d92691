"""Fields that the owner strips, sets, or puts behind an alias."""

from sparkd.rewriting import RewriteContext, detect_api
from tests.rewriting.examples import PIXEL, model, rewrite_request, rewrite_to_dict


def test_fields_are_stripped_defaulted_and_set() -> None:
    context = RewriteContext(model(strip=("seed",), default={"top_k": 20, "n": 1}, set={"temperature": 0.6}))
    body = {"seed": 7, "n": 3, "temperature": 2}
    assert rewrite_to_dict(body, context) == {"n": 3, "temperature": 0.6, "top_k": 20}
    assert rewrite_request(body, context).rewrites == ("strip", "default", "set")


def test_a_null_says_nothing() -> None:
    assert rewrite_to_dict({"n": None}, RewriteContext(model(default={"n": 1}))) == {"n": 1}


def test_what_is_so_already_is_no_change() -> None:
    assert (
        rewrite_request({"temperature": 0.6}, RewriteContext(model(set={"temperature": 0.6}))).rewrites == ()
    )


def test_a_preset_sets_fields_for_whoever_asks_by_its_name() -> None:
    entry = model(set={"top_k": 1}, presets={"m:high": {"reasoning_effort": "high", "top_k": 2}})
    assert rewrite_to_dict({}, RewriteContext(entry, name="m:high")) == {
        "reasoning_effort": "high",
        "top_k": 2,
    }
    assert rewrite_to_dict({}, RewriteContext(entry, name="m")) == {"top_k": 1}


def test_a_preset_speaks_the_language_of_responses() -> None:
    entry = model(presets={"m:high": {"reasoning_effort": "high"}})
    context = RewriteContext(entry, "responses", "m:high")
    assert rewrite_to_dict({"reasoning": {"summary": "auto"}}, context) == {
        "reasoning": {"summary": "auto", "effort": "high"}
    }


def test_a_presets_effort_reaches_the_switch() -> None:
    entry = model(
        thinking_switch=True, disable_thinking=True, presets={"m:think": {"reasoning_effort": "high"}}
    )
    assert (
        rewrite_to_dict({}, RewriteContext(entry, name="m:think"))["chat_template_kwargs"]["thinking"] is True
    )


def test_embeddings_are_not_given_fields_of_conversations() -> None:
    entry = model(strip=("seed",), default={"n": 1}, set={"temperature": 1}, presets={"p": {"top_k": 1}})
    assert rewrite_to_dict({"seed": 1}, RewriteContext(entry, "other", "p")) == {"seed": 1}


def test_the_api_is_known_by_its_whole_path() -> None:
    assert detect_api("/v1/chat/completions") == detect_api("/v1/chat/completions?a=b") == "chat"
    assert [detect_api(f"/v1/{name}") for name in ("completions", "responses", "messages")] == [
        "completions",
        "responses",
        "messages",
    ]
    assert detect_api("/v1/embeddings") == "embeddings"
    assert {detect_api(f"/v1/{name}") for name in ("messages/count_tokens", "models")} == {"other"}


def test_text_in_parts_is_joined_for_models_that_take_no_parts() -> None:
    parts = [
        {"type": "text", "text": "a"},
        {"type": "text", "text": ""},
        {"type": "image_url", "image_url": {"url": PIXEL}},
        {"type": "text", "text": "b"},
    ]
    body = {"messages": [{"role": "user", "content": parts, "name": "x"}, {"role": "user", "content": []}]}
    assert rewrite_to_dict(body, RewriteContext(model(join_text=True, drop_images=True)))["messages"] == [
        {"role": "user", "content": "a\nb", "name": "x"},
        {"role": "user", "content": []},
    ]
    assert rewrite_to_dict(body, RewriteContext(model(join_text=True, vision=True))) == body
