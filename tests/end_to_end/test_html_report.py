"""A readiness report in a browser: on a phone, in light and dark, without scripts."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page, ViewportSize, async_playwright

from starter.views.html_report import html_report, write
from tests.support.browser import CHROMIUM, FLAGS
from tests.workflows.preflight.test_report import changed, multiplied, verdict
from workflows.preflight.report import ReadinessReport

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="chromium is missing, and scripts/browser could not bring it here"
)

HOSTILE = "<script>document.title='taken'</script><img src=x onerror=alert(1)> & \"'\x1b[2J"
PHONE = ViewportSize(width=390, height=844)


def found() -> ReadinessReport:
    """A report with a hostile finding, and a very long word in it."""
    readings = changed("cluster2-edge2", version=HOSTILE, sessions=2)
    return verdict(readings, accepted={"target_has_sessions": "x" * 200})


@pytest.fixture(params=["light", "dark"])
async def phone(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Page]:
    """The page as a phone shows it."""
    write(tmp_path / "ready.html", html_report(found()))
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            shown = await browser.new_page(viewport=PHONE, color_scheme=request.param)
            requests: list[str] = []
            shown.on("request", lambda asked: requests.append(asked.url))
            await shown.goto((tmp_path / "ready.html").as_uri())
            assert requests == [(tmp_path / "ready.html").as_uri()]
            yield shown
        finally:
            await browser.close()


async def test_it_can_be_read_on_a_phone(phone: Page) -> None:
    """The table scrolls in its own box, and never the page; every finding is a card."""
    assert await phone.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    box = phone.locator(".scroll")
    assert await box.evaluate("box => box.scrollWidth > box.clientWidth")
    cards = await phone.locator("article").all()
    assert len(cards) == len(found().findings) == 2
    for card in cards:
        assert await card.is_visible()
    for words in ("not ready", "✖ cluster2-edge2", "! cluster2-edge2", "? unknown"):
        assert words in await phone.inner_text("body")


async def test_remote_text_is_shown_and_not_interpreted(phone: Page) -> None:
    """Script tags of a machine's answer appear as text."""
    seen = HOSTILE.replace("\x1b", " ")
    assert seen in await phone.inner_text("article:has-text('version_differs')")
    assert await phone.title() == "lab: cluster1 → cluster2"
    assert await phone.locator("script, img").count() == 0


def test_a_report_is_written_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    """An older one is replaced, and no draft is left behind."""
    file = tmp_path / "ready.html"
    write(file, "old")
    write(file, html_report(found()))
    assert file.read_text(encoding="utf-8").endswith("</html>\n")
    assert [one.name for one in tmp_path.iterdir()] == ["ready.html"]
    assert file.stat().st_mode & 0o777 == 0o644


def test_many_nodes_share_a_column_by_kind() -> None:
    """A table of eighty columns could not be read."""
    text = html_report(multiplied(found(), 10))
    assert '<th scope="col">cluster2 Edges</th>' in text
    assert "✖ 10 of 20" in text
