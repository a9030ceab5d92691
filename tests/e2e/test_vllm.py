"""A real vLLM serves real small models under sparkd.

Uses the `cpu` runtime and the demo's models, which scripts/test prepares. A start takes about 20 seconds, so the tests
share one sparkd. `twin` is the chat model under a second name, which does not fit in memory beside the first.
"""

from __future__ import annotations

import gzip
import json
import os
import signal
import tempfile
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai
import psutil
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam

from tests.e2e.sparkd_process import SparkdProcess, wait_until, watched_pids
from tests.hub.server import running_hub
from tests.metrics.records import samples

CLONE = Path(__file__).resolve().parent.parent.parent
LONG: list[ChatCompletionMessageParam] = [
    {"role": "user", "content": "Write a very long story about a lighthouse."}
]

TO_THE_END = {"ignore_eos": True}
"""Without this, a story is sometimes so short that it ends before the test checks it."""


def vllm(folder: str, **fields: Any) -> dict[str, Any]:
    """Return a small model for the cpu runtime."""
    options = {
        "enforce-eager": True,
        "dtype": "float32",
        "max-num-seqs": 8,
        "kv-cache-memory-bytes": "64M",
        **fields.pop("options", {}),
    }
    return {
        "runtime": "cpu",
        "source": str(CLONE / ".sparkd" / "models" / folder),
        "context_length": 1024,
        "environment": {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        "options": options,
        "memory": "3 GiB",
        "min_residency": 0.0,
        **fields,
    }


@pytest.fixture(scope="module")
def sparkd() -> Iterator[SparkdProcess]:
    with tempfile.TemporaryDirectory(prefix="sparkd-vllm-") as folder:
        sparkd = SparkdProcess(
            Path(folder),
            {
                "memory": {"total": "6 GiB", "reserve": 0, "learn": False},
                "failures": {"backoff": 1.0},
                "paths": {"venvs": str(CLONE / "venvs"), "runtimes": str(CLONE / ".sparkd" / "runtimes")},
                "models": {
                    "smollm2": vllm(
                        "SmolLM2-135M-Instruct",
                        aliases=["smol"],
                        # so that its engine gets what it rejects
                        rewriting={"repair_history": False, "form_values": False},
                    ),
                    "twin": vllm("SmolLM2-135M-Instruct"),
                    "minilm": vllm(
                        "all-MiniLM-L6-v2",
                        lifecycle="utility",
                        context_length=256,
                        options={"runner": "pooling"},
                        memory="2 GiB",
                    ),
                },
            },
        )
        sparkd.start()
        yield sparkd
        assert sparkd.stop(seconds=120) == 0, sparkd.log()
        sparkd.assert_nothing_left()


@pytest.fixture(scope="module")
def client(sparkd: SparkdProcess) -> Iterator[OpenAI]:
    with sparkd.openai() as client:
        yield client


def capital(client: OpenAI, model: str) -> str:
    answer = client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": "What is the capital of France?"}],
        temperature=0,
        max_tokens=16,
    )
    return answer.choices[0].message.content or ""


def family(sparkd: SparkdProcess, model: str) -> list[psutil.Process]:
    """Return the model's API server and its descendants."""
    pid = sparkd.model(model).pid
    assert pid is not None
    leader = psutil.Process(pid)
    return [leader, *leader.children(recursive=True)]


def find_process(sparkd: SparkdProcess, model: str, title: str) -> psutil.Process:
    """Return the process of the model's engine that has this title."""
    (found,) = [process for process in family(sparkd, model) if f"VLLM::{title}" in process.cmdline()[0]]
    return found


def have_exited(processes: list[psutil.Process]) -> bool:
    return not any(process.is_running() and process.status() != "zombie" for process in processes)


def test_the_catalogue_is_listed_without_starting_anything(sparkd: SparkdProcess, client: OpenAI) -> None:
    listed = {model.id: model.to_dict() for model in client.models.list()}
    assert {"smollm2", "twin", "minilm"} <= set(listed)
    assert listed["smollm2"]["max_model_len"] == listed["smollm2"]["context_length"] == 1024
    assert client.models.retrieve("twin").id == "twin"
    assert not sparkd.processes()


def test_a_cold_first_request_is_answered_in_english(client: OpenAI) -> None:
    assert "Paris" in capital(client, "smollm2")


def test_status_shows_the_progress_of_a_load(sparkd: SparkdProcess) -> None:
    ready = sparkd.model("smollm2")
    assert ready.state == "ready"
    assert ready.load_time is not None
    assert ready.load_time > 1
    assert "Application startup complete" in sparkd.sparkctl("logs", "-n", "500", "smollm2").stdout


def test_an_alias_and_a_model_in_the_path_reach_the_same_engine(
    sparkd: SparkdProcess, client: OpenAI
) -> None:
    assert "Paris" in capital(client, "smol")
    body = {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 4}
    answer = httpx.post(f"{sparkd.url}/v1/smollm2/chat/completions", json=body, timeout=120)
    assert answer.status_code == 200
    assert answer.json()["model"] == "smollm2"


def test_a_stream_arrives_token_by_token_with_its_usage(client: OpenAI) -> None:
    stream = client.chat.completions.create(
        model="smollm2",
        messages=[{"role": "user", "content": "Count from one to ten."}],
        max_tokens=24,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [(time.monotonic(), chunk) for chunk in stream]
    texts = [chunk.choices[0].delta.content for _, chunk in chunks if chunk.choices]
    assert len([text for text in texts if text]) > 10
    assert chunks[-1][0] - chunks[0][0] > 0.2
    assert chunks[-1][1].usage is not None
    assert chunks[-1][1].usage.completion_tokens == 24


def test_other_paths_of_the_engine_are_served(sparkd: SparkdProcess, client: OpenAI) -> None:
    assert client.completions.create(model="smollm2", prompt="Once", max_tokens=4).choices[0].text
    assert client.responses.create(model="smollm2", input="Say hi.", max_output_tokens=16).output_text
    tokens = httpx.post(f"{sparkd.url}/tokenize", json={"model": "smollm2", "prompt": "hello"}, timeout=120)
    assert tokens.json()["count"] >= 1


def test_the_engines_own_errors_reach_the_client(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="temperature"):
        client.chat.completions.create(model="smollm2", messages=LONG, temperature=-1)


def test_errors_of_every_api_have_its_shape_and_name_the_field(sparkd: SparkdProcess, client: OpenAI) -> None:
    item = {"type": "reasoning", "id": 7, "summary": "secret" * 99}
    cases: list[tuple[str, dict[str, Any]]] = [
        ("/v1/chat/completions", {"messages": "secret" * 999}),
        ("/v1/responses", {"input": [item, item]}),
        ("/v1/messages", {"messages": [{"role": "user", "content": {"secret": 1}}], "max_tokens": 1}),
    ]
    for path, body in cases:
        answer = httpx.post(f"{sparkd.url}{path}", json={"model": "smollm2", **body}, timeout=600)
        document = answer.json()
        assert answer.status_code == 400, (path, document)
        assert (document.get("type") == "error") is (path == "/v1/messages")
        error = document["error"]
        assert error["type"] == "invalid_request_error", document
        assert isinstance(error["code"], str)
        assert len(error["message"]) <= 600
        assert "secret" not in error["message"]
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="smollm2", messages=LONG, extra_body={"seed": "x"})
    assert "`seed`" in caught.value.message


def test_a_response_names_the_model_as_its_request_did(sparkd: SparkdProcess, client: OpenAI) -> None:
    """In every API, streamed or not."""
    name = "HuggingFaceTB/Smol:latest"
    user: Any = [{"role": "user", "content": "Say hi."}]
    assert client.chat.completions.create(model=name, messages=user, max_tokens=2).model == name
    chunks = list(client.chat.completions.create(model=name, messages=user, max_tokens=4, stream=True))
    assert {chunk.model for chunk in chunks} == {name}
    assert client.completions.create(model="SMOL", prompt="a", max_tokens=2).model == "SMOL"
    assert client.responses.create(model=name, input="Say hi.", max_output_tokens=4).model == name
    events = list(client.responses.create(model=name, input="hi", max_output_tokens=4, stream=True))
    named = [event.response.model for event in events if hasattr(event, "response")]
    assert len(named) >= 2
    assert set(named) == {name}
    body = {"model": name, "max_tokens": 4, "messages": user}
    assert httpx.post(f"{sparkd.url}/v1/messages", json=body, timeout=120).json()["model"] == name
    text = httpx.post(f"{sparkd.url}/v1/messages", json={**body, "stream": True}, timeout=120).text
    (start,) = [line for line in text.splitlines() if "message_start" in line and line.startswith("data:")]
    assert json.loads(start[5:])["message"]["model"] == name
    status = {card.id: card.model_dump()["status"]["value"] for card in client.models.list().data}
    assert status["smollm2"] == "loaded"


def test_a_limit_beyond_the_context_is_lowered_instead_of_rejected(client: OpenAI) -> None:
    answer = client.chat.completions.with_raw_response.create(
        model="smollm2", messages=LONG, max_tokens=5000, stop=["e"]
    )
    assert answer.headers["x-sparkd-rewrites"] == "cap-tokens"
    assert answer.parse().choices[0].finish_reason == "stop"


def test_a_prompt_that_the_engine_counts_gets_all_that_is_left(client: OpenAI) -> None:
    prompt: Any = [{"role": "user", "content": "The keeper climbed the stairs and cleaned the lamp. " * 97}]
    answer = client.chat.completions.create(
        model="smollm2", messages=prompt, max_tokens=5000, extra_body={"ignore_eos": True}
    )
    assert answer.usage is not None
    assert answer.usage.total_tokens == 1024


def test_an_unknown_model_is_a_404_that_names_the_nearest(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="smollm2") as caught:
        capital(client, "smollm")
    assert caught.value.code == "model_not_found"


def test_embeddings_run_beside_the_chat_model(sparkd: SparkdProcess, client: OpenAI) -> None:
    texts = ["A cat sits on the mat.", "A kitten rests on a rug.", "Interest rates rose again."]
    answer = client.embeddings.create(model="minilm", input=texts, encoding_format="float")
    cat, kitten, rates = (item.embedding for item in answer.data)
    assert len(cat) == 384
    assert sum(a * b for a, b in zip(cat, kitten, strict=True)) > sum(
        a * b for a, b in zip(cat, rates, strict=True)
    )
    assert sparkd.model("smollm2").state == "ready"


def test_bodies_that_clients_send_in_other_ways_reach_the_engine_as_json(
    sparkd: SparkdProcess, client: OpenAI
) -> None:
    assert "Paris" in capital(client, "smollm2")
    fields = {"model": "smol", "messages": [{"role": "user", "content": "größer"}], "max_tokens": 2}
    body = json.dumps(fields, ensure_ascii=False).encode()
    as_form = {"content-type": "application/x-www-form-urlencoded"}
    ways: list[tuple[str, bytes, dict[str, str]]] = [
        ("//v1/chat/completions", body, as_form),
        ("/chat/completions/", b"\xef\xbb\xbf" + body, {}),
        ("/v1/v1/chat/completions", gzip.compress(body), {"content-encoding": "gzip"}),
        ("/v1/smol/v1/chat/completions", zlib.compress(body), as_form | {"content-encoding": "deflate"}),
        ("/openai/deployments/smol/chat/completions", body, {"content-type": "text/plain"}),
    ]
    for path, data, headers in ways:
        answer = httpx.post(f"{sparkd.url}{path}", content=data, headers=headers, timeout=60)
        assert answer.status_code == 200, (path, answer.text)


def test_a_loaded_engine_counts_exactly_and_another_model_is_estimated(
    sparkd: SparkdProcess, client: OpenAI
) -> None:
    assert "Paris" in capital(client, "smollm2")
    fields = {"system": "Be brief.", "messages": LONG}
    exact, estimate = (
        httpx.post(f"{sparkd.url}/v1/messages/count_tokens", json={"model": model, **fields}, timeout=60)
        for model in ("smol", "twin")
    )
    assert "x-sparkd-estimate" not in exact.headers
    assert estimate.headers["x-sparkd-estimate"] == "true"
    assert 0.5 < exact.json()["input_tokens"] / estimate.json()["input_tokens"] < 2
    for way in ({"prompt": "Hello there"}, {"messages": LONG}):
        tokens = httpx.post(f"{sparkd.url}/v1/smollm2/tokenize", json=way, timeout=60).json()
        assert tokens["count"] == len(tokens["tokens"]) > 0
    assert sparkd.model("twin").state == "stopped"


def test_what_no_engine_could_serve_starts_nothing(sparkd: SparkdProcess) -> None:
    chat = {"model": "minilm", "messages": LONG}
    before = sparkd.model("minilm").state
    for path, fields, status in (
        ("/v1/chat/completions", chat, 400),
        ("/v1/messages", chat | {"max_tokens": 1}, 400),
        ("/v1/chat/completion", chat, 404),
    ):
        assert httpx.post(f"{sparkd.url}{path}", json=fields).status_code == status
    assert httpx.get(f"{sparkd.url}/v1/minilm/embeddings").status_code == 405
    assert (
        httpx.post(f"{sparkd.url}/v1/chat/completions", content=b'{"model":"twin","x":"\xe4"}').status_code
        == 400
    )
    assert (sparkd.model("minilm").state, sparkd.model("twin").state) == (before, "stopped")


def test_engines_keep_answering_under_the_sparkd_that_replaces_this_one(
    sparkd: SparkdProcess, client: OpenAI
) -> None:
    before = [sparkd.model(name).pid for name in ("smollm2", "minilm")]
    stream = client.chat.completions.create(
        model="smollm2", messages=LONG, max_tokens=60, stream=True, extra_body=TO_THE_END
    )
    with ThreadPoolExecutor() as pool:
        next(iter(stream))
        replacing = pool.submit(sparkd.sparkctl, "reexec")
        pieces = [piece for piece in stream if piece.choices]
        done = replacing.result()
    assert pieces[-1].choices[0].finish_reason == "length", "what had begun was finished"
    assert "smollm2 and minilm kept running" in done.stdout, done.stderr
    assert "Paris" in capital(client, "smollm2")
    assert client.embeddings.create(model="minilm", input="a lighthouse").data[0].embedding
    assert [sparkd.model(name).pid for name in ("smollm2", "minilm")] == before


def test_a_disconnecting_client_stops_the_generation(sparkd: SparkdProcess, client: OpenAI) -> None:
    def running() -> float:
        metrics = [line for line in engine_metrics(sparkd, "smollm2") if "num_requests_running{" in line]
        return float(metrics[0].rpartition(" ")[2])

    stream = client.chat.completions.create(
        model="smollm2", messages=LONG, max_tokens=900, stream=True, extra_body=TO_THE_END
    )
    next(iter(stream))
    assert running() == 1
    stream.close()
    wait_until("the engine stopped generating", lambda: running() == 0)
    wait_until("the lease is released", lambda: sparkd.model("smollm2").in_flight == 0)


def engine_metrics(sparkd: SparkdProcess, model: str) -> list[str]:
    """Return the lines of the engine's own /metrics, requested without sparkd."""
    directory = Path(psutil.Process(sparkd.model(model).pid or 0).cwd())
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(directory / "api.sock"))) as engine:
        return engine.get("http://engine/metrics").text.splitlines()


def test_the_engines_metrics_are_joined_as_they_are(sparkd: SparkdProcess, client: OpenAI) -> None:
    assert "Paris" in capital(client, "smollm2")
    assert client.embeddings.create(model="minilm", input="a lighthouse").data[0].embedding
    joined = httpx.get(f"{sparkd.url}/metrics/engines", timeout=60).text
    found = samples(joined)
    for model in ("smollm2", "minilm"):
        assert found[f'sparkd_engine_up{{model_name="{model}"}}'] == 1.0
        direct = samples("\n".join([*engine_metrics(sparkd, model), ""]))
        named = {name for name in direct if name.startswith("vllm:") and f'model_name="{model}"' in name}
        assert len(named) > 50
        assert named <= set(found)
        assert any(
            name.startswith("vllm:cache_config_info{") and f'model_name="{model}"' in name for name in found
        )
    types = [line for line in joined.splitlines() if line.startswith("# TYPE")]
    assert len(types) == len(set(types))
    own = httpx.get(f"{sparkd.url}/metrics", timeout=60).text
    assert samples(own)['sparkd_tokens_total{client="anonymous",model="smollm2",type="output"}'] > 0


def test_a_second_model_waits_for_the_first_ones_response_and_replaces_it(
    sparkd: SparkdProcess, client: OpenAI
) -> None:
    first = family(sparkd, "smollm2")
    stream = client.chat.completions.create(
        model="smollm2", messages=LONG, max_tokens=100, stream=True, extra_body=TO_THE_END
    )
    next(iter(stream))
    with ThreadPoolExecutor() as pool:
        second = pool.submit(capital, client, "twin")
        sparkd.until("smollm2", "draining")
        finish = [chunk.choices[0].finish_reason for chunk in stream if chunk.choices][-1]
        assert finish == "length", "the first response was complete"
        assert "Paris" in second.result()
    assert have_exited(first)
    assert sparkd.model("minilm").state == "ready", "the utility was left alone"
    assert sparkd.model("smollm2").state == "stopped"


def test_the_whole_engine_stops_when_its_core_is_killed(sparkd: SparkdProcess, client: OpenAI) -> None:
    """Without sparkd, the API server would exit some seconds later with code 0."""
    assert "Paris" in capital(client, "twin")
    everything = family(sparkd, "twin")
    core, worker = (find_process(sparkd, "twin", title) for title in ("EngineCore", "Worker"))
    wait_until("sparkd watches both", lambda: {core.pid, worker.pid} <= watched_pids(sparkd))
    stream = client.chat.completions.create(
        model="twin", messages=LONG, max_tokens=900, stream=True, extra_body=TO_THE_END
    )
    next(iter(stream))
    core.kill()
    with pytest.raises(openai.APIError, match="vLLM's engine core was killed") as caught:
        list(stream)
    assert caught.value.code == "engine_failed"
    sparkd.until("twin", "backoff")
    assert_failed_before_its_api_server_exited(sparkd, "twin", "vLLM's engine core was killed (SIGKILL)")
    wait_until("all of its processes have exited", lambda: have_exited(everything))


def test_the_whole_engine_stops_when_its_worker_is_killed(sparkd: SparkdProcess, client: OpenAI) -> None:
    """Nobody uses it at that moment. The sparkd that watches it has replaced the one that started it."""
    wait_until("the backoff has ended", lambda: sparkd.model("twin").state == "stopped")
    assert "Paris" in capital(client, "twin")
    assert sparkd.sparkctl("reexec").returncode == 0
    everything = family(sparkd, "twin")
    worker = find_process(sparkd, "twin", "Worker")
    wait_until("sparkd watches the worker", lambda: worker.pid in watched_pids(sparkd))
    worker.kill()
    sparkd.until("twin", "backoff")
    assert_failed_before_its_api_server_exited(sparkd, "twin", "vLLM's worker was killed (SIGKILL)")
    wait_until("all of its processes have exited", lambda: have_exited(everything))


def assert_failed_before_its_api_server_exited(sparkd: SparkdProcess, model: str, cause: str) -> None:
    assert cause in (sparkd.model(model).cause or "")
    assert "Application shutdown complete" not in sparkd.sparkctl("logs", "-n", "500", model).stdout


def test_the_whole_engine_stops_when_its_api_server_is_killed(sparkd: SparkdProcess, client: OpenAI) -> None:
    """Without sparkd, the EngineCore would keep running with all its memory."""
    wait_until("the backoff has ended", lambda: sparkd.model("twin").state == "stopped")
    assert "Paris" in capital(client, "twin")
    everything = family(sparkd, "twin")
    assert len(everything) >= 2
    os.kill(everything[0].pid, signal.SIGKILL)
    wait_until("the crash is detected", lambda: sparkd.model("twin").state in ("backoff", "stopped"))
    wait_until("all of its processes have exited", lambda: have_exited(everything))
    assert "SIGKILL" in (sparkd.model("twin").cause or "")


def test_an_option_that_vllm_rejects_is_reported() -> None:
    """In a sparkd of its own, because the catalogue of the shared one is valid."""
    with tempfile.TemporaryDirectory(prefix="sparkd-vllm-") as folder:
        models = {"wrong": vllm("SmolLM2-135M-Instruct", options={"disable-log-requests": True})}
        paths = {"venvs": str(CLONE / "venvs"), "runtimes": str(CLONE / ".sparkd" / "runtimes")}
        other = SparkdProcess(Path(folder), {"models": models, "paths": paths})
        other.start()
        answer = other.chat("wrong")
        assert answer.status_code == 503
        assert "disable-log-requests" in answer.json()["error"]["message"]
        assert other.stop() == 0


def test_nothing_outlives_a_killed_sparkd_and_the_next_one(sparkd: SparkdProcess) -> None:
    """Then checks the idle stop too."""
    assert sparkd.model("minilm").state == "ready"
    orphans = sparkd.processes()
    assert orphans
    sparkd.stop(signal.SIGKILL)
    text = sparkd.catalogue.read_text()
    sparkd.catalogue.write_text(
        text.replace("min_residency = 0.0", "min_residency = 0.0\nidle_timeout = 10.0")
    )
    sparkd.start()
    assert have_exited(orphans)
    fresh = httpx.post(f"{sparkd.url}/v1/embeddings", json={"model": "minilm", "input": "hello"}, timeout=300)
    assert len(json.loads(fresh.content)["data"][0]["embedding"]) == 384
    everything = family(sparkd, "minilm")
    sparkd.until("minilm", "stopped")
    assert have_exited(everything)
    assert 'Stopping model "minilm": idle for 10 seconds' in sparkd.log()


def test_a_model_downloaded_from_a_hub_answers_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """vLLM can read the cache that sparkd filled, at a pinned revision, while the hub is unreachable."""
    tiny = CLONE / ".sparkd" / "models" / "tiny-llama"
    with tempfile.TemporaryDirectory(prefix="sparkd-vllm-") as folder:
        sparkd = SparkdProcess(
            Path(folder),
            {
                "memory": {"total": "6 GiB", "reserve": 0, "learn": False},
                "paths": {"venvs": str(CLONE / "venvs"), "runtimes": str(CLONE / ".sparkd" / "runtimes")},
                "models": {
                    "tiny": vllm("", source="org/tiny", revision="v1", download="auto", environment={})
                },
            },
        )
        with running_hub() as hub:
            hub.add("org/tiny", {path.name: path.read_bytes() for path in tiny.iterdir() if path.is_file()})
            monkeypatch.setenv("HF_ENDPOINT", hub.url)
            sparkd.start()
            assert sparkd.chat("tiny", max_tokens=4).status_code == 200
            paths = [path for _, path, _, _ in hub.asked]
            assert (
                paths.count("/api/models/org/tiny/revision/v1")
                == len([one for one in paths if "/api/" in one])
                == 1
            )
        assert sparkd.sparkctl("stop", "tiny").returncode == 0
        assert sparkd.chat("tiny", max_tokens=4).status_code == 200
        assert sparkd.stop(seconds=120) == 0, sparkd.log()
        sparkd.assert_nothing_left()
