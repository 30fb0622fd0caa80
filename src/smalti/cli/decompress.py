"""`smalti decompress`: small files back to photos."""

from pathlib import Path
from typing import Annotated

import tyro
from tqdm import tqdm

from smalti.codec import Codec
from smalti.codec.bundled import bundled_with
from smalti.codec.tiles import SUFFIX, made_with, read_tiles
from smalti.files import SmaltiError, new_folder, record, refuse_occupied, write_json
from smalti.report import to_image


def decompress(
    tiles: Annotated[Path, tyro.conf.Positional], /, *, codec: str | None = None, out: Path = Path("decompressed")
) -> None:
    """Turn compressed photos back into PNG.

    Args:
        tiles: a file that `smalti compress` wrote, or a folder of them.
        codec: name or folder of the codec that compressed them; files made with one that comes with the package say
            which.
        out: new folder for the pictures and decompress.json.
    """
    refuse_occupied(out)
    paths = sorted(tiles.glob(f"*{SUFFIX}")) if tiles.is_dir() else [tiles]
    if not paths:
        raise SmaltiError(f"{tiles}: holds no {SUFFIX} files; name a folder that `smalti compress` wrote.")
    loaded = Codec.from_pretrained(codec or _named_in(paths[0]))
    with new_folder(out) as aside:
        for path in tqdm(paths, desc="decompressing", unit="image"):
            to_image(read_tiles(path, loaded)).save(aside / f"{path.stem}.png")
        write_json(aside / "decompress.json", record(codec=str(loaded.spec), files=[path.name for path in paths]))
    print(f"{out}: {len(paths)} pictures")


def _named_in(path: Path) -> str:
    """The bundled codec that compressed a file."""
    name = bundled_with(made_with(path))
    if name is None:
        raise SmaltiError(f"{path}: was not compressed with a codec of this package; give the one that did by --codec.")
    return name
