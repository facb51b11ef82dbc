"""An operator in front of Temporal's Web UI, in a headless Chromium with an empty profile."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.async_api import Error, Locator, Page, async_playwright

CHROMIUM = shutil.which("chromium")

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)

START = "start-workflow?workflowType={}&taskQueue=switchover&workflowId=switchover-lab"
"""The link of the README, with the type of the workflow."""

TIMEOUT = 15_000
"""Milliseconds until something that should be on a page counts as missing."""


@dataclass(frozen=True)
class WebUi:
    """One page of a browser, and what an operator does there."""

    page: Page
    namespace: str
    """The address that all pages of the namespace begin with."""

    async def starts(self, request: dict[str, Any], workflow: str = "Switchover") -> None:
        """Open the prefilled form, type the input and press the button."""
        await self.page.goto(f"{self.namespace}/workflows/{START.format(workflow)}")
        await self._types(self.page.get_by_label("Data", exact=True), request)
        await self.page.get_by_test_id("start-workflow-button").click()

    async def opens(self, tab: str = "User Metadata") -> None:
        """Open the newest run of the estate, and one of its tabs."""
        await self.page.goto(f"{self.namespace}/workflows/switchover-lab")
        await self.page.get_by_role("tab", name=tab).click()

    async def signals(self, verb: str, decision: dict[str, Any]) -> None:
        """Send a signal through the dialogue, choosing its name from the list."""
        await self._seen(self.page.get_by_role("button", name="More Actions")).click()
        await self._seen(self.page.get_by_role("menuitem", name="Send a Signal")).click()
        await self._seen(self.page.get_by_test_id("signal-select-button")).click()
        await self._seen(self.page.get_by_role("option", name=verb, exact=True)).click()
        await self._types(self._seen(self.page.get_by_label("Data", exact=True)), decision)
        await self._seen(self.page.get_by_test_id("confirm-modal-button")).click()

    async def sees(self, text: str) -> None:
        """Wait until the text is on the page."""
        async with asyncio.timeout(TIMEOUT / 1000):
            while text not in await self.text():  # noqa: ASYNC110 - a page sends no events
                await asyncio.sleep(0.2)  # between two readings of the page

    async def text(self) -> str:
        """Return all text of the page and of its frames, which hold the Markdown."""
        async with asyncio.timeout(TIMEOUT / 1000):
            while True:
                with suppress(Error):  # a frame was just replaced by a newer one: read again
                    texts = [await f.locator("body").inner_text() for f in self.page.frames]
                    return " ".join(" ".join(texts).split())

    async def links(self) -> set[str]:
        """Return every address in the Markdown that operators wrote."""
        frames = [frame for frame in self.page.frames if frame is not self.page.main_frame]
        links = [link for frame in frames for link in await frame.locator("a[href]").all()]
        return {str(await link.get_attribute("href")) for link in links}

    async def _types(self, editor: Locator, value: dict[str, Any]) -> None:
        await editor.click()
        await self.page.keyboard.press("Control+A")
        await self.page.keyboard.insert_text(json.dumps(value))
        # Without focus, the editor spreads its text over many lines, which moves the buttons.
        await editor.blur()
        await self.page.wait_for_timeout(300)

    @staticmethod
    def _seen(locator: Locator) -> Locator:
        """Choose the visible one: the page has all twice, for wide and for narrow screens."""
        return locator.locator("visible=true").first


@asynccontextmanager
async def web_ui(namespace: str, profile: Path) -> AsyncIterator[WebUi]:
    """Open a browser with an empty profile, and close it."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch_persistent_context(
            profile, executable_path=CHROMIUM, args=FLAGS, viewport={"width": 1280, "height": 1000}
        )
        browser.set_default_timeout(TIMEOUT)
        try:
            yield WebUi(browser.pages[0], namespace)
        finally:
            await browser.close()
