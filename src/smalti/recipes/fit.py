"""`fit`: photos to a codec."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from smalti.codec import Codec, CodecSpec, Deblock
from smalti.data import Images
from smalti.errors import SmaltiError
from smalti.evaluation import CodecQuality, codec_quality
from smalti.files import new_folder, refuse_occupied, write_record
from smalti.pixels import PixelFormat
from smalti.recipes.photos import PhotoSettings, require_contrast
from smalti.training import DeblockerSettings, train_deblocker

MOST_IMAGES = 5_000
"""A codec sees a few hundred thousand patches; reading more photos than this does not make it better."""

_MEASURED_IMAGES = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class FitSettings:
    """How a codec is fitted."""

    patches: int = 150_000
    """Patches to fit on, at most."""
    beam: int = 8
    """Width of the search of RQ and LSQ."""
    deblock: Deblock = "none"
    """Decode with an eye on the neighbouring patches: "linear" is found in seconds, "convolutional" is a small network
    that trains for minutes."""
    network: DeblockerSettings = DeblockerSettings()
    bands: bool = False
    """Take values as they are, of any planes and any whole numbers, rather than as photos of 8 bits."""
    lowest: int | None = None
    """Lowest value of bands; without it the least of those that the codec is fitted on."""
    highest: int | None = None
    """Highest value of bands; without it the largest."""
    images: int = MOST_IMAGES
    """Photos to read, at most; more are sampled."""
    seed: int = 0
    """The same photos and seed give the same codec."""


def fit(
    photos: str,
    codec: str,
    out: Path,
    settings: FitSettings = FitSettings(),
    *,
    crop: PhotoSettings = PhotoSettings(),
    device: str | None = None,
) -> tuple[Codec, CodecQuality]:
    """Fit a codec on photos and write it, with `fit.json`; return it and what it keeps of some of them.

    Raises:
        SmaltiError: the photos cannot be had or are without any contrast, the spec does not parse, a setting is out of
            range, or `out` is taken.
    """
    refuse_occupied(out)
    spec = CodecSpec.parse(codec)
    images = crop.open(photos, _wanted(spec.planes, settings), settings.seed)
    print(f"{photos}: {images.told}")
    images = images.sample(settings.images, settings.seed)
    require_contrast(images)
    pixel_format = None
    if settings.bands:
        pixel_format = _range_of(images, spec.planes, settings)
        print(f"{photos}: {pixel_format}")
        images = images.cropped(replace(images.settings, mode=pixel_format))
    with new_folder(out) as aside:
        fitted = fit_codec(images, codec, settings, pixel_format=pixel_format, out=aside, device=device)
        quality = codec_quality(images.sample(_MEASURED_IMAGES, settings.seed), fitted)
        fitted.save_pretrained(aside)
        network = asdict(settings.network) if settings.deblock == "convolutional" else None
        asked = {**asdict(settings), "codec": str(spec), "network": network, "crop": asdict(images.settings)}
        asked.pop("images")
        read = {"source": images.source, "images": len(images), "skipped": images.skipped}
        figures = {**codec_figures(fitted), "on_its_own_photos": quality.figures}
        write_record(aside / "fit.json", settings=asked, **read, **figures)
    return fitted, quality


def fit_codec(
    images: Images,
    codec: str,
    settings: FitSettings,
    *,
    pixel_format: PixelFormat | None = None,
    out: Path | None = None,
    device: str | None = None,
) -> Codec:
    """Codebooks, and then the deblocker, if there is to be one; `out` gets the metrics of its training."""
    trained = settings.deblock == "convolutional"
    closed_form: Deblock = "none" if trained else settings.deblock
    options: dict[str, Any] = {"patches": settings.patches, "beam": settings.beam, "seed": settings.seed}
    fitted = Codec.fit(images, codec, deblock=closed_form, pixel_format=pixel_format, **options)
    if trained:
        train_deblocker(fitted, images, settings.network, seed=settings.seed, out=out, device=device)
    return fitted


def _wanted(planes: int, settings: FitSettings) -> PixelFormat:
    """What pictures are read as: photos, or bands of any range.

    Raises:
        SmaltiError: what is asked for is neither.
    """
    if settings.bands:
        return PixelFormat.any_range(planes)
    if settings.lowest is not None or settings.highest is not None:
        raise SmaltiError("lowest and highest are values of bands, and photos are of 8 bits; take --bands with them.")
    if planes not in (1, 3):
        raise SmaltiError(f"{planes} planes are no photos, which have 1 or 3; take --bands for values as they are.")
    return PixelFormat.of_planes(planes)


def _range_of(images: Images, planes: int, settings: FitSettings) -> PixelFormat:
    """Bands with the range that is given, or that of the pictures."""
    lowest, highest = settings.lowest, settings.highest
    if lowest is None or highest is None:
        ends = [(int(pixels.min()), int(pixels.max())) for pixels in images]
        lowest = min(low for low, _ in ends) if lowest is None else lowest
        highest = max(high for _, high in ends) if highest is None else highest
    return PixelFormat(planes=planes, lowest=lowest, highest=highest)


def codec_figures(codec: Codec) -> dict[str, Any]:
    """What is recorded of every codec."""
    return {
        "fingerprint": codec.fingerprint,
        "bits_per_pixel": codec.bits_per_pixel,
        "compression_ratio": codec.compression_ratio,
    }
