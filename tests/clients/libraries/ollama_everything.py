"""Every call of the library of Ollama that sparkd serves, and the errors of the others."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

from ollama import AsyncClient, Client, ResponseError

from tests.clients.libraries import tool

CHAT, EMBEDDINGS = tool.MODEL.split(",")
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 20}, "age": {"type": "integer", "maximum": 99}},
    "required": ["city", "age"],
    "additionalProperties": False,
}
FRANCE: Any = [{"role": "user", "content": "What is the capital of France?"}]

client = Client(host=tool.URL)


def rejected(status: int, text: str, call: Any, **fields: Any) -> None:
    """Check that a call is rejected with this status and a message that has this text."""
    error: ResponseError | None = None
    try:
        list(call(**fields))
    except ResponseError as raised:
        error = raised
    assert error is not None, fields
    assert (error.status_code, text in error.error) == (status, True), (error.status_code, error.error)


def check_lists() -> None:
    listed = client.list().models
    assert [model.model for model in listed] == [CHAT, EMBEDDINGS, "warm"]
    chat = listed[0]
    assert chat.size
    assert chat.digest
    assert chat.modified_at
    assert chat.details is not None
    assert (chat.details.family, chat.details.parameter_size) == ("llama", "135.0M")
    shown = client.show(f"{CHAT}:latest")
    assert shown.modelinfo is not None
    assert shown.modelinfo["general.architecture"] == "llama"
    assert (shown.modelinfo["llama.context_length"], shown.modelinfo["llama.embedding_length"]) == (1024, 576)
    assert shown.capabilities == ["completion"]
    assert client.show(EMBEDDINGS).capabilities == ["embedding"]
    assert client.ps().models == []


def check_loading() -> None:
    loaded = client.generate(CHAT)
    assert (loaded.done, loaded.done_reason, loaded.response) == (True, "load", "")
    (running,) = client.ps().models
    assert (running.model, running.context_length) == (CHAT, 1024)
    assert running.size_vram
    assert running.expires_at


def check_chat() -> None:
    answer = client.chat(CHAT, FRANCE, options={"temperature": 0, "num_predict": 16, "seed": 1})
    assert "Paris" in (answer.message.content or "")
    assert answer.eval_count
    short = client.chat(CHAT, FRANCE, options={"num_predict": 2})
    assert (short.eval_count, short.done_reason) == (2, "length")
    parts = list(client.chat(CHAT, FRANCE, stream=True, options={"temperature": 0, "num_predict": 16}))
    assert "Paris" in "".join(part.message.content or "" for part in parts)
    assert len(parts) > 3
    assert all(part.model == CHAT for part in parts)


def check_formats() -> None:
    options = {"temperature": 0, "num_predict": 80}
    answer = client.chat(CHAT, FRANCE, format=SCHEMA, options=options)
    assert set(json.loads(answer.message.content or "")) == {"city", "age"}
    parts = client.generate(CHAT, "Describe a city.", format=SCHEMA, stream=True, options=options)
    assert set(json.loads("".join(part.response for part in parts))) == {"city", "age"}
    text = client.generate(CHAT, "Answer with {}", format="json", options=options)
    assert text.response.lstrip().startswith(("{", "["))


def check_generate() -> None:
    system = client.generate(CHAT, "Say hello.", system="You are polite.", options={"num_predict": 8})
    assert system.response
    raw = client.generate(
        CHAT, "The capital of France is", raw=True, options={"temperature": 0, "num_predict": 8}
    )
    assert "Paris" in raw.response


def check_errors() -> None:
    rejected(400, "image", client.chat, model=CHAT, messages=[{**FRANCE[0], "images": [PNG]}])
    rejected(400, "image", client.generate, model=CHAT, prompt="What is it?", images=[PNG], stream=True)
    rejected(404, "nonesuch", client.chat, model="nonesuch", messages=FRANCE)
    rejected(404, "nonesuch", client.pull, model="nonesuch")
    rejected(400, "suffix", client.generate, model=CHAT, prompt="a", suffix="b")
    rejected(400, "does not generate text", client.chat, model=EMBEDDINGS, messages=FRANCE)
    rejected(403, "sparkctl rm", client.delete, model=CHAT)
    rejected(403, "aliases", client.copy, source=CHAT, destination="other")
    rejected(403, "sparkctl add", client.create, model="other", from_=CHAT)


def check_pull() -> None:
    assert client.pull(CHAT).status == "success"
    assert [part.status for part in client.pull(CHAT, stream=True)] == ["success"]


def check_embeddings() -> None:
    texts = ["A cat sits on the mat.", "A kitten rests on a rug.", "Interest rates rose again."]
    answer = client.embed(EMBEDDINGS, texts)
    cat, kitten, rates = answer.embeddings
    assert len(cat) == 384
    assert answer.prompt_eval_count

    def similarity(one: Any, other: Any) -> float:
        return float(sum(a * b for a, b in zip(one, other, strict=True)))

    assert similarity(cat, kitten) > similarity(cat, rates)
    assert len(client.embed(EMBEDDINGS, "word " * 2000).embeddings) == 1
    rejected(400, "", client.embed, model=EMBEDDINGS, input="word " * 2000, truncate=False)
    assert len(client.embeddings(EMBEDDINGS, texts[0]).embedding) == 384


async def check_async() -> None:
    """Home Assistant lists with this client, and asks it for a stream."""
    async with asyncio.timeout(5):
        await AsyncClient(host=tool.URL).list()
    stream = await AsyncClient(host=tool.URL).chat(
        CHAT, FRANCE, stream=True, keep_alive="-1s", options={"num_ctx": 8192, "num_predict": 8}, think=None
    )
    assert [part.done async for part in stream][-1] is True


def check_unloading() -> None:
    assert client.generate(EMBEDDINGS, keep_alive=0).done_reason == "unload"
    assert client.ps().models == []


check_lists()
check_loading()
check_chat()
check_formats()
check_generate()
check_errors()
check_pull()
asyncio.run(check_async())
check_embeddings()
check_unloading()
print("done")
