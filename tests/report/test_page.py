import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

from PIL import Image

from smalti.report import Page, Tile

VOID = {"meta", "img"}


class Balanced(HTMLParser):
    """Checks that every element that opens is closed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def _page(path: Path) -> str:
    page = Page("A <model> & its photos", "subtitle")
    page.warning("few <b>samples</b>")
    page.tiles([Tile("FID", "12.3 ± 0.4", "lower is better")])
    page.heading("Heading")
    page.text("Text")
    page.command("smalti sample run")
    page.table(["", "a"], [["row", "1 < 2"]])
    page.picture(Image.new("RGB", (3, 2), (255, 0, 0)), 'a "red" picture')
    page.write(path)
    return path.read_text()


def test_a_page_is_whole_and_shows_text_as_it_is(tmp_path: Path) -> None:
    parser = Balanced()
    parser.feed(_page(tmp_path / "page.html"))
    assert not parser.open
    for text in ("A <model> & its photos", "few <b>samples</b>", "1 < 2", "12.3 ± 0.4", "smalti sample run"):
        assert text in parser.text


def test_pictures_are_inside_the_page(tmp_path: Path) -> None:
    found = re.findall(r'src="data:image/png;base64,([^"]+)"', _page(tmp_path / "page.html"))
    assert len(found) == 1
    with Image.open(io.BytesIO(base64.b64decode(found[0]))) as picture:
        assert picture.size == (3, 2)
        assert picture.getpixel((0, 0)) == (255, 0, 0)
