"""Entries that journalctl finds."""

from __future__ import annotations

from tests.systemd.installation import SERVICE, Installation


def test_lines_about_a_model_are_found_by_its_name_and_by_event(sparkd: Installation) -> None:
    assert sparkd.chat("a")[0] == 200
    assert {entry["MODEL"] for entry in sparkd.lab.journal("--unit", SERVICE, "MODEL=a")} == {"a"}
    ready = sparkd.lab.journal("--unit", SERVICE, "MODEL=a", "EVENT=ready")[-1]
    assert ready["MESSAGE"].startswith('Model "a" is ready after ')
    assert ready["PRIORITY"] == "6"
    assert ready["SYSLOG_IDENTIFIER"] == "sparkd"
    assert int(ready["DURATION_MS"]) > 0


def test_a_crash_is_an_error_with_its_cause(sparkd: Installation) -> None:
    assert sparkd.chat("a")[0] == 200
    sparkd.lab.run("kill", "-KILL", str(sparkd.engine_pid("a")))
    sparkd.lab.wait_until("the crash is detected", lambda: sparkd.model("a")["state"] != "ready")
    crash = sparkd.lab.journal("--unit", SERVICE, "MODEL=a", "EVENT=model-failed")[-1]
    assert crash["PRIORITY"] == "3"
    assert "SIGKILL" in crash["MESSAGE"]


def test_an_engines_output_is_found_under_its_own_identifier(sparkd: Installation) -> None:
    sparkd.catalogue(sparkd.models("--say", "(EngineCore pid=7) WARNING 11-22 05:51:05 [x.py:1] slow"))
    try:
        assert sparkd.chat("a")[0] == 200
        daemon = sparkd.pid()
        warning = sparkd.lab.journal("--identifier=command-a", "--priority=warning")[-1]
        assert warning["MESSAGE"].endswith("WARNING 11-22 05:51:05 [x.py:1] slow")
        assert (warning["MODEL"], warning["PRIORITY"]) == ("a", "4")
        assert (warning["_SYSTEMD_UNIT"], warning["_PID"]) == (SERVICE, str(daemon))
        both = {
            entry["SYSLOG_IDENTIFIER"]
            for entry in sparkd.lab.journal("--unit", SERVICE, f"_PID={daemon}", "MODEL=a")
        }
        assert both == {"sparkd", "command-a"}
        assert warning["MESSAGE"] in sparkd.lab.run("sparkctl", "logs", "a").stdout
    finally:
        sparkd.catalogue(sparkd.models())


def test_a_flood_of_an_engine_is_limited_and_the_daemons_lines_still_arrive(sparkd: Installation) -> None:
    sparkd.catalogue(sparkd.models("--flood-stdout", str(2 * 1024 * 1024)))
    try:
        assert sparkd.chat("a")[0] == 200
        ours = f"_PID={sparkd.pid()}"
        assert sparkd.lab.run("sparkctl", "stop", "a").returncode == 0
        lines = [str(entry["MESSAGE"]) for entry in sparkd.lab.journal("--identifier=command-a", ours)]
        assert len(lines) < 3000
        assert any("lines are not in the journal; `sparkctl logs` has them" in line for line in lines)
        assert [entry["EVENT"] for entry in sparkd.lab.journal("--identifier=sparkd", "MODEL=a", ours)] == [
            "starting", "ready", "stopping", "stopped"
        ]  # fmt: skip
    finally:
        sparkd.catalogue(sparkd.models())


def test_a_rejected_request_is_found_by_the_id_that_its_client_got(sparkd: Installation) -> None:
    head = ["--dump-header", "-", "--header", "x-request-id: mine-7"]
    answered = sparkd.lab.run(*sparkd.curl("/v1/chat/completions", {"model": "nosuch"}), *head).stdout
    assert "x-request-id: mine-7" in answered
    assert sparkd.chat("a")[0] == 200
    (entry,) = sparkd.lab.journal("--unit", SERVICE, "REQUEST_ID=mine-7")
    assert (entry["EVENT"], entry["STATUS"], entry["CODE"]) == ("refused", "404", "model_not_found")
    assert (entry["PRIORITY"], "DURATION_MS" in entry) == ("6", True)
    ours = f"_PID={sparkd.pid()}"
    assert {entry.get("REQUEST_ID") for entry in sparkd.lab.journal("--unit", SERVICE, ours)} == {
        None, "mine-7"
    }  # fmt: skip


def test_an_interrupted_response_is_a_warning_with_its_model(sparkd: Installation) -> None:
    assert sparkd.chat("a")[0] == 200
    sparkd.chat("a", stream=True, bad={"tokens": 5, "die_at_chunk": 2})
    interrupted = sparkd.lab.journal("--unit", SERVICE, "MODEL=a", "EVENT=interrupted")[-1]
    assert (interrupted["PRIORITY"], interrupted["STATUS"]) == ("4", "502")
    assert "one two three" not in interrupted["MESSAGE"]
