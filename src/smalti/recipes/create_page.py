"""The report of `create`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from PIL import Image

from smalti.data import AnyLatents
from smalti.diffusion import entropy
from smalti.evaluation import CodecQuality, Memorisation, add_nearest
from smalti.files import read_json
from smalti.model_folder import ModelFolder
from smalti.pipeline import SmaltiPipeline
from smalti.recipes.few import expected
from smalti.recipes.plan import Plan
from smalti.recipes.samples import unrefined_and_refined
from smalti.records import to_record
from smalti.report import Page, Pictures, Tile, level_curves, sample_sheet, side_by_side, training_curve
from smalti.sizes import told_size
from smalti.training import HeldOutLoss, independent_by_level

_FEW_SHOWN = 8


@dataclass(frozen=True)
class Outcome:
    """What came out of a `create`."""

    quality: CodecQuality
    memorisation: Memorisation | None
    held_out: HeldOutLoss
    images_trained: int
    photos: str
    """What was taken of them, and what was not, in words."""
    pictures: Pictures

    def figures(self, latents: AnyLatents) -> dict[str, Any]:
        """The numbers alone."""
        return {
            "photos": latents.images,
            "images_trained": self.images_trained,
            "passes": self.images_trained / latents.images,
            "held_out_loss": to_record(self.held_out),
            "nearest_training": self.memorisation.figures if self.memorisation else None,
            "codec_quality": self.quality.figures,
        }


def write_create_page(
    folder: ModelFolder,
    latents: AnyLatents,
    pipe: SmaltiPipeline,
    plan: Plan,
    came: Outcome,
) -> None:
    """Write `report.html`: samples, losses, copies, the refiner, and what the codec keeps of photos."""
    codec, training, manifest = pipe.codec, plan.training, latents.manifest
    quality, seen = came.quality, came.images_trained
    held = f", and {plan.held_out} held out" if plan.held_out else ""
    page = Page(
        f"A generator of {latents.images:,} {'photo' if latents.images == 1 else 'photos'}",
        f"{manifest.source}{held}, {' and '.join(told_size(part.size) for part in latents.parts)} pixels, "
        f"seed {training.seed}",
    )
    if warning := expected(latents.images, seen):
        page.warning(f"{warning[0].upper()}{warning[1:]}.")
    net = f"{plan.model.net.kind} on {' and '.join('{}x{}'.format(*part.grid) for part in latents.parts)} places"
    bits = f"{codec.spec}, {codec.bits_per_pixel:g} bits a pixel"
    page.tiles(
        [
            Tile("images seen", f"{seen:,}", f"{seen / latents.images:.1f} passes over the photos"),
            Tile("network", f"width {plan.model.net.width}", net),
            Tile("codec", f"{quality.psnr:.2f} dB", f"SSIM {quality.ssim:.3f}: what it keeps of photos"),
            Tile("compression", f"1:{codec.compression_ratio:g}", bits),
        ]
    )
    page.picture(
        folder.samples, f"{len(came.pictures)} pictures as they came, none picked. The grids in progress/ show how."
    )
    page.heading("The photos")
    page.text(f"{manifest.source}: {came.photos}.")
    page.heading("Training")
    told = f" {came.held_out.told[0].upper()}{came.held_out.told[1:]}." if came.held_out.told else ""
    page.picture(training_curve(folder.generator.metrics), f"Loss against images seen.{told}")
    for sentence in _begun_and_extended(folder, plan):
        page.text(sentence)
    if came.memorisation is not None:
        add_nearest(page, came.memorisation)
    if folder.levels.is_file():  # not where all of the training was done by a version that kept none
        page.heading("Loss by level of noise")
        page.picture(*_levels(folder, latents, pipe))
    if plan.refiner is not None:
        page.heading("The refiner")
        both = unrefined_and_refined(pipe, _FEW_SHOWN, training.seed)
        pairs = f"trained on {plan.refiner.pairs:,} pairs of a photo and what coding leaves of it"
        page.picture(sample_sheet(both, _FEW_SHOWN), f"Pictures as the codec decodes them, and refined; {pairs}.")
    page.heading("The codec")
    page.picture(
        side_by_side(quality.rows), f"Photos, and what the codec keeps of them. Mean of {quality.images}: {quality}."
    )
    page.heading("Next")
    page.command(f"smalti sample {folder} --count 64 --out samples")
    if isinstance(codec.pixel_format.mode, str):  # bands are not measured
        page.command(f"smalti evaluate {folder} --reference {manifest.source} --features NETWORK.pt")
    page.write(folder.report)


def _begun_and_extended(folder: ModelFolder, plan: Plan) -> Iterator[str]:
    """From which model the training went on, and how far each of its parts came, where there are several."""
    if plan.origin:
        yield f"Begun with the weights of {plan.origin['model']} ({plan.origin['images_trained']:,} images)."
    parts = read_json(folder.generator.record).get("parts", [])
    if len(parts) > 1:
        ends = ", ".join(f"{image:,}" for image in parts)
        yield f"Trained in {len(parts)} parts, which came to {ends} images: in each the learning rate rose and fell."


def _levels(folder: ModelFolder, latents: AnyLatents, pipe: SmaltiPipeline) -> tuple[Image.Image, str]:
    """The loss by level of noise beside what can be had without a network, where that is known; and how to read it."""
    found = read_json(folder.levels)
    told = f"The mean loss of the last {found['images']:,} images seen, by how much noise they were under."
    bound = independent_by_level(pipe.process, latents.counts)
    if bound is None:
        return level_curves(found["time"], {"the network": found["loss"]}, {}), told
    measure = "cross-entropy, nats a codeword"
    references = {"each place alone": bound.loss, "as often as they occur": [entropy(latents.counts)] * len(bound.loss)}
    return (
        level_curves(found["time"], {"the network": found["loss"]}, references, measure),
        f"{told} The dashed line is the least that can be had by looking at each place alone: where the network lies "
        "under it, it has learned from neighbours, and where it lies over it, not yet all that the place itself tells.",
    )
