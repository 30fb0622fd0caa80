"""`smalti decompress`: small files back to photos."""

from pathlib import Path
from typing import Annotated

import tyro

import smalti.recipes as recipes

_SHOWN = 5


def decompress(
    compressed: Annotated[Path, tyro.conf.Positional], /, *, codec: str | None = None, out: Path = Path("decompressed")
) -> Path:
    """Turn compressed photos back into PNG.

    Example: smalti decompress compressed --out decompressed

    Args:
        compressed: a file that `smalti compress` wrote, or a folder of them.
        codec: name or folder of the codec that compressed them; files made with one that comes with the package say
            which.
        out: new folder for the pictures and decompress.json.
    """
    files, skipped = recipes.decompress(compressed, out, codec)
    print(f"{out}: {len(files)} of {len(files) + len(skipped)} pictures")
    for reason in skipped[:_SHOWN]:
        print(f"skipped {reason}")
    return out / "decompress.json"
