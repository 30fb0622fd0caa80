"""The page of an evaluation."""

from math import isfinite
from pathlib import Path

from smalti.evaluation.memorisation import Memorisation
from smalti.evaluation.results import Comparison, EvaluateSettings, Evaluation
from smalti.report import Page, Tile, sample_sheet, side_by_side, training_curve


def write_page(
    found: Evaluation, model: str, reference: str, settings: EvaluateSettings, metrics: Path, path: Path
) -> None:
    """Write the report of an evaluation; `metrics` is the `metrics.jsonl` of the training, where there is one."""
    frechet, kernel = found.feature_names
    generated, real, _ = found.comparisons
    page = Page(
        f"{Path(model).name}, evaluated",
        f"{generated.pictures:,} pictures by {model} against {found.reference_photos:,} photos of {reference}; "
        f"{settings.sampling.steps} steps, seed {settings.sampling.seed}",
    )
    for warning in found.warnings:
        page.warning(warning)
    page.tiles(
        [
            Tile(frechet, str(generated.frechet), f"photos themselves {real.frechet.value:.1f}; lower is better"),
            Tile(f"{kernel} x 1000", str(generated.kernel.thousandfold), "lower is better, 0 for photos themselves"),
            Tile("precision / recall", f"{generated.precision:.2f} / {generated.recall:.2f}", "quality / variety"),
            Tile(
                "codec",
                f"{found.quality.psnr:.2f} dB",
                f"SSIM {found.quality.ssim:.3f}: what it keeps of photos",
            ),
        ]
    )
    page.picture(sample_sheet(found.samples), f"The first {len(found.samples)} samples, as they came, none picked.")

    page.heading("Against the photos")
    page.table(
        ["", frechet, f"{kernel} x 1000", "precision", "recall", "density", "coverage", "pictures"],
        [_row(comparison) for comparison in found.comparisons],
    )
    to = f"; {frechet} to the statistics in {found.statistics}" if found.statistics else ""
    page.text(
        f"All against the same {found.reference_photos:,} photos{to}. The other photos, as many of the reference, show "
        "what a perfect generator would score with so many pictures; the same, encoded and decoded, what the codec "
        f"leaves of that. {frechet} is biased upwards by few pictures: compare it at equal numbers only. ± is half a "
        f"95 % interval: by the jackknife over ten groups for {frechet}, by the projections of the two-sample "
        f"U-statistic for {kernel}. "
        "Precision and recall look at 3 neighbours, density and coverage at 5."
    )

    add_nearest(page, found.memorisation)

    page.heading("The codec")
    page.picture(
        side_by_side(found.quality.rows),
        f"Photos, and what the codec keeps of them. Mean of {found.quality.images}: {found.quality}.",
    )
    if metrics.is_file():
        page.heading("Training")
        page.picture(training_curve(metrics), "Loss against images seen.")
    page.write(path)


def add_nearest(page: Page, near: Memorisation) -> None:
    """Add what in the training pictures is nearest to samples, with the figures."""
    page.heading("Nearest training pictures")
    others = f"; {near.training:.1f} from the median training picture to the nearest of another photo"
    unseen = (
        ""
        if near.held_out is None or near.nearer is None
        else f"; {near.held_out:.1f} for the median photo that was held out of training, and {near.nearer:.0%} of the "
        "samples are nearer than that: about a half of samples like photos, fewer of blurred ones, nearly all where "
        "photos are learned by heart"
    )
    page.text(
        f"Root mean squared difference at 16x16 pixels, in grey levels, to {near.source}: {near.generated:.1f} for the "
        f"median sample{others if isfinite(near.training) else ''}{unseen}. Samples much nearer would be copies."
    )
    page.picture(
        sample_sheet([picture for row in near.rows for picture in row], 2 * len(near.rows[0])),
        "The samples nearest to any training picture, nearest first, two in a row: left of each "
        f"{len(near.rows[0])} pictures the sample, right of it its neighbours. "
        f"Distances to the first: {', '.join(f'{distance:.1f}' for distance in near.distances)}.",
    )


def _row(comparison: Comparison) -> list[str]:
    shares = (comparison.precision, comparison.recall, comparison.density, comparison.coverage)
    return [
        comparison.name,
        str(comparison.frechet),
        str(comparison.kernel.thousandfold),
        *(f"{share:.3f}" for share in shares),
        f"{comparison.pictures:,}",
    ]
