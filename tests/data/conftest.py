"""What tests of sources share: images that are told apart by their value."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

Png = Callable[[int], bytes]


@pytest.fixture(scope="session")
def png() -> Png:
    """The bytes of a small PNG whose pixels are (value, 0, 0)."""

    def make(value: int) -> bytes:
        buffer = io.BytesIO()
        Image.new("RGB", (12, 8), (value, 0, 0)).save(buffer, "PNG")
        return buffer.getvalue()

    return make


@pytest.fixture
def flat(tmp_path: Path, png: Png) -> Path:
    """A folder of three images, 1 to 3, and what is none."""
    folder = tmp_path / "flat"
    folder.mkdir()
    for value in (3, 1, 2):
        (folder / f"{value}.png").write_bytes(png(value))
    (folder / "notes.txt").write_text("no picture")
    (folder / ".hidden.png").write_bytes(png(9))
    return folder
