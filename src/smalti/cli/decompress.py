"""`smalti decompress`: small files back to photos."""

from pathlib import Path
from typing import Annotated

import tyro
from tqdm import tqdm

from smalti.codec import Codec
from smalti.codec.tiles import SUFFIX, read_tiles
from smalti.files import SmaltiError, new_folder, record, refuse_occupied, write_json
from smalti.report import to_image


def decompress(tiles: Annotated[Path, tyro.conf.Positional], /, *, codec: Path, out: Path) -> None:
    """Turn compressed photos back into PNG.

    Args:
        tiles: a file that `smalti compress` wrote, or a folder of them.
        codec: folder of the codec that compressed them.
        out: new folder for the pictures and decompress.json.
    """
    refuse_occupied(out)
    paths = sorted(tiles.glob(f"*{SUFFIX}")) if tiles.is_dir() else [tiles]
    if not paths:
        raise SmaltiError(f"{tiles}: holds no {SUFFIX} files; name a folder that `smalti compress` wrote.")
    loaded = Codec.from_pretrained(codec)
    with new_folder(out) as aside:
        for path in tqdm(paths, desc="decompressing", unit="image"):
            to_image(read_tiles(path, loaded)).save(aside / f"{path.stem}.png")
        write_json(aside / "decompress.json", record(codec=str(loaded.spec), files=[path.name for path in paths]))
    print(f"{out}: {len(paths)} pictures")
