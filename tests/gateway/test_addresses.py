"""Other addresses of a path are served; mistyped ones, wrong methods and wrong kinds of models start nothing."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.errors import InvalidRequest
from sparkd.gateway.preparation.addresses import BELOW_V1, resolve_address
from sparkd.gateway.preparation.paths import FORBIDDEN, parse_path
from tests.gateway.engines import OK, Answer, Asked, answering, request
from tests.gateway.gateways import catalogue, house, model, run


def ask(raw: bytes, models: Catalogue | None = None) -> tuple[Answer, list[Asked], list[str]]:
    seen: list[Asked] = []
    asked: list[str] = []
    got: list[Answer] = []

    async def test() -> None:
        async with house(answering(OK, asked=seen), models=models) as here:
            got.append(await here.ask(raw))
            asked.extend(here.supervisor.asked)

    run(test)
    return got[0], seen, asked


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/chat/completions", "/v1/chat/completions"),
        ("/completions", "/v1/completions"),
        ("/embeddings", "/v1/embeddings"),
        ("/responses", "/v1/responses"),
        ("/messages", "/v1/messages"),
        ("/v1/v1/chat/completions", "/v1/chat/completions"),
        ("/v1/v1/v1/messages", "/v1/messages"),
        ("/api/v1/chat/completions", "/v1/chat/completions"),
        ("/api/chat/completions", "/v1/chat/completions"),
        ("/openai/v1/responses", "/v1/responses"),
        ("/openai/chat/completions?api-version=1", "/v1/chat/completions?api-version=1"),
        ("/anthropic/v1/messages", "/v1/messages"),
        ("/api/openai/v1/completions", "/v1/completions"),
        ("/V1/chat/completions", "/v1/chat/completions"),
        ("/V1/Chat/Completions", "/v1/chat/completions"),
        ("/v1/m/Chat/completions", "/v1/chat/completions"),
        ("/v1/chat/completions/", "/v1/chat/completions"),
        ("/v1/chat/completions///", "/v1/chat/completions"),
        ("//v1/chat/completions", "/v1/chat/completions"),
        ("///v1//chat///completions//", "/v1/chat/completions"),
        ("/v1/m/v1/chat/completions", "/v1/chat/completions"),
        ("/v1//m/v1/v1/chat/completions", "/v1/chat/completions"),
        ("/v1/engines/m/completions", "/v1/completions"),
        ("/v1/engines/short/chat/completions", "/v1/chat/completions"),
        ("/openai/deployments/m/chat/completions", "/v1/chat/completions"),
        ("/v1/m/classify", "/classify"),
        ("/v1/m/pooling", "/pooling"),
        ("/v1/detokenize", "/detokenize"),
        ("/v1/m/detokenize", "/detokenize"),
        ("/v1/m/rerank", "/v1/rerank"),
        ("/rerank/", "/rerank"),
    ],
)
def test_other_addresses_of_a_path_are_served(path: str, target: str) -> None:
    answer, seen, asked = ask(request(b'{"model":"m"}', path))
    assert (answer.status, asked) == (200, ["m"])
    assert seen[0].line == f"POST {target} HTTP/1.1"
    assert json.loads(seen[0].body)["model"] == "m"


@pytest.mark.parametrize(
    "path",
    [
        *("/models", "//v1/models", "/v1/models/", "/V1/Models", "/v1/v1/models", "/openai/v1/models"),
        *("/v1/m/models", "/v1/models//m", "/v1/m/v1/models", "/models/?client_version=1"),
    ],
)
def test_lists_are_served_at_other_addresses_too(path: str) -> None:
    answer, _, asked = ask(request(b"", path, "GET"))
    assert (answer.status, asked) == (200, [])
    assert '"id":"m"' in answer.body.decode()


def test_a_page_may_ask_at_another_address() -> None:
    answer, *_ = ask(request(b"", "//V1/chat/completions", "OPTIONS", "origin: http://localhost:3000\r\n"))
    assert answer.status == 204
    assert answer.header("access-control-allow-origin") == "http://localhost:3000"


@pytest.mark.parametrize(
    ("path", "similar"),
    [
        ("/v1/chat/completion", "/v1/chat/completions"),
        ("/v1/chat/complitions", "/v1/chat/completions"),
        ("/v1/chat-completions", "/v1/chat/completions"),
        ("/v1/chatt/completions", "/v1/chat/completions"),
        ("/v1/m/chat/completion", "/v1/chat/completions"),
        ("/v1/message", "/v1/messages"),
        ("/v1/messages/count_token", "/v1/messages/count_tokens"),
        ("/v1/embedding", "/v1/embeddings"),
        ("/v1/response", "/v1/responses"),
        ("/v1/m/audio/transcription", "/v1/audio/transcriptions"),
        ("/v1/images/generations", None),
        ("/v1/m/files", None),
        ("/v1/" + "a" * 5000, None),
    ],
)
def test_a_mistyped_path_starts_nothing_and_the_error_names_the_right_one(
    path: str, similar: str | None
) -> None:
    for raw in (request(b'{"model":"m"}', path), request(b"", path, "GET"), request(b"{}", path)):
        answer, _, asked = ask(raw)
        assert (answer.status, asked) == (404, [])
        message = answer.json["error"]["message"]
        assert (f"did you mean {similar}?" in message) if similar else ("mean" not in message)


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/v1/chat/completions", "POST"),
        ("GET", "/v1/m/chat/completions", "POST"),
        ("PUT", "/v1/m/messages", "POST"),
        ("DELETE", "/v1/m/responses/r1", "GET, HEAD"),
        ("GET", "/v1/embeddings?model=m", "POST"),
        ("HEAD", "/tokenize?model=m", "POST"),
        ("GET", "/v1/m/tokenize", "POST"),
    ],
)
def test_a_wrong_method_starts_nothing(method: str, path: str, allow: str) -> None:
    answer, _, asked = ask(request(b"", path, method))
    assert (answer.status, answer.header("allow"), asked) == (405, allow, [])


def test_an_engine_of_ones_own_gets_every_path_and_method() -> None:
    models = catalogue(model("m", engine="command"))
    for method, path in (
        ("GET", "/v1/m/chat/completions"),
        ("POST", "/v1/m/own/path"),
        ("DELETE", "/v1/files/1?model=m"),
    ):
        answer, seen, _ = ask(request(b"{}", path, method), models)
        assert answer.status == 200
        assert seen[0].line.startswith(method)


SEGMENTS = st.one_of(
    st.sampled_from(
        [*FORBIDDEN, "v1", "V1", "api", "openai", "anthropic", "engines", "deployments", "m", "models", ""]
    ),
    st.sampled_from([word for path in BELOW_V1 for word in path]),
    st.text(st.characters(exclude_characters="/", exclude_categories=["Cs"]), max_size=6),
)


@given(st.lists(SEGMENTS, max_size=8))
def test_no_alias_hides_a_forbidden_or_ambiguous_path(segments: list[str]) -> None:
    raw = ("/" + "/".join(quote(segment, safe="") for segment in segments)).encode()
    try:
        parsed = parse_path(raw)
    except InvalidRequest:
        return
    sent = [segment for segment in segments if segment]
    assert (parsed.forbidden is not None) == any(segment.lower() in FORBIDDEN for segment in sent)
    assert not {".", "..", ""} & set(parsed.segments)
    assert {segment.lower() for segment in parsed.segments} <= {*(segment.lower() for segment in sent), "v1"}
    assert resolve_address(parsed.segments) == parsed.segments  # nothing is an address of an address


KINDS = catalogue(
    model("chat", tags=("chat",)),
    model("coder", options={"tool-call-parser": "hermes"}),
    model("off", tags=("chat",), status="disabled", reason="broken"),
    model("embedder", tags=("embeddings",), options={"runner": "pooling"}),
    model("reranker", options={"runner": "pooling", "convert": "classify"}),
    model("pooler", options={"runner": "pooling"}),
    model("hearing", tags=("chat", "audio")),
    model("whisper", tasks=("transcribe",)),
    model("both", tasks=("generate", "embed")),
    model("unknown"),
    model("own", engine="command"),
)
GENERATING = ["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"]
WRONG = [
    *((path, name) for path in GENERATING for name in ("embedder", "reranker", "pooler", "whisper")),
    ("/v1/messages/count_tokens", "embedder"),
    *(
        (path, name)
        for path in ("/v1/embeddings", "/v2/embed")
        for name in ("chat", "coder", "reranker", "whisper")
    ),
    ("/rerank", "chat"),
    ("/score", "coder"),
    ("/v2/rerank", "hearing"),
    ("/classify", "embedder"),
    ("/pooling", "chat"),
]
RIGHT = [
    *((path, name) for path in GENERATING for name in ("chat", "coder", "both", "unknown", "own", "hearing")),
    *(("/v1/embeddings", name) for name in ("embedder", "pooler", "both", "unknown", "own")),
    *(("/rerank", name) for name in ("embedder", "reranker", "pooler", "unknown")),
    ("/classify", "reranker"),
    ("/detokenize", "chat"),
    ("/detokenize", "embedder"),
]


@pytest.mark.parametrize(("path", "name"), WRONG)
def test_a_request_to_the_wrong_kind_of_model_starts_nothing_and_names_the_right_ones(
    path: str, name: str
) -> None:
    for way in (request(b'{"model":"%s"}' % name.encode(), path), request(b"{}", f"{path}?model={name}")):
        answer, _, asked = ask(way, KINDS)
        assert (answer.status, asked) == (400, [])
        error = answer.json["error"]
        assert (error["code"], "off" in error["message"]) == ("task_not_supported", False)
        right = {named for other, named in RIGHT if other == path} - {"unknown", "own"}
        assert not right or any(f'"{each}"' in error["message"] for each in right)
        assert answer.json.get("type") == ("error" if "messages" in path else None)


@pytest.mark.parametrize(
    ("others", "expected"),
    [([], "No model here does"), ([model("plain")], 'Models here that may: "plain".')],
)
def test_models_that_may_do_it_are_named_if_none_is_known_to(others: list[Model], expected: str) -> None:
    embedder = model("embedder", options={"runner": "pooling"}, tags=("embeddings",))
    answer, _, _ = ask(request(b'{"model":"embedder"}'), catalogue(embedder, *others))
    assert expected in answer.json["error"]["message"]


@pytest.mark.parametrize(
    ("path", "similar"), [("/chat/completion", "/v1/chat/completions"), ("/tokenise", "/tokenize")]
)
def test_a_mistyped_path_beside_v1_is_named(path: str, similar: str) -> None:
    answer, _, asked = ask(request(b'{"model":"chat"}', path), KINDS)
    assert (answer.status, answer.code, asked) == (404, "path_not_found", [])
    assert f"did you mean {similar}?" in answer.json["error"]["message"]


@pytest.mark.parametrize(("path", "name"), RIGHT)
def test_a_model_that_can_or_may_serve_a_request_gets_it(path: str, name: str) -> None:
    answer, _, asked = ask(request(b'{"model":"%s"}' % name.encode(), path), KINDS)
    assert (answer.status, asked) == (200, [name])


def test_only_models_that_hear_get_audio() -> None:
    for name, status in (
        ("chat", 400),
        ("embedder", 400),
        ("whisper", 200),
        ("hearing", 200),
        ("unknown", 200),
    ):
        form = f'--x\r\ncontent-disposition: form-data; name="model"\r\n\r\n{name}\r\n--x--\r\n'.encode()
        head = b"POST /v1/audio/transcriptions HTTP/1.1\r\ncontent-type: multipart/form-data; boundary=x\r\n"
        answer, _, asked = ask(head + b"content-length: %d\r\n\r\n" % len(form) + form, KINDS)
        assert (answer.status, len(asked)) == (status, int(status == 200))


def test_without_a_model_of_that_kind_the_error_names_the_key() -> None:
    answer, *_ = ask(request(b"{}", "/v1/embeddings?model=m"), catalogue(model("m", tags=("chat",))))
    assert "`tasks`" in answer.json["error"]["message"]
