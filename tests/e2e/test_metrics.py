"""/metrics and /metrics/engines of a real sparkd: access, the machine, the models; and that a scrape is no use."""

from __future__ import annotations

import gzip
import json
import time
from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import Build
from tests.e2e.sparkd_process import SparkdProcess, engine, wait_until
from tests.machine.drivers import build_driver
from tests.metrics.records import samples

KEY = "sk-for-metrics"
BOTH = ("/metrics", "/metrics/engines")


def get(sparkd: SparkdProcess, path: str = "/metrics", **headers: str) -> httpx.Response:
    """Ask as a program on this machine; `x_forwarded_for` is the header `x-forwarded-for`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.get(f"{sparkd.url}{path}", headers=named, timeout=60)


def read(sparkd: SparkdProcess, path: str = "/metrics") -> dict[str, float]:
    response = get(sparkd, path)
    assert response.status_code == 200, response.text
    return samples(response.text)


def ask_owner(sparkd: SparkdProcess, path: str) -> httpx.Response:
    """Ask on the control socket."""
    socket = httpx.HTTPTransport(uds=str(sparkd.folder / "run" / "control.sock"))
    with httpx.Client(transport=socket, base_url="http://localhost") as client:
        return client.get(path)


@pytest.fixture
def keyed(build: Build, folder: Path) -> SparkdProcess:
    """A sparkd with an API key."""
    (folder / "keys").write_text(f"laptop: {KEY}\n")
    return build({"m": engine()}, server={"listen": "127.0.0.1:0", "api_key_file": "keys"})


@pytest.mark.parametrize("path", BOTH)
def test_with_keys_programs_on_this_machine_need_none_and_others_any(keyed: SparkdProcess, path: str) -> None:
    assert get(keyed, path).status_code == 200
    elsewhere = {"x_forwarded_for": "192.168.1.5"}
    refused = get(keyed, path, **elsewhere)
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "invalid_api_key")
    assert get(keyed, path, **elsewhere, authorization="Bearer wrong").status_code == 401
    assert get(keyed, path, **elsewhere, authorization=f"Bearer {KEY}").status_code == 200
    assert get(keyed, path, host="evil.example").status_code == 401
    assert get(keyed, path, origin="http://localhost:3000").status_code == 401
    assert ask_owner(keyed, path).status_code == 200


@pytest.mark.parametrize("path", BOTH)
def test_without_keys_the_names_in_the_request_decide(build: Build, path: str) -> None:
    sparkd = build({"m": engine()})
    assert get(sparkd, path).status_code == 200
    assert get(sparkd, f"{path}/").status_code == 200
    assert get(sparkd, path, x_forwarded_for="192.168.1.5").status_code == 200
    for refused in ({"host": "evil.example"}, {"origin": "https://evil.example"}):
        response = get(sparkd, path, **refused)
        assert (response.status_code, response.json()["error"]["code"]) == (403, "access_denied")
    head = httpx.head(f"{sparkd.url}{path}")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"].startswith("text/plain; version=0.0.4")
    posted = httpx.post(f"{sparkd.url}{path}")
    assert (posted.status_code, posted.headers["allow"]) == (405, "GET, HEAD")
    assert ask_owner(sparkd, path).headers["content-type"].startswith("text/plain; version=0.0.4")


def test_sparkctl_prints_them(build: Build) -> None:
    sparkd = build({"m": engine("--counters", "working")})
    sparkd.chat("m")
    assert samples(sparkd.sparkctl("metrics").stdout)['sparkd_model_state{model="m",state="ready"}'] == 1.0
    engines = [
        json.loads(line) for line in sparkd.sparkctl("--json", "metrics", "--engines").stdout.splitlines()
    ]
    assert {"name": "sparkd_engine_up", "labels": {"model_name": "m"}, "value": 1} in engines


def test_turned_off_they_are_only_on_the_control_socket(build: Build) -> None:
    sparkd = build({"m": engine()}, server={"listen": "127.0.0.1:0", "metrics": False})
    for path in BOTH:
        response = get(sparkd, path)
        assert response.status_code == 404
        assert "`server.metrics` is false" in response.json()["error"]["message"]
        assert ask_owner(sparkd, path).status_code == 200
    sparkd.catalogue.write_text(sparkd.catalogue.read_text().replace("metrics = false", "metrics = true"))
    assert sparkd.sparkctl("reload").returncode == 0
    assert get(sparkd).status_code == 200


def test_formats_and_compression(build: Build) -> None:
    sparkd = build({"m": engine()})
    response = get(
        sparkd, accept="application/openmetrics-text;version=nonsense;q=1", accept_encoding="identity"
    )
    assert response.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert response.text.endswith("# EOF\n")
    assert "content-encoding" not in response.headers
    with httpx.stream("GET", f"{sparkd.url}/metrics", headers={"accept-encoding": "gzip"}) as streamed:
        assert streamed.headers["content-encoding"] == "gzip"
        assert streamed.headers["vary"] == "Accept, Accept-Encoding"
        assert b"sparkd_build_info" in gzip.decompress(b"".join(streamed.iter_raw()))


def test_the_machine_and_the_models(build: Build) -> None:
    sparkd = build({"m": engine(), "unused": engine(), "never-asked": engine()})
    with sparkd.streaming("m", "one two three four", bad={"pace": 0.3}) as lines:
        next(lines)
        found = read(sparkd)
        assert found['sparkd_requests_in_flight{model="m"}'] == 1.0
    assert found['sparkd_memory_bytes{kind="total"}'] == 10 * 1024**3
    assert found['sparkd_memory_bytes{kind="committed"}'] == 1024**3
    assert found['sparkd_model_memory_bytes{kind="estimate",model="m"}'] == 1024**3
    assert found['sparkd_model_state{model="m",state="ready"}'] == 1.0
    assert found['sparkd_model_state{model="m",state="starting"}'] == 0.0
    assert found['sparkd_model_info{engine="command",model="m",quantization="",runtime=""}'] == 1.0
    assert found['sparkd_queue_requests{model="m"}'] == 0.0
    assert found['sparkd_disk_bytes{folder="models",kind="available"}'] > 0
    assert found["process_resident_memory_bytes"] > 1024**2
    assert abs(found["sparkd_start_time_seconds"] - time.time()) < 3600
    assert not [
        name for name in found if "unused" in name or "never-asked" in name or name.startswith("sparkd_gpu")
    ]
    assert read(sparkd)["sparkd_start_time_seconds"] == found["sparkd_start_time_seconds"]


def test_a_load_and_what_waits_for_it(build: Build, folder: Path) -> None:
    gate = folder / "gate"
    sparkd = build({"m": engine("--start-gate", str(gate))})
    with sparkd.waiting_client("m"):
        found = wait_until(
            "it waits", lambda: (now := read(sparkd)).get('sparkd_queue_requests{model="m"}') and now
        )
        assert found['sparkd_model_state{model="m",state="starting"}'] == 1.0
        assert found['sparkd_model_load_elapsed_seconds{model="m"}'] >= 0
        assert found['sparkd_queue_oldest_wait_seconds{model="m"}'] >= 0
        assert 'sparkd_model_load_expected_seconds{model="m"}' not in found  # it was never loaded
        gate.touch()
        sparkd.until("m", "ready")
    assert 'sparkd_model_load_elapsed_seconds{model="m"}' not in read(sparkd)


def test_a_model_in_quarantine(build: Build) -> None:
    failures = {"max_failures": 1, "backoff": 0.1}
    sparkd = build({"m": engine("--exit-at-start", "1")}, failures=failures)
    sparkd.chat("m")
    wait_until("it is in quarantine", lambda: sparkd.model("m").quarantined)
    found = read(sparkd)
    assert found['sparkd_model_quarantined{model="m"}'] == 1.0
    assert found['sparkd_quarantines_total{model="m"}'] == 1.0
    assert found['sparkd_model_state{model="m",state="backoff"}'] == 1.0


def test_requests_loads_and_stops_are_counted(build: Build) -> None:
    sparkd = build({"m": engine(), "big": engine(memory="10 GiB")}, queue={"max_wait": 60})
    assert sparkd.chat("m").status_code == 200
    with sparkd.streaming("m", "one two three four", stream_options={"include_usage": True}) as lines:
        list(lines)
    assert sparkd.chat("nothing-of-the-kind").status_code == 404
    assert sparkd.chat("big").status_code == 200  # evicts m
    endpoint = 'endpoint="/v1/chat/completions"'
    served = f'sparkd_requests_total{{client="anonymous",code="200",{endpoint},model="m"}}'
    found = wait_until("they are counted", lambda: (now := read(sparkd)).get(served) == 2 and now)
    assert found[f'sparkd_request_duration_seconds_count{{{endpoint},model="m"}}'] == 2
    assert found[f'sparkd_time_to_first_token_seconds_count{{{endpoint},model="m"}}'] == 1
    assert found['sparkd_queue_wait_seconds_count{model="m"}'] == 2
    assert found['sparkd_refusals_total{code="model_not_found"}'] == 1
    assert found[f'sparkd_requests_total{{client="anonymous",code="404",{endpoint},model="other"}}'] == 1
    assert found['sparkd_model_load_seconds_count{model="m",outcome="ready"}'] == 1
    assert found['sparkd_model_stops_total{model="m",reason="evicted"}'] == 1
    assert abs(found['sparkd_model_last_used_timestamp_seconds{model="m"}'] - time.time()) < 600
    assert found['sparkd_model_state{model="m",state="stopped"}'] == 1


def test_a_scrape_is_no_use_the_model_is_still_stopped_for_idleness(build: Build) -> None:
    sparkd = build({"m": engine("--counters", "working", idle_timeout=1)})
    assert sparkd.chat("m").status_code == 200
    assert read(sparkd, "/metrics/engines")['sparkd_engine_up{model_name="m"}'] == 1.0

    def scrape_until_stopped() -> bool:
        for _ in range(20):
            read(sparkd, "/metrics/engines")
        return sparkd.model("m").state == "stopped"

    wait_until("it is stopped although it is scraped all the time", scrape_until_stopped)
    assert get(sparkd, "/metrics/engines").text == ""
    assert sparkd.model("m").waiting == 0
    assert "Starting model" not in sparkd.log().partition("Stopping model")[2], "a scrape starts nothing"


def test_a_gb10_reports_what_it_can(folder: Path) -> None:
    driver = build_driver(folder, "gb10")
    sparkd = SparkdProcess(folder, {"models": {"m": engine()}})
    sparkd.start(driver.environment)
    try:
        found = read(sparkd)
        assert found['sparkd_gpu_info{gpu="0",name="NVIDIA GB10"}'] == 1.0
        assert found['sparkd_gpu_utilization_ratio{gpu="0"}'] == 0.96
        assert found['sparkd_gpu_temperature_celsius{gpu="0"}'] == 71.0
        assert found['sparkd_gpu_power_watts{gpu="0"}'] == 84.25
        assert found['sparkd_gpu_clock_hertz{gpu="0"}'] == 2.405e9
        assert found['sparkd_gpu_throttled{gpu="0",reason="thermal"}'] == 1.0
        assert found['sparkd_gpu_throttled{gpu="0",reason="power_cap"}'] == 0.0
        assert "sparkd_gpu_energy_joules_total" not in str(found), "a GB10 does not report it"
        driver.set_kind("hangs")
        wait_until("the last reading is old", lambda: get(sparkd).elapsed.total_seconds() >= 0.5)
        assert get(sparkd).status_code == 200, "a driver that hangs delays a scrape, and nothing else"
        assert sparkd.chat("m").status_code == 200
        driver.set_kind("gone")
        wait_until(
            "the GPU is gone", lambda: 'sparkd_gpu_info{gpu="0",name="NVIDIA GB10"}' not in read(sparkd)
        )
    finally:
        assert sparkd.stop() == 0
