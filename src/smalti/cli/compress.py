"""`smalti compress`: photos to small files."""

from pathlib import Path

from tqdm import tqdm

from smalti.cli.options import CropOptions, Photos, report_skipped
from smalti.codec import Codec, bundled_codecs
from smalti.codec.bundled import DEFAULT
from smalti.codec.tiles import SUFFIX, read_tiles, write_tiles
from smalti.files import SmaltiError, new_folder, record, refuse_occupied, require_at_least, write_json
from smalti.metrics import psnr


def compress(
    photos: Photos, /, *, codec: str = DEFAULT, out: Path = Path("compressed"), rounds: int = 2, strict: bool = False
) -> None:
    """Compress photos with a codec, one small file each.

    Args:
        photos: a photo, or a folder, zip, tar shards or glob of photos; each keeps its size.
        codec: name of a codec that comes with the package (photo-low, photo-medium, photo-high), or the folder of one
            that `smalti fit` wrote.
        out: new folder for the compressed files and compress.json.
        rounds: with a codec that deblocks, times that codes are chosen again by what the deblocker makes of them.
        strict: stop at a photo that cannot be read, instead of skipping it.
    """
    refuse_occupied(out)
    require_at_least(0, rounds=rounds)
    loaded = Codec.from_pretrained(codec)
    images = CropOptions(strict=strict).open(photos, loaded.spec)
    figures: dict[str, dict[str, float]] = {}
    with new_folder(out) as aside:
        for picture in tqdm(images.pictures(), desc="compressing", total=len(images), unit="image"):
            name = Path(picture.name).stem + SUFFIX
            if name in figures:
                raise SmaltiError(f"two photos are called {Path(picture.name).stem}; compress them into two folders.")
            size = write_tiles(aside / name, picture.pixels, loaded, rounds=rounds)
            pixels = picture.pixels.shape[1] * picture.pixels.shape[2]
            figures[name] = {
                "bytes": size,
                "bits_per_pixel": 8 * size / pixels,
                "psnr": psnr(picture.pixels, read_tiles(aside / name, loaded)),
            }
        write_json(aside / "compress.json", record(codec=str(loaded.spec), files=figures, skipped=images.skipped))
    report_skipped(images)
    for name, figure in list(figures.items())[:10]:
        print(f"{out / name}: {figure['bytes']} bytes, {figure['bits_per_pixel']:.2f} bpp, {figure['psnr']:.2f} dB")
    if len(figures) > 10:
        print(f"... {len(figures)} files in all")
    needed = "" if codec in bundled_codecs() else f" --codec {codec}"
    print(f"next: smalti decompress {out}{needed}")
