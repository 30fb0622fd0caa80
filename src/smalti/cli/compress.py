"""`smalti compress`: photos to small files."""

from collections import Counter
from pathlib import Path

from tqdm import tqdm

from smalti.cli.options import CropOptions, Photos, report_skipped
from smalti.codec import Codec, bundled_codecs
from smalti.codec.bundled import DEFAULT
from smalti.codec.tiles import SUFFIX, read_tiles, write_tiles
from smalti.files import SmaltiError, new_folder, record, refuse_occupied, require_at_least, write_json
from smalti.metrics import psnr


def compress(
    photos: Photos, /, *, codec: str = DEFAULT, out: Path = Path("compressed"), rounds: int = 1, strict: bool = False
) -> None:
    """Compress photos with a codec, one small file each.

    Transparent parts are put on white, and 16 bits become 8.

    Args:
        photos: a photo, or a folder, zip, tar shards or glob of photos; each keeps its size, and its sub-folder.
        codec: name of a codec that comes with the package (photo-low, photo-medium, photo-high), or the folder of one
            that `smalti fit` wrote.
        out: new folder for the compressed files and compress.json.
        rounds: with a codec that deblocks, times that codes are chosen again by what the deblocker makes of them; the
            first brings most, and each takes about as long as eight times decoding.
        strict: stop at a photo that cannot be read, instead of skipping it.
    """
    refuse_occupied(out)
    require_at_least(0, rounds=rounds)
    loaded = Codec.from_pretrained(codec)
    images = CropOptions(strict=strict).open(photos, loaded.spec)
    names = _tile_names(images.names)
    figures: dict[str, dict[str, float]] = {}
    with new_folder(out) as aside:
        for picture in tqdm(images.pictures(), desc="compressing", total=len(images), unit="image"):
            name = names[picture.number]
            (aside / name).parent.mkdir(parents=True, exist_ok=True)
            size = write_tiles(aside / name, picture.pixels, loaded, rounds=rounds)
            pixels = picture.pixels.shape[1] * picture.pixels.shape[2]
            figures[name] = {
                "bytes": size,
                "bits_per_pixel": 8 * size / pixels,
                "psnr": psnr(picture.pixels, read_tiles(aside / name, loaded)),
            }
        made = {"codec": codec, "spec": str(loaded.spec), "fingerprint": loaded.fingerprint, "rounds": rounds}
        write_json(aside / "compress.json", record(**made, files=figures, skipped=images.skipped))
    report_skipped(images)
    for name, figure in list(figures.items())[:10]:
        print(f"{out / name}: {figure['bytes']} bytes, {figure['bits_per_pixel']:.2f} bpp, {figure['psnr']:.2f} dB")
    if len(figures) > 10:
        print(f"... {len(figures)} files, {sum(figure['bytes'] for figure in figures.values()):.0f} bytes in all")
    if loaded.spec.planes == 1:
        print(f"note: {loaded.spec} is for grey pictures; colours, if there were any, are left out")
    needed = "" if codec in bundled_codecs() else f" --codec {codec}"
    print(f"next: smalti decompress {out}{needed}")


def _tile_names(names: list[str]) -> list[str]:
    """Where each photo's file goes: its own name and sub-folder; with its old suffix where two would be the same.

    Raises:
        SmaltiError: two photos have the same name altogether, as they may in tar shards.
    """
    inside = ["/".join(part for part in Path(name).parts if part not in ("/", "..")) for name in names]
    stems = [str(Path(name).with_suffix("")) for name in inside]
    often = Counter(stems)
    made = [(stem if often[stem] == 1 else name) + SUFFIX for name, stem in zip(inside, stems, strict=True)]
    twice = [name for name, times in Counter(made).items() if times > 1]
    if twice:
        raise SmaltiError(f"two photos would both become {twice[0]}; compress them into two folders.")
    return made
