"""The report of `create`."""

from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from smalti.data import Latents
from smalti.diffusion import entropy
from smalti.evaluation import CodecQuality
from smalti.files import read_json
from smalti.model_folder import ModelFolder
from smalti.pipeline import SmaltiPipeline
from smalti.recipes.plan import Plan
from smalti.recipes.samples import unrefined_and_refined
from smalti.report import Page, Tile, level_curves, sample_sheet, side_by_side, training_curve
from smalti.sizes import told_size
from smalti.training import independent_by_level

_FEW_SHOWN = 8


def write_create_page(
    folder: ModelFolder,
    latents: Latents,
    pipe: SmaltiPipeline,
    plan: Plan,
    quality: CodecQuality,
    pictures: UInt8[Tensor, "B C H W"],
) -> None:
    """Write `report.html`: samples, losses, the refiner, and what the codec keeps of photos."""
    codec, training, manifest = pipe.codec, plan.training, latents.manifest
    page = Page(
        f"A generator of {latents.images:,} photos",
        f"{manifest.source}, {told_size(latents.size)} pixels, seed {training.seed}",
    )
    net = f"U-Net on a grid of {latents.grid[0]}x{latents.grid[1]}"
    bits = f"{codec.spec}, {codec.bits_per_pixel:g} bits a pixel"
    page.tiles(
        [
            Tile("images seen", f"{training.images:,}", f"{training.images / len(latents):.1f} passes"),
            Tile("network", f"width {plan.model.net.width}", net),
            Tile("codec", f"{quality.psnr:.2f} dB", f"SSIM {quality.ssim:.3f}: what it keeps of photos"),
            Tile("compression", f"1:{codec.compression_ratio:g}", bits),
        ]
    )
    page.picture(
        sample_sheet(pictures), f"{len(pictures)} pictures as they came, none picked. The grids in progress/ show how."
    )
    if manifest.told:
        page.heading("The photos")
        page.text(f"{manifest.source}: {manifest.told}.")
    page.heading("Training")
    page.picture(training_curve(folder.generator.metrics), "Loss against images seen.")
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
    page.command(f"smalti evaluate {folder} --reference {manifest.source} --features NETWORK.pt")
    page.write(folder.report)


def _levels(folder: ModelFolder, latents: Latents, pipe: SmaltiPipeline) -> tuple[Image.Image, str]:
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
