"""`smalti fit`: photos to a codec."""

from dataclasses import asdict
from pathlib import Path

from smalti.cli.options import CropOptions, Photos
from smalti.codec import Codec, CodecSpec
from smalti.codec.codec import Deblock
from smalti.evaluation import codec_floor
from smalti.files import new_folder, record, refuse_occupied, write_json
from smalti.training import DeblockerSettings, train_deblocker

# A codec sees a few hundred thousand patches; reading more photos than this does not make it better.
_MOST_IMAGES = 5_000
_FLOOR_IMAGES = 32


def fit(
    photos: Photos,
    /,
    *,
    codec: str,
    out: Path,
    crop: CropOptions = CropOptions(size=None),
    patches: int = 150_000,
    beam: int = 8,
    deblock: Deblock = "none",
    network: DeblockerSettings = DeblockerSettings(),
    images: int = _MOST_IMAGES,
    seed: int = 0,
    device: str | None = None,
) -> None:
    """Fit a codec on photos.

    Args:
        photos: a folder, zip, tar shards, glob or dataset of photos.
        codec: the codec, such as OPQ-32-8-8, RQ-16 for grey, or PQ-32-8-8/4 for patches of 4x4 pixels.
        out: new folder for the codec.
        crop: size and crop of the photos.
        patches: patches to fit on, at most.
        beam: width of the search of RQ and LSQ.
        deblock: decode with an eye on the neighbouring patches: "linear" is found in seconds, "convolutional" is a
            small network that trains for minutes.
        network: the convolutional deblocker.
        images: photos to read, at most; more are sampled.
        seed: the same photos and seed give the same codec.
        device: where the convolutional deblocker is trained.
    """
    refuse_occupied(out)
    spec = CodecSpec.parse(codec)
    source = crop.open(photos, spec)
    chosen = source.sample(images, seed)
    closed_form: Deblock = "none" if deblock == "convolutional" else deblock
    fitted = Codec.fit(chosen, codec, patches=patches, beam=beam, deblock=closed_form, seed=seed)
    with new_folder(out) as aside:
        if deblock == "convolutional":
            train_deblocker(fitted, chosen, network, seed=seed, out=aside, device=device)
        floor = codec_floor(chosen.sample(_FLOOR_IMAGES, seed), fitted)
        fitted.save_pretrained(aside)
        settings = {
            "codec": str(spec),
            "patches": patches,
            "beam": beam,
            "deblock": deblock,
            "network": asdict(network) if deblock == "convolutional" else None,
            "seed": seed,
            "crop": asdict(chosen.settings),
        }
        write_json(
            aside / "fit.json",
            record(
                settings=settings,
                source=chosen.source,
                images=len(chosen),
                skipped=chosen.skipped,
                fingerprint=fitted.fingerprint,
                bits_per_pixel=fitted.bits_per_pixel,
                compression_ratio=fitted.compression_ratio,
                on_its_own_photos=floor.figures,
            ),
        )
    print(
        f"{out}: {spec}, {fitted.bits_per_pixel:g} bits a pixel, 1:{fitted.compression_ratio:g}; {floor} on "
        f"{floor.images} of its own photos"
    )
    print(f"next: smalti encode {photos} --codec {out} --size 128 --out latents")
