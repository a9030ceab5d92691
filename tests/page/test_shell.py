"""The page as a whole, in a real browser."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Build
from tests.e2e.sparkd_process import engine
from tests.page.browser import NARROW, WIDE, Theme
from tests.page.conftest import OpenPage


@pytest.mark.parametrize(("size", "theme"), [(WIDE, "light"), (WIDE, "dark"), (NARROW, "light")])
def test_the_page_is_accessible(
    build: Build, open_page: OpenPage, size: tuple[int, int], theme: Theme
) -> None:
    tab = open_page(build({"small": engine()}), size=size, theme=theme)
    tab.open("now")
    tab.check_accessibility()
    tab.check_layout()


def test_the_page_is_on_the_port_of_clients_too(build: Build, open_port: OpenPage) -> None:
    tab = open_port(build({"small": engine()}))
    tab.open("now")
    tab.page.goto(tab.url.removesuffix("ui/"))
    assert tab.page.url.partition("#")[0] == tab.url
