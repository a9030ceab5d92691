"""`sparkctl top` on a real terminal, with a real sparkd behind it."""

from __future__ import annotations

import json
import signal
from contextlib import AbstractContextManager

import pytest

from tests.cli.running import command, sparkctl
from tests.cli.screen.emulator import Program
from tests.e2e.sparkd_process import SparkdProcess, wait_until

UP, DOWN, ESCAPE, ENTER, TAB = "\x1b[A", "\x1b[B", "\x1b", "\r", "\t"


def run_top(
    sparkd: SparkdProcess, *, columns: int = 100, lines: int = 30, environment: dict[str, str] | None = None
) -> AbstractContextManager[Program]:
    argv = command("top", "--socket", sparkd.folder / "run" / "control.sock")
    return Program(argv, columns=columns, lines=lines, environment=environment)


def find_row(screen: str, model: str) -> str:
    lines = (line for line in screen.splitlines() if line[:2] in ("▸ ", "  "))
    return next((line for line in lines if line[2:].startswith(f"{model} ")), "")


def select(top: Program, model: str) -> None:
    """Select a model by a filter, and end the filter's typing."""
    top.type(f"/{model}{ENTER}")
    top.until(lambda shown: f"▸ {model} " in shown)


def test_a_model_is_loaded_shown_and_stopped(sparkd: SparkdProcess) -> None:
    with run_top(sparkd) as top:
        top.shows("broken")
        select(top, "other")
        top.type("l")
        top.shows("other is ready (started in ")
        assert "ready" in top.until(lambda shown: "ready" in find_row(shown, "other"))
        top.type("l")
        top.shows("other is ready already.")
        top.type("s")
        top.shows("other is stopped.")
        top.until(lambda shown: "stopped" in find_row(shown, "other"))
        top.type("q")
        assert top.wait() == 0
        top.assert_clean()


def test_a_model_in_use_is_stopped_after_a_question_only(sparkd: SparkdProcess) -> None:
    with sparkd.streaming("busy") as stream, run_top(sparkd) as top:
        next(stream)
        select(top, "busy")
        top.until(lambda shown: " 1 " in find_row(shown, "busy"))
        for answer in ("n", ENTER, ESCAPE, "q"):
            top.type("s")
            top.shows("busy is in use (1 request in flight). The responses in progress are finished first.")
            top.type("x")  # not an answer
            top.type(answer)
            top.shows("Nothing was changed.")
            top.type(ESCAPE)
            top.until(lambda shown: "Nothing" not in shown)
            top.type("/busy\r")
        assert sparkd.model("busy").state == "ready"
        top.type("s")
        top.shows("[y/N]")
        top.type("y")
        top.shows("busy is being stopped.")
        top.until(lambda shown: "finishing" in find_row(shown, "busy"))
        assert sparkd.model("busy").state == "draining"


def test_a_load_that_stops_what_is_in_use_says_so_first(sparkd: SparkdProcess) -> None:
    with sparkd.streaming("busy") as stream, run_top(sparkd) as top:
        next(stream)
        select(top, "rival")
        top.type("l")
        top.shows("Loading rival stops busy (1 request in flight). Load it? [y/N]")
        top.type("n")
        top.shows("Nothing was changed.")
        assert sparkd.model("rival").waiting == 0


def test_a_request_is_cancelled(sparkd: SparkdProcess) -> None:
    with sparkd.streaming("busy") as stream, run_top(sparkd) as top:
        next(stream)
        top.type(TAB)
        shown = top.until(lambda shown: "decoding" in shown)
        assert "REQUESTS  1 request, by age" in shown
        assert "anonymous" in shown
        top.type(ENTER)
        top.shows("endpoint    /v1/chat/completions (streamed)")
        top.type("c")
        top.shows("Cancel request ")
        top.type("y")
        top.shows("is cancelled.")
        top.until(lambda shown: "phase       ended" in shown)
        assert any("request_cancelled" in line for line in stream)
        top.type(ESCAPE)
        top.shows("REQUESTS  0 requests")
        wait_until("nothing in flight", lambda: not sparkd.model("busy").in_flight)


def test_a_failed_model_shows_its_cause_and_its_log_and_may_be_tried_again(sparkd: SparkdProcess) -> None:
    with run_top(sparkd) as top:
        top.shows("broken")
        select(top, "broken")
        top.type("r")
        top.shows("broken has not failed")
        top.type("l")
        top.until(lambda shown: "quarantined" in find_row(shown, "broken") and "exit code" in shown)
        top.type(ENTER)
        top.until(
            lambda shown: "then run `sparkctl retry broken`" in shown and "LOG\nno such flag\n" in shown
        )
        top.type(f"{ESCAPE}r")
        top.shows("broken may start again; the next request starts it.")
        top.until(lambda shown: "stopped" in find_row(shown, "broken"))


def test_a_plan_and_the_help_are_shown_over_the_list(sparkd: SparkdProcess) -> None:
    with run_top(sparkd) as top:
        top.shows("broken")
        select(top, "other")
        top.type("p")
        shown = top.shows("what a request for it would do now")
        assert "other would be loaded" in shown
        assert "memory: 5.0 GiB (declared)" in shown
        top.type("?")
        top.shows("Keys of sparkctl top")
        top.type(ESCAPE)
        top.shows("would be loaded")
        top.type("q")
        top.shows("MODELS")
        top.type("q")
        assert top.wait() == 0


def test_the_selection_stays_with_its_row_when_rows_move(sparkd: SparkdProcess) -> None:
    with run_top(sparkd) as top:
        top.shows("▸ broken")
        top.type(DOWN * 2)
        top.shows("▸ other")
        sparkd.chat("rival")
        top.until(lambda shown: "ready" in find_row(shown, "rival"))
        lines = [line for line in top.screen.text().splitlines() if line[:2] in ("▸ ", "  ")]
        assert lines[1].startswith("  rival")
        assert any(line.startswith("▸ other") for line in lines)
        top.type("\x1b[H")
        top.shows("▸ rival")
        top.type("\x1b[F")
        top.shows("▸ slow")


def test_the_order_can_be_chosen_and_reversed(sparkd: SparkdProcess) -> None:
    with run_top(sparkd) as top:
        top.shows("by activity")
        top.type("M")
        top.until(lambda shown: "by memory" in shown and "MEMORY▾" in shown)
        shown = top.screen.text()
        assert shown.index("  rival") < shown.index("  other") < shown.index("  slow")
        top.type("M")
        shown = top.until(lambda shown: "by memory (reversed)" in shown and "MEMORY▴" in shown)
        assert shown.index("  slow") < shown.index("  other") < shown.index("  rival")
        top.type("o")
        top.shows("by age")


def test_pasted_text_presses_no_keys(sparkd: SparkdProcess) -> None:
    with run_top(sparkd) as top:
        top.shows("▸ broken")
        top.type("\x1b[200~lllsyq\x1b[201~")
        top.type("/\x1b[200~slow\x1b[201~")
        top.shows("▸ slow")
        assert all(model.state == "stopped" for model in sparkd.status().models)


def test_a_load_that_waits_ends_with_the_screen_and_it_says_so(sparkd: SparkdProcess) -> None:
    with sparkd.waiting_client("slow"), run_top(sparkd) as top:
        sparkd.until("slow", "starting")
        select(top, "rival")
        top.type("l")
        wait_until("the load waits", lambda: sparkd.model("rival").waiting == 1)
        top.until(lambda shown: find_row(shown, "rival").split()[2:6] == ["stopped", "—", "0", "1"])
        top.type("q")
        top.shows("Your load of rival still waits in the queue, and is cancelled if you quit. Quit? [y/N]")
        top.type("y")
        assert top.wait() == 0
        top.assert_clean()
    wait_until("its place is free", lambda: sparkd.model("rival").waiting == 0)


def test_it_survives_a_daemon_that_is_killed_and_started_again(sparkd: SparkdProcess) -> None:
    with run_top(sparkd) as top:
        top.shows("▸ broken")
        sparkd.stop(signal.SIGKILL)
        top.shows("reconnecting for ")
        top.type("l")
        top.shows("sparkd is not running")
        sparkd.start()
        top.until(lambda shown: "reconnecting" not in shown)
        top.type("\x03")
        assert top.wait() == 130
        top.assert_clean()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_the_terminal_as_it_was(sparkd: SparkdProcess, number: signal.Signals) -> None:
    with run_top(sparkd) as top:
        top.shows("broken")
        top.send(number)
        assert top.wait() == 128 + number
        top.assert_clean()


def test_ctrl_z_gives_the_terminal_back_and_fg_draws_again(sparkd: SparkdProcess) -> None:
    argv = " ".join(command("top", "--socket", sparkd.folder / "run" / "control.sock"))
    with Program(["bash", "--norc", "--noprofile", "-i"], columns=100, lines=30) as shell:
        shell.type(f"{argv}\n")
        shell.until(lambda shown: "?1049" in shell.screen.modes and "MODELS" in shown)
        shell.type("\x1a")
        # The prompt may be over the beginning of "[1]+  Stopped".
        shell.until(lambda shown: "ped    " in shown and "?1049" not in shell.screen.modes)
        shell.type("fg\n")
        shell.until(lambda shown: "?1049" in shell.screen.modes and "MODELS" in shown and "broken" in shown)
        shell.type("q")
        shell.until(lambda _: "?1049" not in shell.screen.modes)


def test_it_follows_the_size_of_the_window(sparkd: SparkdProcess) -> None:
    with run_top(sparkd) as top:
        top.shows("MEMORY")
        for columns, lines in ((40, 12), (20, 5), (200, 50), (1, 1), (80, 24)):
            top.resize(columns, lines)
            if columns >= 20:
                top.until(lambda shown: "sparkd" in shown)
        top.shows("q quit")
        assert top.screen.unknown == []


def test_a_terminal_without_colours_or_unicode_shows_the_same(sparkd: SparkdProcess) -> None:
    environment = {"NO_COLOR": "1", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    with run_top(sparkd, environment=environment) as top:
        shown = top.shows("> broken")
        assert shown.isascii()
        top.type("q")
        top.wait()
        assert "\x1b[3" not in top.screen.raw.replace("\x1b[3;", "").replace("\x1b[30;", "")


def test_without_a_terminal_it_names_the_command_for_programs() -> None:
    result = sparkctl("top")
    assert (result.code, result.out) == (2, "")
    assert result.err == "sparkctl: top needs a terminal. For programs, there is `sparkctl status --json`.\n"
    result = sparkctl("top", "--json")
    assert result.code == 2
    assert json.loads(result.err)["error"]["message"].startswith("top needs a terminal.")
