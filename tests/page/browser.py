"""A real Chromium on the page of a real sparkd, and everything that must not happen in it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Literal

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response, sync_playwright

NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
INSTALL: Final = (
    "The tests of the page need Chromium. Install it: sudo apt-get install chromium fonts-dejavu-core"
)
FLAGS: Final = ("--disable-gpu", "--disable-dev-shm-usage", "--font-render-hinting=none")

WIDE: Final = (1440, 900)
NARROW: Final = (320, 740)
Theme = Literal["light", "dark"]

_AXE_OPTIONS: Final = {
    "resultTypes": ["violations"],
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
}


def find_chromium() -> str:
    """The distribution's Chromium. Raises RuntimeError with what to install."""
    for name in NAMES:
        if (found := shutil.which(name)) is not None:
            return found
    raise RuntimeError(INSTALL)


@contextmanager
def launch_browser() -> Iterator[Browser]:
    """Start a headless Chromium, and close it at the end of the block."""
    # Chromium cannot build its sandbox as root. The pages are ours alone.
    sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=[*FLAGS, *sandbox])
        try:
            yield browser
        finally:
            browser.close()


class Tab:
    """One tab: `page` is Playwright's, `url` the address of `/ui/`.

    `faults` collects errors and warnings of the console (also violations of the Content-Security-Policy), exceptions,
    and requests that failed or left the machine. `expect_faults` takes out those that a test causes.
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.faults: list[str] = []
        page.on("console", self._on_message)
        page.on("pageerror", lambda error: self.faults.append(f"exception: {error}"))
        page.on("requestfailed", self._on_failed_request)
        page.on("response", self._on_response)

    def open(self, view: str = "now") -> Page:
        """Open a view, such as "now" or "models/qwen", and wait until it is shown."""
        self.page.goto(f"{self.url}#/{view}")
        self.page.wait_for_selector("main h1")
        return self.page

    def check_accessibility(self) -> None:
        """Run axe-core on what is shown now; fail with each violation and where it is."""
        self.page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text())
        found = self.page.evaluate("options => axe.run(document, options)", _AXE_OPTIONS)
        violations = [_describe(violation) for violation in found["violations"]]
        assert not violations, "\n".join(violations)

    def check_layout(self) -> None:
        """Fail if the page is wider than the window: nobody should have to scroll sideways."""
        wide = self.page.evaluate(
            "() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        )
        assert wide[0] <= wide[1], f"the page is {wide[0]} px wide in a window of {wide[1]} px"

    def screenshot(self, path: Path, *, full: bool = True) -> None:
        """Write a picture of the page."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=path, full_page=full, animations="disabled")

    def expect_faults(self, *parts: str) -> None:
        """Forget the faults that have one of these texts in them."""
        self.faults = [fault for fault in self.faults if not any(part in fault for part in parts)]

    def _on_message(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.faults.append(f"{message.type}: {message.text} ({message.location.get('url', '')})")

    def _on_failed_request(self, request: Request) -> None:
        # A page that is left aborts what it was reading: that is no fault.
        if request.failure != "net::ERR_ABORTED":
            self.faults.append(f"failed: {request.method} {request.url}: {request.failure}")

    def _on_response(self, response: Response) -> None:
        if not response.url.startswith((self.url.removesuffix("/ui/"), "data:", "blob:")):
            self.faults.append(f"left the machine: {response.url}")


@contextmanager
def open_tab(
    browser: Browser, url: str, *, size: tuple[int, int] = WIDE, theme: Theme = "light", **options: Any
) -> Iterator[Tab]:
    """A tab with a profile of its own. At the end of the block, fails if there were faults."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme=theme,
        reduced_motion="reduce",
        locale="en-GB",
        timezone_id="UTC",
        bypass_csp=False,
        **options,
    )
    try:
        # Axe is evaluated by the debugger, which the policy of the page does not limit.
        tab = Tab(context.new_page(), url)
        yield tab
        assert not tab.faults, "\n".join(tab.faults)
    finally:
        context.close()


def _describe(violation: dict[str, Any]) -> str:
    nodes = [f"    {node['html']}\n      {node['failureSummary']}" for node in violation["nodes"]]
    return "\n".join([f"{violation['id']} ({violation['impact']}): {violation['help']}", *nodes])


if __name__ == "__main__":  # scripts/test looks for it before it runs anything
    try:
        print(find_chromium())
    except RuntimeError as error:
        sys.exit(f"error: {error}")
