"""Addresses of images, video and audio, and images that are none."""

import base64
import json
from typing import Any

import pytest

from sparkd.errors import InvalidRequest
from sparkd.rewriting import JsonBody, RewriteContext, rewrite
from sparkd.rewriting.rewrite_context import Api
from tests.rewriting.examples import model, rewrite_to_dict

SEEING = model("seeing", vision=True, repair_history=False)
LISTED = model("seeing", vision=True, repair_history=False, media_domains=("pictures.example",))
PNG = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(24)).decode()


def user(*parts: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(parts)}]


def bodies(url: str) -> list[tuple[Api, dict[str, Any]]]:
    """Every way to name an image."""
    link = {"type": "image_url", "image_url": {"url": url}}
    shown = {"type": "input_image", "image_url": url}
    source = {"type": "image", "source": {"type": "url", "url": url}}
    result = {"type": "tool_result", "tool_use_id": "1", "content": [source]}
    output = {"type": "function_call_output", "call_id": "1", "output": [shown]}
    return [
        ("chat", {"messages": user(link)}),
        ("chat", {"messages": user({"image_url": url})}),
        ("chat", {"messages": [{"role": "tool", "tool_call_id": "1", "content": [link]}]}),
        ("responses", {"input": user(shown)}),
        ("responses", {"input": [output]}),
        ("messages", {"messages": user(source)}),
        ("messages", {"messages": user(result)}),
        ("embeddings", {"messages": user(link)}),
        ("other", {"messages": user(link)}),
    ]


REFUSED = [
    "http://127.0.0.1:22/",
    "http://169.254.169.254/latest/meta-data",
    "https://pictures.example.evil/x.png",
    "https://pictures.example@evil.example/x.png",
    "https://pictures.example\\@evil.example/x.png",
    "file:///etc/passwd",
    "ftp://pictures.example/x.png",
    "//pictures.example/x.png",
    "",
]


@pytest.mark.parametrize("url", REFUSED)
@pytest.mark.parametrize("place", range(len(bodies(""))))
def test_addresses_are_rejected_unless_their_domain_is_listed(place: int, url: str) -> None:
    api, body = bodies(url)[place]
    for entry in (SEEING, LISTED):
        with pytest.raises(InvalidRequest) as rejected:
            rewrite_to_dict(body, RewriteContext(entry, api))
        assert rejected.value.param == next(iter(body))


@pytest.mark.parametrize("place", range(len(bodies(""))))
def test_a_listed_domain_and_a_data_url_pass(place: int) -> None:
    for url in ("https://pictures.example/x.png?a=b", "HTTP://Pictures.Example:80", PNG):
        api, body = bodies(url)[place]
        assert rewrite_to_dict(body, RewriteContext(LISTED, api)) == body


@pytest.mark.parametrize("kind", ["video_url", "audio_url"])
def test_video_and_audio_too(kind: str) -> None:
    body = {"messages": user({"type": kind, kind: {"url": "http://10.0.0.1/x"}})}
    with pytest.raises(InvalidRequest, match="data URL"):
        rewrite_to_dict(body, RewriteContext(SEEING))


def test_a_key_in_escaped_letters_is_found() -> None:
    data = rb'{"model":"m","messages":[{"role":"user","content":[{"type":"x","image\u005furl":"http://10.0.0.1/"}]}]}'
    with pytest.raises(InvalidRequest):
        rewrite(RewriteContext(SEEING), JsonBody.parse(data))


def test_addresses_in_texts_and_arguments_are_no_media() -> None:
    said = json.dumps({"image_url": "http://10.0.0.1/"})
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": said}}
    body = {"messages": [{"role": "user", "content": said}, {"role": "assistant", "tool_calls": [call]}]}
    assert rewrite_to_dict(body, RewriteContext(SEEING)) == body


def encoded(data: bytes, mime: str = "image/png") -> str:
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("data:image/png;base64,", "it is empty"),
        ("data:image/png,abc", "`;base64,`"),
        ("data:image/png;base64,iVBORw0KGg$o=", "its base64 is invalid"),
        ("data:image/png;base64,iVBORw0KGgoAA", "its base64 is invalid"),
        (encoded(b"hello, this is no image"), "no known image format"),
        (encoded(b"%PDF-1.7 and so on"), "a PDF document"),
        (encoded(b"<svg xmlns='x'>".ljust(40), "image/svg+xml"), "an SVG drawing"),
        (encoded(b"x" * 100_000), "no known image format"),
        (encoded(b"x" * 1_000_000), "no known image format"),
    ],
)
def test_an_image_that_is_none_is_rejected(url: str, problem: str) -> None:
    for api, body in bodies(url)[:7]:
        with pytest.raises(InvalidRequest) as rejected:
            rewrite_to_dict(body, RewriteContext(SEEING, api))
        assert problem in rejected.value.message


@pytest.mark.parametrize(
    "head",
    [
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0",
        b"GIF89a",
        b"RIFF\0\0\0\0WEBP",
        b"BM",
        b"II*\0",
        b"\0\0\0\x20ftypavif",
    ],
)
@pytest.mark.parametrize("size", [50, 30_000, 2_000_000])
def test_images_pass_whatever_their_declared_type(head: bytes, size: int) -> None:
    body = {"messages": user({"type": "image_url", "image_url": {"url": encoded(head + bytes(size))}})}
    assert rewrite_to_dict(body, RewriteContext(SEEING)) == body
