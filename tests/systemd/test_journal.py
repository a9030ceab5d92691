"""What journalctl finds."""

from __future__ import annotations

from tests.systemd.installed import SERVICE, Installed


def test_lines_about_a_model_are_found_by_its_name_and_by_what_happened(sparkd: Installed) -> None:
    assert sparkd.chat("a")[0] == 200
    assert {entry["MODEL"] for entry in sparkd.lab.journal("--unit", SERVICE, "MODEL=a")} == {"a"}
    ready = sparkd.lab.journal("--unit", SERVICE, "MODEL=a", "EVENT=ready")[-1]
    assert ready["MESSAGE"].startswith("a: ready after ")
    assert ready["PRIORITY"] == "6"
    assert ready["SYSLOG_IDENTIFIER"] == "sparkd"
    assert int(ready["DURATION_MS"]) > 0


def test_a_crash_is_an_error_with_its_cause(sparkd: Installed) -> None:
    assert sparkd.chat("a")[0] == 200
    sparkd.lab.run("kill", "-KILL", str(sparkd.engine_pid("a")))
    sparkd.lab.until("the crash is noticed", lambda: sparkd.model("a")["state"] != "ready")
    crash = sparkd.lab.journal("--unit", SERVICE, "MODEL=a", "EVENT=crash")[-1]
    assert crash["PRIORITY"] == "3"
    assert "SIGKILL" in crash["MESSAGE"]
