"""The views Catalogue and Doctor, and the panel of a model, in a real browser on a real sparkd."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Build
from tests.e2e.sparkd_process import SparkdProcess, engine
from tests.page.browser import NARROW, WIDE, Theme
from tests.page.conftest import OpenPage

OWN = "# Changes of this machine\n[changes.small]\nidle_timeout = 900\n"
SIZES = [(WIDE, "light"), (WIDE, "dark"), (NARROW, "light")]


def write_own(sparkd: SparkdProcess, text: str = OWN) -> Path:
    file = sparkd.folder / "models.d" / "own.toml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    return file


def editor(page: Page) -> str:
    return page.get_by_label("Text of models.d/own.toml").input_value()


def test_an_edit_is_refused_then_taken_and_undone(build: Build, open_page: OpenPage) -> None:
    sparkd = build({"small": engine()})
    file = write_own(sparkd)
    tab = open_page(sparkd)
    page = tab.open("catalogue/models.d/own.toml")
    area = page.get_by_label("Text of models.d/own.toml")
    area.fill(OWN + "memry = '2 GiB'\n")
    expect(page.get_by_role("list", name="Problems")).to_contain_text('did you mean "memory"?')
    expect(page.get_by_role("button", name="Review and write")).to_have_attribute("aria-disabled", "true")
    tab.check_accessibility()
    page.get_by_role("button", name="line 4").click()
    expect(area).to_be_focused()
    page.get_by_role("button", name="Use memory").click()
    expect(area).to_have_value(OWN + "memory = '2 GiB'\n")
    expect(page.get_by_text("valid, not written yet")).to_be_visible()
    page.get_by_role("button", name="Review and write").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("+memory = '2 GiB'")
    expect(dialog).to_contain_text("small")
    assert file.read_text() == OWN
    tab.check_accessibility()
    dialog.get_by_role("button", name="Write and reload").click()
    expect(page.get_by_text("as written")).to_be_visible()
    assert file.read_text() == OWN + "memory = '2 GiB'\n"
    page.get_by_role("button", name="Undo: edit 1 of models.d/own.toml").click()
    expect(area).to_have_value(OWN)
    assert file.read_text() == OWN
    expect(page.get_by_role("button", name="Make again: edit 1 of models.d/own.toml")).to_be_visible()


def test_a_draft_stays_and_a_file_that_changed_meanwhile_is_not_overwritten(
    build: Build, open_page: OpenPage
) -> None:
    sparkd = build({"small": engine()})
    file = write_own(sparkd)
    tab = open_page(sparkd)
    page = tab.open("catalogue/models.d/own.toml")
    page.get_by_label("Text of models.d/own.toml").fill(OWN + "pinned = true\n")
    expect(page.get_by_text("valid, not written yet")).to_be_visible()
    tab.open("doctor")
    write_own(sparkd, "# by hand\n")
    page = tab.open("catalogue/models.d/own.toml")
    expect(page.get_by_label("Text of models.d/own.toml")).to_have_value(OWN + "pinned = true\n")
    expect(page.get_by_role("alert")).to_contain_text("has changed since you began to edit it")
    page.get_by_role("button", name="Review and write").click()
    page.get_by_role("button", name="Write and reload").click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("Nothing was written")
    assert file.read_text() == "# by hand\n"
    tab.expect_faults("409")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Load it again, and discard my text").click()
    expect(page.get_by_label("Text of models.d/own.toml")).to_have_value("# by hand\n")


def test_a_new_file_from_a_start_and_its_deletion(build: Build, open_page: OpenPage) -> None:
    sparkd = build({"small": engine()})
    tab = open_page(sparkd)
    page = tab.open("catalogue")
    page.get_by_role("button", name="New file").click()
    tab.check_accessibility()
    page.get_by_role("button", name="Settings of this machine").click()
    area = page.get_by_label("Text of models.d/settings.toml")
    area.fill(area.input_value().replace("# max_wait = 600", "max_wait = 60"))
    expect(page.get_by_text("valid, new")).to_be_visible()
    area.press("Control+s")
    page.get_by_role("button", name="Write and reload").click()
    expect(page.get_by_text("as written")).to_be_visible()
    file = sparkd.folder / "models.d" / "settings.toml"
    assert "\nmax_wait = 60\n" in file.read_text()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("button", name="Undo: edit 2 of models.d/settings.toml")).to_be_visible()
    assert not file.exists()


def test_a_model_is_overridden_from_its_panel(build: Build, open_page: OpenPage) -> None:
    sparkd = build({"small": engine()})
    tab = open_page(sparkd)
    page = tab.open("models/small?tab=options")
    expect(page.get_by_role("link", name="models.toml:").first).to_be_visible()
    page.get_by_role("link", name="Override").click()
    expect(page.get_by_label("Text of models.d/small.toml")).to_have_value(
        page.get_by_label("Text of models.d/small.toml").input_value()
    )
    assert "[changes.small]" in page.get_by_label("Text of models.d/small.toml").input_value()


def test_the_port_of_clients_shows_no_secrets_and_writes_nothing(build: Build, open_port: OpenPage) -> None:
    sparkd = build({"small": engine(environment={"HF_TOKEN": "hf_s3cr3t"})})
    tab = open_port(sparkd)
    page = tab.open("catalogue/models.toml")
    area = page.get_by_label("Text of models.toml")
    expect(area).not_to_be_editable()
    assert "hf_s3cr3t" not in page.content() + area.input_value()
    expect(page.get_by_role("button", name="New file")).to_have_count(0)
    tab.check_accessibility()


@pytest.mark.parametrize(("size", "theme"), SIZES)
def test_the_views_are_accessible_in_any_window(
    build: Build, open_page: OpenPage, size: tuple[int, int], theme: Theme
) -> None:
    sparkd = build({"small": engine("--token-delay", "0.01", description="A small one", tags=["chat"])})
    write_own(sparkd)
    tab = open_page(sparkd, size=size, theme=theme)
    for view, shown in (
        ("catalogue/models.d/own.toml", ".code-area"),
        ("doctor", ".findings"),
        *(
            (f"models/small?tab={name}", "dialog [role=tabpanel] > *")
            for name in ("overview", "options", "plan", "files", "loads")
        ),
    ):
        page = tab.open(view)
        page.wait_for_selector(shown)
        tab.check_accessibility()
        tab.check_layout()


def test_a_model_is_loaded_held_and_stopped_from_its_panel(build: Build, open_page: OpenPage) -> None:
    sparkd = build({"small": engine()})
    page = open_page(sparkd).open("models/small")
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Load", exact=True).click()
    expect(dialog.get_by_text("ready", exact=True)).to_be_visible()
    dialog.get_by_role("button", name="Hold…").click()
    hold = page.get_by_role("dialog", name="Hold small")
    hold.get_by_label("What it is needed for").fill("evaluation")
    hold.get_by_role("button", name="Hold", exact=True).click()
    expect(dialog.get_by_text("for evaluation")).to_be_visible()
    dialog.get_by_role("button", name="End").click()
    expect(dialog.get_by_text("for evaluation")).to_have_count(0)
    dialog.get_by_role("button", name="Stop", exact=True).click()
    expect(dialog.get_by_text("stopped", exact=True)).to_be_visible()
