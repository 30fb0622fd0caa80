"""`smalti compress`: photos to small files."""

from pathlib import Path

from tqdm import tqdm

from smalti.cli.options import CropOptions, Photos, report_skipped
from smalti.codec import Codec
from smalti.codec.tiles import SUFFIX, read_tiles, write_tiles
from smalti.files import SmaltiError, new_folder, record, refuse_occupied, write_json
from smalti.metrics import psnr


def compress(photos: Photos, /, *, codec: Path, out: Path, strict: bool = False) -> None:
    """Compress photos with a codec, one small file each.

    Args:
        photos: a photo, or a folder, zip, tar shards or glob of photos; each keeps its size.
        codec: folder of a codec that `smalti fit` wrote.
        out: new folder for the compressed files and compress.json.
        strict: stop at a photo that cannot be read, instead of skipping it.
    """
    refuse_occupied(out)
    loaded = Codec.from_pretrained(codec)
    images = CropOptions(strict=strict).open(photos, loaded.spec)
    figures: dict[str, dict[str, float]] = {}
    with new_folder(out) as aside:
        for picture in tqdm(images.pictures(), desc="compressing", total=len(images), unit="image"):
            name = Path(picture.name).stem + SUFFIX
            if name in figures:
                raise SmaltiError(f"two photos are called {Path(picture.name).stem}; compress them into two folders.")
            size = write_tiles(aside / name, picture.pixels, loaded)
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
    print(f"next: smalti decompress {out} --codec {codec} --out photos")
