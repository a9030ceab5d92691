"""A real Prometheus scrapes a real sparkd, finds no fault, and evaluates the alert rules and the dashboard."""

from __future__ import annotations

import http.client
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
from ruamel.yaml import YAML

from tests.e2e.conftest import Build
from tests.e2e.sparkd_process import SparkdProcess, engine, wait_until
from tests.metrics.contrib import RULES, dashboard_queries, fill_in, find_program

KEY = "sk-for-prometheus"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


class Prometheus:
    """A Prometheus with these jobs and sparkd's rules."""

    def __init__(self, folder: Path, jobs: list[dict[str, Any]]) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self._folder = folder
        config = {
            "global": {"scrape_interval": "5s", "scrape_timeout": "5s", "evaluation_interval": "1s"},
            "rule_files": [str(RULES)],
            "scrape_configs": jobs,
        }
        with (folder / "prometheus.yml").open("w") as file:
            YAML().dump(config, file)

    @contextmanager
    def running(self) -> Iterator[None]:
        command = [
            find_program("prometheus"),
            f"--config.file={self._folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self._folder / 'prometheus'}",
            f"--web.listen-address={self.url.removeprefix('http://')}",
            "--log.level=warn",
        ]
        log = self._folder / "prometheus.log"
        with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
            try:
                wait_until("Prometheus is ready", self._is_ready)
                yield
                logged = log.read_text().splitlines()
                assert [line for line in logged if "level=error" in line or "level=warn" in line] == []
            finally:
                process.terminate()

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/-/ready", timeout=60).status_code == 200
        except httpx.TransportError:  # it does not listen yet
            return False

    def get(self, path: str, **parameters: str) -> Any:
        response = httpx.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=60)
        body = response.json()
        assert body["status"] == "success", body
        return body["data"]

    def health(self) -> dict[str, str]:
        """The state of each job."""
        return {each["labels"]["job"]: each["health"] for each in self.get("targets")["activeTargets"]}

    def value(self, query: str) -> float | None:
        """The value of a query that has one, None if it has none."""
        found = self.get("query", query=query)["result"]
        return float(found[0]["value"][1]) if found else None


@contextmanager
def forwarding_proxy(sparkd: SparkdProcess) -> Iterator[int]:
    """A reverse proxy, which says that clients are on another machine. Yields its port."""

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            upstream = http.client.HTTPConnection("127.0.0.1", sparkd.port, timeout=60)
            upstream.request(
                "GET", self.path, headers=dict(self.headers) | {"X-Forwarded-For": "192.168.1.5"}
            )
            answer = upstream.getresponse()
            body = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                self.send_header(name, value)
            self.end_headers()
            with suppress(ConnectionError):  # Prometheus did not wait
                self.wfile.write(body)
            upstream.close()

        def log_request(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def test_prometheus_scrapes_sparkd_and_evaluates_everything(build: Build, folder: Path) -> None:
    (folder / "keys").write_text(f"prometheus: {KEY}\n")
    (folder / "prometheus.key").write_text(KEY)
    models = {"m": engine("--counters", "working"), "tcp": engine("--counters", "working", tcp=True)}
    sparkd = build(models, server={"listen": "127.0.0.1:0", "api_key_file": "keys"})
    assert sparkd.sparkctl("load", "m").returncode == 0
    assert sparkd.sparkctl("load", "tcp").returncode == 0
    with forwarding_proxy(sparkd) as port:
        here, there = f"localhost:{sparkd.port}", f"localhost:{port}"
        key = {"authorization": {"credentials_file": str(folder / "prometheus.key")}}
        jobs: list[dict[str, Any]] = [
            {"job_name": "sparkd", "static_configs": [{"targets": [here]}]},
            {
                "job_name": "sparkd-engines",
                "metrics_path": "/metrics/engines",
                "static_configs": [{"targets": [here]}],
            },
            {"job_name": "with-key", "static_configs": [{"targets": [there]}], **key},
            {"job_name": "without-key", "static_configs": [{"targets": [there]}]},
        ]
        prometheus = Prometheus(folder, jobs)
        with prometheus.running():
            expected = {"sparkd": "up", "sparkd-engines": "up", "with-key": "up", "without-key": "down"}
            wait_until("every job was scraped", lambda: prometheus.health() == expected)
            check_targets(prometheus)
            check_values(prometheus, sparkd)
            check_rules_and_dashboard(prometheus)


def check_targets(prometheus: Prometheus) -> None:
    errors = {each["labels"]["job"]: each["lastError"] for each in prometheus.get("targets")["activeTargets"]}
    assert "401" in errors.pop("without-key")
    assert set(errors.values()) == {""}, errors
    types = {
        each["metric"]: each["type"]
        for each in prometheus.get("targets/metadata", match_target='{job="sparkd"}')
    }
    assert types["sparkd_memory_bytes"] == "gauge"
    assert types["sparkd_guard_actions"] == "counter"  # OpenMetrics names the family so
    assert types["sparkd_model"] == "info"


def check_values(prometheus: Prometheus, sparkd: SparkdProcess) -> None:
    assert wait_until("it is up", lambda: prometheus.value('up{job="sparkd"}')) == 1.0
    assert prometheus.value('sparkd_model_state{job="sparkd",model="m",state="ready"}') == 1.0
    assert prometheus.value('vllm:num_requests_running{model_name="tcp"}') == 1.0
    assert prometheus.value('sparkd_engine_up{model_name="m"}') == 1.0
    assert prometheus.value('scrape_samples_scraped{job="with-key"}') == prometheus.value(
        'scrape_samples_scraped{job="sparkd"}'
    )
    assert sparkd.sparkctl("stop", "tcp").returncode == 0
    gone = 'absent(sparkd_engine_up{model_name="tcp"})'
    wait_until("the series of a stopped model end", lambda: prometheus.value(gone) == 1.0)


def check_rules_and_dashboard(prometheus: Prometheus) -> None:
    def evaluated() -> list[dict[str, Any]] | None:
        rules = [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
        return rules if all(rule["health"] != "unknown" for rule in rules) else None

    rules = wait_until("every rule was evaluated", evaluated)
    assert len(rules) >= 10
    assert {rule["name"]: rule.get("lastError", "") for rule in rules if rule["health"] != "ok"} == {}
    for title, query, _ in dashboard_queries():
        parameters = {"query": fill_in(query)}
        response = httpx.post(f"{prometheus.url}/api/v1/query", data=parameters, timeout=60)
        assert response.json()["status"] == "success", f"{title}: {response.text}"
    assert prometheus.value(fill_in(query_of("State"))) == 2.0, "the model m is ready"


def query_of(panel: str) -> str:
    return next(query for title, query, _ in dashboard_queries() if title == panel)
