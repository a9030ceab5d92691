"""Audio and video for models that take only text."""

from typing import Any

import pytest
from msgspec import structs

from sparkd.errors import MediaNotSupported
from sparkd.rewriting import RewriteContext
from sparkd.rewriting.rewrite_context import Api
from tests.rewriting.examples import model, rewrite_to_dict

AUDIO = {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}
VIDEO = {"type": "video_url", "video_url": {"url": "data:video/mp4;base64,AAAA"}}


def user(part: Any) -> list[Any]:
    return [{"role": "user", "content": [{"type": "text", "text": "What is this?"}, part]}]


@pytest.mark.parametrize(
    ("api", "body", "kind"),
    [
        ("chat", {"messages": user(AUDIO)}, "audio"),
        ("chat", {"messages": user(VIDEO)}, "video"),
        ("responses", {"input": user(AUDIO)}, "audio"),
        (
            "messages",
            {"messages": user({"type": "video", "source": {"type": "base64", "data": "AAAA"}})},
            "video",
        ),
    ],
)
def test_they_are_rejected_by_a_model_that_takes_only_text(api: Api, body: dict[str, Any], kind: str) -> None:
    context = RewriteContext(model(repair_history=False), api)
    with pytest.raises(MediaNotSupported, match=f'"m" does not accept {kind}'):
        rewrite_to_dict(body, context)


def test_models_that_may_take_them_get_them() -> None:
    body = {"messages": user(AUDIO)}
    for entry in (model(vision=True), structs.replace(model(), tags=("audio",))):
        assert rewrite_to_dict(body, RewriteContext(entry)) == body
