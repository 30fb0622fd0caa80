"""The page in a real Chromium, from the first look to a picture of what was made."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from smalti.app.mosaic import laid
from smalti.app.shared import codecs_of
from smalti.pipeline import SmaltiPipeline

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
PATIENCE = 30_000  # milliseconds, where machines are slow

pytestmark = pytest.mark.skipif(
    not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}: apt-get install chromium, to see the page in a browser"
)


@pytest.fixture(scope="module")
def page(address: str) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address)
        yield page
        browser.close()
    assert not [url for url in asked if not url.startswith((address, "data:", "blob:"))]


def _tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()


def _upload(page: Page, button: str, path: Path) -> None:
    with page.expect_file_chooser() as chooser:
        page.locator(button).click()
    chooser.value.set_files(path)


def test_pictures_are_generated_and_a_second_time_they_are_the_same(page: Page, tmp_path: Path) -> None:
    page.get_by_label("number input for Steps").fill("2")
    page.get_by_label("number input for Pictures").fill("3")
    pictures, seen = page.locator("#generated img"), []
    for _ in range(2):
        page.get_by_role("button", name="Generate", exact=True).click()
        expect(pictures).to_have_count(3)
        expect(page.get_by_role("button", name="Generate", exact=True)).to_be_enabled()
        with page.expect_download() as download:
            page.get_by_role("button", name="Download all as one grid").click()
        seen.append(download.value.path().read_bytes())
    assert seen[0] == seen[1]
    assert seen[0].startswith(b"\x89PNG")
    page.screenshot(path=tmp_path / "generate.png")


def test_a_tile_is_clicked_and_moved_and_a_bad_photo_is_refused_in_a_sentence(
    page: Page, pipe: SmaltiPipeline, photo_file: Path, tmp_path: Path
) -> None:
    corner = replace(laid(codecs_of(pipe), "the model's", photo_file), place=(0, 0))
    _tab(page, "Mosaic")
    told, picture = page.locator("#tile"), page.locator("#mosaic img")
    _upload(page, "#mosaic-upload", photo_file)
    expect(told).to_contain_text("row 7, column 15 of 12 x 28")
    picture.click(position={"x": 5, "y": 5})
    expect(told).to_contain_text("row 1, column 1 of 12 x 28")
    index = page.get_by_label("number input for Move it")
    expect(index).to_have_value(str(corner.index))
    shown = picture.get_attribute("src")
    page.locator("#tile-up").click()
    expect(index).to_have_value(str(corner.index + 1))
    expect(picture).not_to_have_attribute("src", str(shown))
    bad = tmp_path / "bad.png"
    bad.write_text("no picture")
    _upload(page, "#mosaic-upload", bad)
    expect(page.get_by_test_id("toast-text")).to_contain_text("bad.png: cannot be read as a picture")
    expect(told).to_contain_text("row 1, column 1")
    page.screenshot(path=tmp_path / "mosaic.png")


def test_a_photo_is_compressed_and_its_file_taken_home(page: Page, tmp_path: Path) -> None:
    _tab(page, "Compress")
    page.get_by_label("photo-low").check()
    page.get_by_role("button", name="Compress", exact=True).click()
    expect(page.locator(".figures").filter(has_text="PSNR")).to_contain_text("0.219")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the file").click()
    assert download.value.suggested_filename == "cat.smalti"
    assert download.value.path().read_bytes().startswith(b"smalti\n")
    page.screenshot(path=tmp_path / "compress.png")


def test_a_run_is_followed(page: Page, tmp_path: Path) -> None:
    _tab(page, "Train")
    expect(page.locator("#training")).to_contain_text("1,280")
    page.screenshot(path=tmp_path / "train.png")


@pytest.mark.soak
def test_what_is_painted_over_is_made_anew(page: Page, photo_file: Path, tmp_path: Path) -> None:
    _tab(page, "Paint")
    page.get_by_role("button", name="Fill in what is painted").click()
    expect(page.get_by_test_id("toast-text").last).to_contain_text("no photo yet")
    _upload(page, "#paint-upload", photo_file)
    page.get_by_text("How it is sampled").click()
    page.locator("#canvas canvas").first.wait_for()
    for label, value in (("Steps", "2"), ("Pictures", "2")):
        page.get_by_label(f"number input for {label}").last.fill(value)
    page.wait_for_timeout(500)  # the canvas draws the photo in its own time
    page.locator("#canvas").scroll_into_view_if_needed()
    box = page.locator("#canvas canvas").first.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - 50, y)
    page.mouse.down()
    page.mouse.move(x + 50, y, steps=4)
    page.mouse.up()
    page.get_by_role("button", name="Fill in what is painted").click()
    expect(page.locator("#painted img")).to_have_count(2)
    page.screenshot(path=tmp_path / "paint.png")
