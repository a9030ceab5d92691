"""Images: untouched for models that take them, refused or left out for others, in three APIs."""

import base64
import json
from typing import Any

import pytest

from sparkd.errors import ImagesNotSupported
from sparkd.rewriting import JsonBody, RewriteContext, rewrite
from sparkd.rewriting.image_size import read_image_size
from sparkd.rewriting.rewrite_context import Api
from sparkd.rewriting.token_count import count_prompt_tokens
from tests.rewriting.examples import model, rewrite_request, rewrite_to_dict

VISION_MODEL = model("seeing", vision=True, context_length=8192, repair_history=False)
TEXT_MODEL = model("blind", repair_history=False)
DROPPING_MODEL = model("dropping", drop_images=True, repair_history=False)


def encode_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (1120).to_bytes(4, "big") + (560).to_bytes(4, "big") + bytes(20)
URL = f"data:image/png;base64,{encode_base64(PNG)}"
CHAT_PART = {"type": "image_url", "image_url": {"url": URL}}
RESPONSES_PART = {"type": "input_image", "image_url": URL}
ANTHROPIC_PART = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/png", "data": encode_base64(PNG)},
}
TEXT = {"type": "text", "text": "What is this?"}

BODIES: list[tuple[Api, str, Any]] = [
    ("chat", "messages", [{"role": "user", "content": [TEXT, CHAT_PART]}]),
    ("responses", "input", [{"role": "user", "content": [TEXT, RESPONSES_PART]}]),
    ("messages", "messages", [{"role": "user", "content": [TEXT, ANTHROPIC_PART]}]),
    (
        "messages",
        "messages",
        [
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "1", "content": [TEXT, ANTHROPIC_PART]}],
            }
        ],
    ),
    (
        "responses",
        "input",
        [{"type": "function_call_output", "call_id": "1", "output": [TEXT, RESPONSES_PART]}],
    ),
]


@pytest.mark.parametrize(("api", "field", "turns"), BODIES)
def test_a_model_that_takes_images_gets_them_as_they_came(api: Api, field: str, turns: Any) -> None:
    assert rewrite_to_dict({field: turns, "max_tokens": 5}, RewriteContext(VISION_MODEL, api))[field] == turns


@pytest.mark.parametrize(("api", "field", "turns"), BODIES)
def test_for_a_model_of_text_they_are_refused_with_the_names_of_models_that_see(
    api: Api, field: str, turns: Any
) -> None:
    with pytest.raises(ImagesNotSupported) as refused:
        rewrite_request(
            {field: turns},
            RewriteContext(
                TEXT_MODEL, api, alternatives=[TEXT_MODEL, VISION_MODEL, model("a-b", vision=True)]
            ),
        )
    assert refused.value.message == 'Model "blind" does not accept images. These models do: a-b, seeing.'
    assert (refused.value.status, refused.value.code) == (400, "images_not_supported")
    assert refused.value.param == field


@pytest.mark.parametrize("text", ["x" * 600_000, 'Say "x".\n' * 60_000, "An image. " * 60_000])
@pytest.mark.parametrize(("api", "field", "turns"), BODIES)
def test_they_are_found_beside_long_texts_also_after_another_field_was_replaced(
    api: Api, field: str, turns: Any, text: str
) -> None:
    said = {"role": "user", "content": text}
    blind = model("blind", repair_history=False, set={"temperature": 0, "user": text})
    for entry in (TEXT_MODEL, blind):
        with pytest.raises(ImagesNotSupported):
            rewrite_request({field: [said, *turns, said], "model": "alias"}, RewriteContext(entry, api))
        rewrite_request({field: [said, said], "model": "alias"}, RewriteContext(entry, api))


@pytest.mark.parametrize(("api", "field", "turns"), BODIES)
def test_they_are_left_out_where_the_owner_wants_that(api: Api, field: str, turns: Any) -> None:
    result = rewrite_request({field: turns}, RewriteContext(DROPPING_MODEL, api))
    assert result.rewrites == ("drop-images",)
    assert b"image" not in result.body.encode()
    assert b"What is this?" in result.body.encode()


def test_a_message_that_was_only_an_image_says_so_instead() -> None:
    body = {"messages": [{"role": "user", "content": [CHAT_PART]}]}
    assert rewrite_to_dict(body, RewriteContext(DROPPING_MODEL)) == {
        "messages": [{"role": "user", "content": "(an image, left out)"}]
    }


def test_talking_about_images_is_no_image() -> None:
    body = {"messages": [{"role": "user", "content": 'Say {"type": "image"} and image_url'}]}
    assert rewrite_to_dict(body, RewriteContext(TEXT_MODEL)) == body


@pytest.mark.parametrize(("api", "field", "turns"), BODIES)
def test_an_image_counts_by_its_size(api: Api, field: str, turns: Any) -> None:
    body = JsonBody.parse(json.dumps({field: turns}).encode())
    assert count_prompt_tokens(RewriteContext(VISION_MODEL, api), body).images == 40 * 20


def test_an_image_at_an_address_counts_as_one_of_unknown_size() -> None:
    part = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
    body = JsonBody.parse(json.dumps({"messages": [{"role": "user", "content": [part]}]}).encode())
    assert count_prompt_tokens(RewriteContext(VISION_MODEL), body).images == 1500


def test_the_bytes_of_a_large_image_are_those_that_came() -> None:
    part = {"type": "image_url", "image_url": {"url": URL + "A" * 1_000_000}}
    data = json.dumps({"model": "x", "messages": [{"role": "user", "content": [TEXT, part]}]}).encode()
    result = rewrite(RewriteContext(VISION_MODEL), JsonBody.parse(data))
    assert json.loads(result.body.encode())["messages"] == json.loads(data)["messages"]


JPEG = (
    b"\xff\xd8\xff\xe0\x00\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0"
    b"\xff\xc0\x00\x11\x08" + (480).to_bytes(2, "big") + (640).to_bytes(2, "big") + bytes(12)
)


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (PNG, (1120, 560)),
        (JPEG, (640, 480)),
        (b"GIF89a" + (320).to_bytes(2, "little") + (200).to_bytes(2, "little") + bytes(8), (320, 200)),
        (
            b"RIFF\0\0\0\0WEBPVP8X" + bytes(8) + (99).to_bytes(3, "little") + (49).to_bytes(3, "little"),
            (100, 50),
        ),
        (b"RIFF\0\0\0\0WEBPVP8L" + bytes(5) + ((99) | (49 << 14)).to_bytes(4, "little"), (100, 50)),
        (b"RIFF\0\0\0\0WEBPVP8 " + bytes(10) + b"\x64\x00\x32\x00", (100, 50)),
        (b"BM" + bytes(60), None),
        (PNG[:18], None),
        (JPEG[:12], None),
        (b"", None),
    ],
)
def test_the_size_is_read_from_the_first_bytes(data: bytes, size: tuple[int, int] | None) -> None:
    assert read_image_size(encode_base64(data)) == size


def test_what_is_no_base64_has_no_size() -> None:
    assert read_image_size("%%%%é") is None
