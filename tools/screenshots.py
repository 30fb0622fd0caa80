"""Take the pictures of pages that the documents show: docs/pictures/app.png and report.png.

    python tools/screenshots.py MODEL REPORT.html

Needs Chromium (apt-get install chromium).
"""

import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from smalti.app import Subject, served

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
PATIENCE = 300_000  # milliseconds
COUNT = 16


def take_app(page: Page, model: str) -> None:
    """The page with pictures that the model has just made."""
    with served(Subject.load(model)) as address:
        page.goto(address)
        page.get_by_role("button", name="Generate", exact=True).click()
        page.locator("#generated img").nth(COUNT - 1).wait_for()
        page.mouse.move(0, 0)
        page.get_by_role("button", name="Download all as one grid").wait_for()
        page.wait_for_timeout(1_000)  # what moves has come to rest
        page.screenshot(path=PICTURES / "app.png", full_page=True)


def take_report(page: Page, report: Path) -> None:
    """The top of a report."""
    page.goto(report.resolve().as_uri())
    page.screenshot(path=PICTURES / "report.png")


if __name__ == "__main__":
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        opened = browser.new_page(viewport={"width": 1280, "height": 800})
        opened.set_default_timeout(PATIENCE)
        take_report(opened, Path(sys.argv[2]))
        take_app(opened, sys.argv[1])
        browser.close()
