"""`smalti compress`: photos to small files."""

from pathlib import Path

import smalti.recipes as recipes
from smalti.cli.options import Photos
from smalti.codec import bundled_codecs
from smalti.codec.bundled import DEFAULT
from smalti.recipes import told_of_skipped

_SHOWN = 10


def compress(
    photos: Photos, /, *, codec: str = DEFAULT, out: Path = Path("compressed"), rounds: int = 1, strict: bool = False
) -> Path:
    """Compress photos with a codec, one small file each.

    Example: smalti compress PHOTOS --out compressed

    Transparent parts are put on white, and 16 bits become 8, unless the codec is one for bands.

    Args:
        photos: a photo, or a folder, zip, tar shards or glob of photos; each keeps its size, and its sub-folder.
        codec: name of a codec that comes with the package (photo-low, photo-medium, photo-high), or the folder of one
            that `smalti fit` wrote.
        out: new folder for the compressed files and compress.json.
        rounds: with a codec that deblocks, times that codes are chosen again by what the deblocker makes of them; the
            first brings most, and each takes about as long as eight times decoding.
        strict: stop at a photo that cannot be read, instead of skipping it.
    """
    made = recipes.compress(photos, out, codec, rounds=rounds, strict=strict)
    if made.skipped:
        print(told_of_skipped(made.skipped, len(made.files) + len(made.skipped)))
    for name, figure in list(made.files.items())[:_SHOWN]:
        print(f"{out / name}: {figure['bytes']} bytes, {figure['bits_per_pixel']:.2f} bpp, {figure['psnr']:.2f} dB")
    if len(made.files) > _SHOWN:
        print(f"... {len(made.files)} files, {sum(figure['bytes'] for figure in made.files.values()):.0f} bytes in all")
    if made.codec.spec.planes == 1:
        print(f"note: {made.codec.spec} is for grey pictures; colours, if there were any, are left out")
    needed = "" if codec in bundled_codecs() else f" --codec {codec}"
    print(f"next: smalti decompress {out}{needed}")
    return out / "compress.json"
