"""`smalti decompress`: small files back to photos."""

from functools import cache
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
    folder = tiles if tiles.is_dir() else tiles.parent
    paths = sorted(tiles.rglob(f"*{SUFFIX}")) if tiles.is_dir() else [tiles]
    if not paths:
        raise SmaltiError(f"{tiles}: holds no {SUFFIX} files; name a folder that `smalti compress` wrote.")
    load = cache(Codec.from_pretrained)
    files: list[str] = []
    skipped: list[str] = []
    with new_folder(out) as aside:
        for path in tqdm(paths, desc="decompressing", unit="image"):
            try:
                pixels = read_tiles(path, load(codec or _named_in(path)))
            except SmaltiError as error:
                skipped.append(str(error))
                continue
            name = path.relative_to(folder).with_suffix(".png")
            (aside / name).parent.mkdir(parents=True, exist_ok=True)
            to_image(pixels).save(aside / name)
            files.append(str(name))
        if not files:
            raise SmaltiError(skipped[0])
        write_json(aside / "decompress.json", record(codec=codec, files=files, skipped=skipped))
    print(f"{out}: {len(files)} of {len(paths)} pictures")
    for reason in skipped[:5]:
        print(f"skipped {reason}")


def _named_in(path: Path) -> str:
    """The bundled codec that compressed a file."""
    name = bundled_with(made_with(path))
    if name is None:
        raise SmaltiError(f"{path}: was not compressed with a codec of this package; give the one that did by --codec.")
    return name
