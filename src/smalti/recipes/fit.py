"""`fit`: photos to a codec."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from smalti.codec import Codec, CodecSpec, Deblock
from smalti.data import Images
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
    images = crop.open(photos, PixelFormat.of_planes(spec.planes))
    print(f"{photos}: {images.told}")
    images = images.sample(settings.images, settings.seed)
    require_contrast(images)
    with new_folder(out) as aside:
        fitted = fit_codec(images, codec, settings, out=aside, device=device)
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
    images: Images, codec: str, settings: FitSettings, *, out: Path | None = None, device: str | None = None
) -> Codec:
    """Codebooks, and then the deblocker, if there is to be one; `out` gets the metrics of its training."""
    trained = settings.deblock == "convolutional"
    closed_form: Deblock = "none" if trained else settings.deblock
    options: dict[str, Any] = {"patches": settings.patches, "beam": settings.beam, "seed": settings.seed}
    fitted = Codec.fit(images, codec, deblock=closed_form, **options)
    if trained:
        train_deblocker(fitted, images, settings.network, seed=settings.seed, out=out, device=device)
    return fitted


def codec_figures(codec: Codec) -> dict[str, Any]:
    """What is recorded of every codec."""
    return {
        "fingerprint": codec.fingerprint,
        "bits_per_pixel": codec.bits_per_pixel,
        "compression_ratio": codec.compression_ratio,
    }
