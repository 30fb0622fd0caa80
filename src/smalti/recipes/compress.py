"""`compress` and `decompress`: photos to small files, and back."""

from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jaxtyping import Integer
from torch import Tensor

from smalti.codec import Codec, read_compressed, write_compressed
from smalti.codec.bundled import DEFAULT, bundled_with
from smalti.codec.compressed import SUFFIX, made_with
from smalti.errors import SmaltiError, require_at_least
from smalti.files import fingerprint, new_folder, refuse_occupied, write_record
from smalti.metrics import psnr
from smalti.progress import Progress
from smalti.recipes.photos import PhotoSettings
from smalti.recipes.pixel_files import save_pixels

Figures = dict[str, int | float]

_NAME_BYTES = 250  # of 255 that file systems take


@dataclass(frozen=True, slots=True)
class Compressed:
    """What became of some photos."""

    codec: Codec
    files: dict[str, Figures]
    """Of each file its bytes, bits a pixel, and PSNR in dB."""
    skipped: list[tuple[str, str]]
    """Name and reason of what could not be read."""


def compress(photos: str, out: Path, codec: str = DEFAULT, *, rounds: int = 1, strict: bool = False) -> Compressed:
    """Compress photos into a new folder, one file each; `rounds` as in `Codec.encode`.

    Raises:
        SmaltiError: photos or codec cannot be had, `out` is taken, or two photos have one name altogether.
    """
    refuse_occupied(out)
    require_at_least(0, rounds=rounds)
    loaded = Codec.from_pretrained(codec)
    images = PhotoSettings(strict=strict).open(photos, loaded.pixel_format)
    names = file_names(images.names)
    figures: dict[str, Figures] = {}
    with new_folder(out) as aside:
        for picture in Progress(images.pictures(), desc="compressing", total=len(images), unit="image"):
            name = names[picture.number]
            (aside / name).parent.mkdir(parents=True, exist_ok=True)
            figures[name], _ = compress_picture(picture.pixels, aside / name, loaded, rounds=rounds)
        made = {"codec": codec, "spec": str(loaded.spec), "fingerprint": loaded.fingerprint, "rounds": rounds}
        write_record(aside / "compress.json", **made, files=figures, skipped=images.skipped)
    return Compressed(loaded, figures, images.skipped)


def compress_picture(
    pixels: Integer[Tensor, "C H W"], path: Path, codec: Codec, *, rounds: int
) -> tuple[Figures, Integer[Tensor, "C H W"]]:
    """Compress one picture into a file; return its bytes, bits a pixel and PSNR in dB, and what it decodes to.

    Raises:
        SmaltiError: the picture has another number of planes than the codec.
    """
    size = write_compressed(path, pixels, codec, rounds=rounds)
    decoded = read_compressed(path, codec)
    peak = codec.pixel_format.highest - codec.pixel_format.lowest
    bits = 8 * size / (pixels.shape[1] * pixels.shape[2])
    return {"bytes": size, "bits_per_pixel": bits, "psnr": psnr(pixels, decoded, peak)}, decoded


def decompress(compressed: Path, out: Path, codec: str | None = None) -> tuple[list[str], list[str]]:
    """Turn compressed photos back into PNG in a new folder; return their names, and what is wrong with the others.

    Raises:
        SmaltiError: there are no such files, not one can be read, or `out` is taken.
    """
    refuse_occupied(out)
    folder = compressed if compressed.is_dir() else compressed.parent
    paths = sorted(compressed.rglob(f"*{SUFFIX}")) if compressed.is_dir() else [compressed]
    if not paths:
        raise SmaltiError(f"{compressed}: holds no {SUFFIX} files; name a folder that `smalti compress` wrote.")
    load = cache(Codec.from_pretrained)
    files: list[str] = []
    skipped: list[str] = []
    with new_folder(out) as aside:
        for path in Progress(paths, desc="decompressing", unit="image"):
            try:
                made_by = load(codec or _named_in(path))
                pixels, form = read_compressed(path, made_by), made_by.pixel_format
            except SmaltiError as error:
                skipped.append(str(error))
                continue
            name = path.relative_to(folder).with_suffix(".png")
            (aside / name).parent.mkdir(parents=True, exist_ok=True)
            save_pixels(aside / name, pixels, form)
            files.append(str(name))
        if not files:
            raise SmaltiError(skipped[0])
        write_record(aside / "decompress.json", codec=codec, files=files, skipped=skipped)
    return files, skipped


def file_names(names: list[str]) -> list[str]:
    """Where each photo's file goes: its own name and sub-folder; with its old suffix where two would be the same.

    Raises:
        SmaltiError: two photos have the same name altogether, as they may in tar shards.
    """
    inside = ["/".join(part for part in Path(name).parts if part not in ("/", "..")) for name in names]
    stems = [str(Path(name).with_suffix("")) for name in inside]
    often = Counter(stems)
    made = [_short(stem if often[stem] == 1 else name) + SUFFIX for name, stem in zip(inside, stems, strict=True)]
    twice = [name for name, times in Counter(made).items() if times > 1]
    if twice:
        raise SmaltiError(f"two photos would both become {twice[0]}; compress them into two folders.")
    return made


def _short(name: str) -> str:
    """A name that leaves room for a suffix; a longer one is cut, and stays its own."""
    folder, slash, last = name.rpartition("/")
    most = _NAME_BYTES - len(SUFFIX)
    if len(last.encode()) <= most:
        return name
    mark = f"-{fingerprint(last)}"
    return f"{folder}{slash}{last.encode()[: most - len(mark)].decode(errors='ignore')}{mark}"


def _named_in(path: Path) -> str:
    """The bundled codec that compressed a file."""
    name = bundled_with(made_with(path))
    if name is None:
        raise SmaltiError(f"{path}: was not compressed with a codec of this package; give the one that did by --codec.")
    return name
