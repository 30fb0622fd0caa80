"""What tests of encoding share: folders of latents, compared to the bit."""

from collections.abc import Callable
from pathlib import Path

import pytest

Same = Callable[[Path, Path], bool]


@pytest.fixture(scope="session")
def same() -> Same:
    """Whether two folders of latents hold the same, file by file; what says when and where is left aside."""

    def content(folder: Path) -> dict[str, bytes]:
        return {
            str(path.relative_to(folder)): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file() and path.name not in ("manifest.json", "encode.json")
        }

    return lambda one, two: content(one) == content(two)
